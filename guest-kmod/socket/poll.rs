// SPDX-License-Identifier: GPL-2.0-only
//! What poll, select and epoll see. The conditions are those of `tcp_poll()`.

use super::conn::Phase;
use super::Socket;
use crate::ffi::Sock;

/// Event bits, from `include/uapi/linux/eventpoll.h`.
pub(crate) mod events {
    const IN: u32 = 0x1;
    const OUT: u32 = 0x4;
    pub(crate) const ERR: u32 = 0x8;
    pub(crate) const HUP: u32 = 0x10;
    const RDNORM: u32 = 0x40;
    const WRNORM: u32 = 0x100;
    pub(crate) const RDHUP: u32 = 0x2000;
    pub(crate) const READABLE: u32 = IN | RDNORM;
    pub(crate) const WRITABLE: u32 = OUT | WRNORM;
}

impl Socket {
    /// The events that are true now. The caller has put itself on the wait queue before.
    pub(super) fn poll(&self, sk: &Sock) -> u32 {
        let mask = match self.endpoint() {
            Some(endpoint) => {
                let mut state = endpoint.state.lock();
                let conn = &mut state.conn;
                let wanted = sk
                    .low_water(false, usize::MAX)
                    .min(conn.low_water_max() as usize);
                let mut mask = 0;
                if conn.is_over() || (conn.read_ended() && conn.write_ended()) {
                    mask |= events::HUP;
                }
                if conn.read_ended() {
                    mask |= events::READABLE | events::RDHUP;
                }
                if conn.phase() != Phase::Connecting {
                    if conn.readable() as usize >= wanted {
                        mask |= events::READABLE;
                    }
                    if conn.write_ended() || conn.has_room() {
                        mask |= events::WRITABLE;
                    } else {
                        conn.want_room();
                    }
                }
                mask
            }
            None => events::WRITABLE | events::HUP,
        };
        if sk.has_error() {
            mask | events::ERR
        } else {
            mask
        }
    }
}
