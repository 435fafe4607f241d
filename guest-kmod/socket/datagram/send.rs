// SPDX-License-Identifier: GPL-2.0-only
//! Sending. The order of checks and the error numbers follow `udp_sendmsg()` and `udpv6_sendmsg()`.

use kernel::{bindings, prelude::*, sync::Arc};

use super::bind::source;
use super::control::Header;
use super::Datagram;
use crate::ffi::{Message, Sock};
use crate::local::inbox::Parcel;
use crate::local::ports;
use crate::local::route::{self, Spot};
use crate::proto::Ip;
use crate::socket::{addr, events};

/// Largest payload of IPv4: what a length of 16 bits leaves when IP's and UDP's headers are taken off.
const LARGEST_V4: usize = 65507;
/// Largest payload of IPv6, whose length does not count IP's header.
const LARGEST_V6: usize = 65527;

impl Datagram {
    /// Sends a datagram; returns its length.
    ///
    /// # Errors
    ///
    /// `EDESTADDRREQ` without a destination, `EMSGSIZE` if it is too long, `EPIPE` after a shutdown, and whatever became of
    /// an earlier datagram (`ECONNREFUSED`).
    pub(in crate::socket) fn send(&self, sk: &Sock, message: &mut Message) -> Result<usize> {
        self.autobind(sk)?;
        let to = self.destination(message.name())?;
        if message.flags() & bindings::MSG_OOB != 0 {
            return Err(EOPNOTSUPP);
        }
        let length = message.source().len();
        if length > usize::from(u16::MAX) {
            return Err(EMSGSIZE);
        }
        let Some((to_ip, from_ip)) = route::within_guest(to.ip) else {
            return self.send_outside(sk, to, message);
        };
        let mut header = self.with_options(|options| Header::new(options, to_ip));
        header.read(self.family, message)?;
        let from = self.sender(header.from.unwrap_or(from_ip), header.from.is_some())?;
        let largest = match to_ip {
            Ip::V4(_) => LARGEST_V4,
            Ip::V6(_) => LARGEST_V6,
        };
        if length > largest {
            return Err(EMSGSIZE);
        }
        if let Some(error) = sk.take_error() {
            return Err(error);
        }
        if self.state.lock().shut.write {
            return Err(EPIPE);
        }
        self.deliver(from, Spot { ip: to_ip, ..to }, header, message)?;
        // It has left the socket, which has room again.
        sk.waker().wake(events::WRITABLE);
        Ok(length)
    }

    /// Sends a datagram out of the guest.
    fn send_outside(&self, sk: &Sock, to: Spot, message: &mut Message) -> Result<usize> {
        let length = message.source().len();
        let bound = self.state.lock().binding.as_ref().map(|binding| binding.spot().ip);
        if bound.is_some_and(route::is_loopback) {
            // From there nothing leaves the guest.
            return Err(EINVAL);
        }
        let outside = self.open_outside(sk)?;
        // What became of earlier datagrams comes first, as in Linux.
        self.next_outside(sk);
        if let Some(error) = sk.take_error() {
            return Err(error);
        }
        if self.state.lock().shut.write {
            return Err(EPIPE);
        }
        let timeout = sk.send_timeout(message.flags() & bindings::MSG_DONTWAIT != 0);
        outside.send(sk, to, self.family, message, timeout)?;
        Ok(length)
    }

    fn destination(&self, name: Option<&[u8]>) -> Result<Spot> {
        let given = match name {
            Some(name) => addr::read_destination(name, self.family)?,
            None => None,
        };
        match given {
            Some(address) if address.port == 0 => Err(EINVAL),
            Some(address) => self.meant(&address),
            None => Ok(self.state.lock().peer.ok_or(EDESTADDRREQ)?.spot),
        }
    }

    /// The address to send from: the socket's own where it has one, unless this send says otherwise.
    fn sender(&self, from: Ip, is_chosen: bool) -> Result<Spot> {
        let state = self.state.lock();
        let bound = state.binding.as_ref().ok_or(EAGAIN)?.spot();
        Ok(Spot {
            ip: if is_chosen {
                from
            } else {
                source(bound.ip, from)
            },
            port: bound.port,
        })
    }

    /// Gives the datagram to whoever is bound there, in this guest.
    fn deliver(
        &self,
        from: Spot,
        to: Spot,
        header: Header,
        message: &mut Message,
    ) -> Result {
        let mut payload = KVVec::new();
        let length = message.source().len();
        if message
            .source()
            .copy_from_iter_vec(&mut payload, GFP_KERNEL)?
            < length
        {
            return Err(EFAULT);
        }
        match ports::inbox(to, from) {
            Some(inbox) => {
                let parcel = Parcel {
                    from,
                    to,
                    header,
                    payload,
                };
                inbox.deliver(Arc::new(parcel, GFP_KERNEL)?);
            }
            // What the network answers (ICMP, port unreachable) is told to a socket that is connected to the sender of the answer.
            None if self.inbox.fit(to) == Some(1) => self.inbox.refuse(ECONNREFUSED),
            None => {}
        }
        Ok(())
    }
}
