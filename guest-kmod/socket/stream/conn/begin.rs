// SPDX-License-Identifier: GPL-2.0-only
//! How connections begin.

use super::news::Marks;
use super::{Connection, Phase};
use crate::proto::{Address, Family, Kind, Ring};

impl Connection {
    /// A connection that is about to be opened and connected by the device, from a port unless that is zero.
    pub(crate) fn new(peer: Address, source_port: u16, tx: Ring, rx: Ring) -> Self {
        let news = Marks {
            open: true,
            connect: true,
            ..Marks::default()
        };
        Self {
            news,
            source_port,
            ..Self::in_guest(peer, Address::unspecified(peer.family()), tx, rx)
        }
    }

    /// A connection that somebody of this guest was asked to accept; no device hears of it.
    pub(crate) fn in_guest(peer: Address, local: Address, tx: Ring, rx: Ring) -> Self {
        Self {
            kind: Kind::Stream,
            phase: Phase::Connecting,
            news: Marks::default(),
            peer,
            source_port: 0,
            arrival: 0,
            local,
            tx,
            tx_produced: 0,
            tx_told: 0,
            tx_consumed: 0,
            rx,
            rx_produced: 0,
            rx_consumed: 0,
            rx_told: 0,
            rx_eof: false,
            shut_wr: false,
            shut_rd: false,
            wants_room: false,
            peer_share: None,
            tx_limit: u32::MAX,
            segment_limit: 0,
            tx_urgent: None,
            rx_urgent: None,
        }
    }

    /// A datagram socket, of which the device has yet to hear. It is connected to nobody, and so from the start.
    pub(crate) fn datagram(family: Family, tx: Ring, rx: Ring) -> Self {
        let nobody = Address::unspecified(family);
        let news = Marks {
            open: true,
            ..Marks::default()
        };
        Self {
            kind: Kind::Datagram,
            phase: Phase::Connected,
            news,
            ..Self::in_guest(nobody, nobody, tx, rx)
        }
    }

    /// A connection that was accepted.
    pub(crate) fn accepted(peer: Address, local: Address, tx: Ring, rx: Ring) -> Self {
        Self {
            phase: Phase::Connected,
            ..Self::in_guest(peer, local, tx, rx)
        }
    }

    /// A connection that arrived from outside, by the number that the device gave it.
    pub(crate) fn arrived(arrival: u32, peer: Address, local: Address, tx: Ring, rx: Ring) -> Self {
        let news = Marks {
            open: true,
            ..Marks::default()
        };
        Self {
            arrival,
            news,
            ..Self::accepted(peer, local, tx, rx)
        }
    }
}
