// SPDX-License-Identifier: GPL-2.0-only
//! Receiving. The order of checks is that of `udp_recvmsg()` and `__skb_recv_udp()`.

use kernel::{bindings, prelude::*, sync::Arc};

use super::control::{self, Header};
use super::outside::Outside;
use super::Datagram;
use crate::ffi::{Message, Sock};
use crate::local::inbox::{self, Parcel};
use crate::local::route::{self, Spot};
use crate::proto::Record;
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
        let peek = has(bindings::MSG_PEEK);
        let (copied, whole, parcel) = loop {
            match self.next(sk, has(bindings::MSG_DONTWAIT), peek)? {
                Next::End => return Ok(0),
                Next::Within(parcel) => {
                    let payload = &parcel.payload;
                    let fitting = payload.get(..length).unwrap_or(payload);
                    if message.target().copy_to_iter(fitting) < fitting.len() {
                        return Err(EFAULT);
                    }
                    break (fitting.len(), payload.len(), parcel);
                }
                Next::Outside(outside, record) => {
                    match outside.receive(&record, message, length, peek) {
                        // Another thread has it.
                        Err(error) if error == EAGAIN => continue,
                        copied => {
                            let parcel = Arc::new(self.parcel_of(&record), GFP_KERNEL)?;
                            break (copied?, record.length as usize, parcel);
                        }
                    }
                }
            }
        };
        if whole > copied {
            message.add_flags(bindings::MSG_TRUNC);
        }
        let sender = parcel.from.shown_to(self.family);
        message.set_name(|to| addr::write(&sender, to));
        let options = self.with_options(|options| options.clone());
        sk.put_timestamp(message, parcel.at);
        sk.put_drops(message, self.inbox.dropped());
        control::tell(&options, self.family, &parcel, message);
        Ok(if has(bindings::MSG_TRUNC) {
            whole
        } else {
            copied
        })
    }

    /// What a datagram from outside says beside its bytes.
    fn parcel_of(&self, record: &Record) -> Parcel {
        let from = Spot::of(&record.address);
        let own = route::outward(route::family_of(from.ip));
        let port = self.local_address().port;
        Parcel {
            from,
            to: Spot { ip: own, port },
            header: Header::unknown(),
            payload: KVVec::new(),
            at: inbox::now(),
        }
    }

    /// The next datagram.
    fn next(&self, sk: &Sock, nonblock: bool, peek: bool) -> Result<Next> {
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
            if let Some(parcel) = parcel {
                return Ok(Next::Within(parcel));
            }
            if let Some((outside, record)) = self.next_outside(sk) {
                return Ok(Next::Outside(outside, record));
            }
            if sk.has_error() {
                continue;
            }
            if timeout != 0 && self.state.lock().shut.read {
                return Ok(Next::End);
            }
            let outside = self.outside();
            timeout = sk.wait_until(timeout, || {
                self.inbox.has_parcel()
                    || outside.as_ref().is_some_and(Outside::has_record)
                    || sk.has_error()
                    || self.state.lock().shut.read
            })?;
            if nonblock && self.state.lock().shut.read {
                // It was not waited for: only the shutdown has ended the wait.
                return Err(EAGAIN);
            }
        }
    }

    /// Length of the next datagram (`FIONREAD`).
    pub(in crate::socket) fn readable(&self, sk: &Sock) -> u32 {
        match self.inbox.peek() {
            Some(parcel) => parcel.payload.len() as u32,
            None => self
                .next_outside(sk)
                .map_or(0, |(_, record)| record.length),
        }
    }
}

/// A datagram to receive.
enum Next {
    /// There will be none: the socket was shut down.
    End,
    /// From this guest.
    Within(Arc<Parcel>),
    /// From somebody outside, still in the ring.
    Outside(Outside, Record),
}
