// SPDX-License-Identifier: GPL-2.0-only
//! Receiving. The order of checks is that of `udp_recvmsg()` and `__skb_recv_udp()`.

use kernel::{bindings, prelude::*, sync::Arc};

use super::{control, Datagram};
use crate::ffi::{Message, Sock};
use crate::local::inbox::Parcel;
use crate::socket::addr;

impl Datagram {
    /// Receives a datagram; returns how many of its bytes there was room for, or with `MSG_TRUNC` its length.
    ///
    /// # Errors
    ///
    /// `EAGAIN` if there is none, and what became of a datagram that was sent (`ECONNREFUSED`).
    pub(in crate::socket) fn receive(
        &self,
        sk: &Sock,
        message: &mut Message,
        length: usize,
        flags: u32,
    ) -> Result<usize> {
        let has = |flag: u32| flags & flag != 0;
        let Some(parcel) = self.next(sk, has(bindings::MSG_DONTWAIT), has(bindings::MSG_PEEK))?
        else {
            return Ok(0);
        };
        let payload = &parcel.payload;
        let fitting = payload.get(..length).unwrap_or(payload);
        if message.target().copy_to_iter(fitting) < fitting.len() {
            return Err(EFAULT);
        }
        let cut = payload.len() > length;
        if cut {
            message.add_flags(bindings::MSG_TRUNC);
        }
        let sender = parcel.from.shown_to(self.family);
        message.set_name(|to| addr::write(&sender, to));
        let options = self.with_options(|options| options.clone());
        control::tell(&options, self.family, &parcel, message);
        Ok(if has(bindings::MSG_TRUNC) {
            payload.len()
        } else {
            fitting.len()
        })
    }

    /// The next datagram, or `None` if waiting for one ends because the socket was shut down.
    fn next(&self, sk: &Sock, nonblock: bool, peek: bool) -> Result<Option<Arc<Parcel>>> {
        let mut timeout = sk.receive_timeout(nonblock);
        loop {
            if let Some(error) = sk.take_error() {
                return Err(error);
            }
            let parcel = if peek {
                self.inbox.peek()
            } else {
                self.inbox.pop()
            };
            if parcel.is_some() {
                return Ok(parcel);
            }
            if timeout != 0 && self.state.lock().shut.read {
                return Ok(None);
            }
            timeout = sk.wait_until(timeout, || {
                self.inbox.has_parcel() || sk.has_error() || self.state.lock().shut.read
            })?;
            if nonblock {
                // It was not waited for: only the shutdown has ended the wait.
                return Err(EAGAIN);
            }
        }
    }

    /// Length of the next datagram (`FIONREAD`).
    pub(in crate::socket) fn readable(&self) -> u32 {
        let next = self.inbox.peek();
        next.map_or(0, |parcel| parcel.payload.len() as u32)
    }
}
