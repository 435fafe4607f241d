// SPDX-License-Identifier: GPL-2.0-only
//! What poll, select and epoll see. The conditions are those of `udp_poll()` and `datagram_poll()`.

use super::Datagram;
use crate::ffi::Sock;
use crate::socket::events;

impl Datagram {
    /// The events that are true now. The caller has put itself on the wait queue before.
    pub(in crate::socket) fn poll(&self, sk: &Sock) -> u32 {
        let has_datagram = self.next_outside(sk).is_some() || self.inbox.has_parcel();
        let shut = self.state.lock().shut;
        let mut mask = 0;
        if self.outside().is_none_or(|outside| outside.has_room()) {
            mask |= events::WRITABLE | events::WRITABLE_BAND;
        }
        if sk.has_error() || self.errors.has_one() {
            mask |= events::ERR;
        }
        if shut.read {
            mask |= events::RDHUP | events::READABLE;
        }
        if shut.read && shut.write {
            mask |= events::HUP;
        }
        if has_datagram {
            mask |= events::READABLE;
        }
        mask
    }
}
