// SPDX-License-Identifier: GPL-2.0-only
//! What poll, select and epoll see. The conditions are those of `udp_poll()` and `datagram_poll()`.

use super::Datagram;
use crate::ffi::Sock;
use crate::socket::events;

impl Datagram {
    /// The events that are true now. The caller has put itself on the wait queue before.
    pub(in crate::socket) fn poll(&self, sk: &Sock) -> u32 {
        let shut = self.state.lock().shut;
        let mut mask = events::WRITABLE | events::WRITABLE_BAND;
        if sk.has_error() {
            mask |= events::ERR;
        }
        if shut.read {
            mask |= events::RDHUP | events::READABLE;
        }
        if shut.read && shut.write {
            mask |= events::HUP;
        }
        if self.inbox.has_parcel() {
            mask |= events::READABLE;
        }
        mask
    }
}
