// SPDX-License-Identifier: GPL-2.0-only
//! What poll, select and epoll see. The conditions are those of `tcp_poll()`.

use super::conn::Phase;
use super::Stream;
use crate::ffi::Sock;
use crate::socket::events;

impl Stream {
    /// The events that are true now. The caller has put itself on the wait queue before.
    pub(in crate::socket) fn poll(&self, sk: &Sock) -> u32 {
        if self.listener().is_some() {
            return if self.has_incoming() {
                events::READABLE
            } else {
                0
            };
        }
        let mask = match self.endpoint() {
            Some(endpoint) => {
                let mut state = endpoint.state.lock();
                let conn = &mut state.conn;
                conn.limit_tx(sk.shares().send);
                let mut mask = 0;
                let urgent = conn.urgent();
                if urgent.is_some_and(|urgent| !urgent.was_read) {
                    mask |= events::URGENT;
                }
                // An urgent byte that is next is not there to be read, unless inline.
                let at_mark = urgent.is_some_and(|urgent| urgent.at == conn.rx_position());
                let wanted = sk
                    .low_water(false, usize::MAX)
                    .min(conn.low_water_max() as usize)
                    + usize::from(at_mark && !sk.urgent_inline());
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
            None if self.state.lock().shut.read => {
                events::READABLE | events::RDHUP | events::WRITABLE | events::HUP
            }
            None => events::WRITABLE | events::HUP,
        };
        if sk.has_error() || self.errors().has_one() {
            mask | events::ERR
        } else {
            mask
        }
    }
}
