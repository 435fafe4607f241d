// SPDX-License-Identifier: GPL-2.0-only
//! Sending. The order of checks and the error numbers follow `udp_sendmsg()` and `udpv6_sendmsg()`.
//!
//! A send is planned first: where to, from where, and what its header says. A corked one (`UDP_CORK`, `MSG_MORE`) waits for more
//! bytes with its plan.

use kernel::{bindings, ffi::c_int, prelude::*, sync::Arc};

use super::bind::source;
use super::control::Header;
use super::outside::Payload;
use super::Datagram;
use crate::ffi::{Message, Sock};
use crate::local::groups::Group;
use crate::local::inbox::{self, Parcel};
use crate::local::ports;
use crate::local::route::{self, Spot};
use crate::proto::Ip;
use crate::socket::options::{SOL_IP, SOL_IPV6, SOL_UDP};
use crate::socket::{addr, errors, events};

const UDP_CORK: c_int = 1;
const IP_RECVERR: c_int = 11;
const IPV6_RECVERR: c_int = 25;

/// Largest payload of IPv4: what a length of 16 bits leaves when IP's and UDP's headers are taken off.
const LARGEST_V4: usize = 65507;
/// Largest payload of IPv6, whose length does not count IP's header.
const LARGEST_V6: usize = 65527;

/// Datagrams that one send may be cut into (`UDP_MAX_SEGMENTS`).
const SEGMENTS_MAX: usize = 128;

/// Which way a datagram goes.
#[derive(Clone, Copy)]
pub(super) enum Way {
    /// To one socket of the guest.
    Within,
    /// To all sockets of the guest that want it: of a group, or everybody's.
    Many(Option<Group>),
    /// Out of the guest.
    Outside,
}

/// What is known of a datagram before its bytes.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    pub(super) from: Spot,
    pub(super) to: Spot,
    pub(super) header: Header,
    pub(super) way: Way,
}

/// A datagram that waits for more bytes.
pub(super) struct Corked {
    plan: Plan,
    payload: KVVec<u8>,
}

impl Datagram {
    /// Sends a datagram; returns its length.
    ///
    /// # Errors
    ///
    /// `EDESTADDRREQ` without a destination, `EMSGSIZE` if it is too long, `EPIPE` after a shutdown, and whatever became of
    /// an earlier datagram (`ECONNREFUSED`).
    pub(in crate::socket) fn send(&self, sk: &Sock, message: &mut Message) -> Result<usize> {
        self.autobind(sk)?;
        let has = |flags: u32, flag: u32| flags & flag != 0;
        let flags = message.flags();
        let length = message.source().len();
        if length > usize::from(u16::MAX) {
            return Err(EMSGSIZE);
        }
        if has(flags, bindings::MSG_OOB) {
            return Err(EOPNOTSUPP);
        }
        let corks = has(flags, bindings::MSG_MORE)
            || self.with_options(|options| options.stored(SOL_UDP, UDP_CORK) != 0);
        if corks || self.state.lock().corked.is_some() {
            return self.send_more(sk, message, corks);
        }
        let plan = self.plan(sk, message)?;
        self.may_send(sk, &plan, length)?;
        let segment = usize::from(plan.header.segment);
        if segment > 0 && segment < length {
            let payload = payload_of(message)?;
            self.send_segments(sk, plan, &payload, segment)?;
            return Ok(length);
        }
        if matches!(plan.way, Way::Outside) {
            let timeout = sk.send_timeout(has(flags, bindings::MSG_DONTWAIT));
            let outside = self.open_outside(sk)?;
            outside.send(sk, plan.to, self.family, Payload::User(message), timeout)?;
            return Ok(length);
        }
        self.deliver(sk, plan, payload_of(message)?)?;
        Ok(length)
    }

    /// Sends bytes as datagrams of this many each (`UDP_SEGMENT`).
    ///
    /// # Errors
    ///
    /// `EINVAL` if these are too many.
    fn send_segments(&self, sk: &Sock, plan: Plan, payload: &[u8], segment: usize) -> Result {
        if payload.len() > segment * SEGMENTS_MAX {
            return Err(EINVAL);
        }
        for part in payload.chunks(segment) {
            let mut bytes = KVVec::with_capacity(part.len(), GFP_KERNEL)?;
            bytes.extend_from_slice(part, GFP_KERNEL)?;
            let payload = bytes;
            self.send_corked(sk, Corked { plan, payload })?;
        }
        Ok(())
    }

    /// Adds bytes to a datagram that waits for more, or begins one. It is sent when the last bytes are there, dropped when
    /// something goes wrong.
    fn send_more(&self, sk: &Sock, message: &mut Message, corks: bool) -> Result<usize> {
        let length = message.source().len();
        let _turn = self.cork_turn.lock();
        let waiting = self.state.lock().corked.take();
        let is_begun = waiting.is_some();
        let mut corked = match waiting {
            Some(corked) if self.is_of_other_protocol(&corked, message)? => {
                self.state.lock().corked = Some(corked);
                return Err(EINVAL);
            }
            Some(corked) => corked,
            None => Corked {
                plan: self.plan(sk, message)?,
                payload: KVVec::new(),
            },
        };
        let whole = corked.payload.len() + length;
        if is_begun {
            // Whatever became of the socket meanwhile, the bytes belong to what was begun before.
            fits(&corked.plan, whole)?;
        } else {
            self.may_send(sk, &corked.plan, whole)?;
        }
        let bytes = payload_of(message)?;
        corked.payload.extend_from_slice(&bytes, GFP_KERNEL)?;
        if corks {
            self.state.lock().corked = Some(corked);
        } else {
            self.send_corked(sk, corked)?;
        }
        Ok(length)
    }

    /// Whether bytes for IPv4 are to follow a datagram for IPv6, by a v4-mapped address. For whom they are is of no interest otherwise.
    fn is_of_other_protocol(&self, corked: &Corked, message: &Message) -> Result<bool> {
        let given = match message.name() {
            Some(name) => addr::read_destination(name, self.family)?,
            None => None,
        };
        let waits_for_v6 = matches!(corked.plan.to.ip, Ip::V6(_));
        let is_v4 = |ip| matches!(route::canonical(ip), Ip::V4(_));
        match given.filter(|to| waits_for_v6 && is_v4(to.ip)) {
            Some(to) => self.meant(&to).map(|_| true),
            None => Ok(false),
        }
    }

    /// A datagram that waits goes where the socket is connected meanwhile, as in Linux.
    pub(super) fn redirect(corked: &mut Option<Corked>, from: Ip, to: Spot) {
        if let (Some(corked), Ip::V4(_)) = (corked, to.ip) {
            corked.plan.from.ip = from;
            corked.plan.to = to;
        }
    }

    /// Sends what waits for more bytes, if there is something (`UDP_CORK` was turned off).
    pub(in crate::socket) fn uncork(&self, sk: &Sock) -> Result {
        let _turn = self.cork_turn.lock();
        let waiting = self.state.lock().corked.take();
        match waiting {
            Some(corked) => self.send_corked(sk, corked),
            None => Ok(()),
        }
    }

    fn send_corked(&self, sk: &Sock, corked: Corked) -> Result {
        let Corked { plan, payload } = corked;
        if matches!(plan.way, Way::Outside) {
            let outside = self.open_outside(sk)?;
            let timeout = sk.send_timeout(false);
            return outside.send(sk, plan.to, self.family, Payload::Kernel(&payload), timeout);
        }
        self.deliver(sk, plan, payload)
    }

    /// Where a datagram goes, and what its header says.
    fn plan(&self, sk: &Sock, message: &Message) -> Result<Plan> {
        let to = self.destination(message.name())?;
        let everybody = route::broadcast(to.ip)?;
        if everybody.is_some() || route::is_multicast(to.ip) {
            return self.plan_for_many(sk, to, everybody, message);
        }
        let mut header = self.with_options(|options| Header::new(options, to.ip));
        header.read(self.family, message)?;
        let Some((to_ip, from_ip)) = route::within_guest(to.ip) else {
            return self.plan_outside(to, header);
        };
        let from = self.sender(header.from.unwrap_or(from_ip), header.from.is_some())?;
        // What is not outward is the loopback's, also between the guest's other addresses.
        header.interface = route::LOOPBACK;
        Ok(Plan {
            from,
            to: Spot { ip: to_ip, ..to },
            header,
            way: Way::Within,
        })
    }

    fn plan_outside(&self, to: Spot, header: Header) -> Result<Plan> {
        let bound = self.state.lock().binding.as_ref().map(|binding| binding.spot().ip);
        if bound.is_some_and(route::is_loopback) {
            // From there nothing leaves the guest.
            return Err(EINVAL);
        }
        let own = route::outward(route::family_of(to.ip));
        Ok(Plan {
            from: self.sender(own, false)?,
            to,
            header,
            way: Way::Outside,
        })
    }

    /// Whether such a datagram can be sent now.
    ///
    /// # Errors
    ///
    /// `EMSGSIZE`, `EPIPE`, or what became of an earlier datagram.
    fn may_send(&self, sk: &Sock, plan: &Plan, length: usize) -> Result {
        fits(plan, length)?;
        // What became of earlier datagrams comes first, as in Linux.
        self.next_outside(sk);
        if let Some(error) = sk.take_error() {
            return Err(error);
        }
        if self.state.lock().shut.write {
            return Err(EPIPE);
        }
        Ok(())
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
    pub(super) fn sender(&self, from: Ip, is_chosen: bool) -> Result<Spot> {
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

    /// Gives the datagram to whoever takes it, in this guest.
    fn deliver(&self, sk: &Sock, plan: Plan, payload: KVVec<u8>) -> Result {
        let Plan {
            from,
            to,
            header,
            way,
        } = plan;
        let parcel = Parcel {
            from,
            to,
            header,
            payload,
            at: inbox::now(),
        };
        let parcel = Arc::new(parcel, GFP_KERNEL)?;
        match way {
            Way::Many(group) => {
                // What goes by the loopback interface comes back whatever options say.
                let by_loopback = header.interface == route::LOOPBACK;
                if group.is_none() || by_loopback || self.hears_itself(to.ip) {
                    ports::each_inbox(to, from, group, |inbox| inbox.deliver(parcel.clone()));
                }
            }
            Way::Within | Way::Outside => match ports::inbox(to, from) {
                Some(inbox) => inbox.deliver(parcel),
                None => self.refused(sk, &parcel),
            },
        }
        // It has left the socket, which has room again.
        sk.waker().wake(events::WRITABLE);
        Ok(())
    }

    /// Nobody took a datagram: what the network answers (ICMP, port unreachable) is told to a socket that is connected to the sender of
    /// the answer, or asks for such answers (`IP_RECVERR`).
    fn refused(&self, sk: &Sock, parcel: &Arc<Parcel>) {
        let to = parcel.to;
        if self.wants_errors(to.ip) {
            if self.inbox.fit(to).is_some() {
                let payload = errors::quoted(to.ip, &parcel.payload);
                self.errors.refused(sk, ECONNREFUSED, to, payload);
            }
        } else if self.inbox.fit(to) == Some(1) {
            self.inbox.refuse(ECONNREFUSED);
        }
    }

    /// Whether errors of datagrams to the address are to be queued.
    pub(super) fn wants_errors(&self, to: Ip) -> bool {
        self.with_options(|options| match to {
            Ip::V4(_) => options.stored(SOL_IP, IP_RECVERR) != 0,
            Ip::V6(_) => options.stored(SOL_IPV6, IPV6_RECVERR) != 0,
        })
    }
}

fn fits(plan: &Plan, length: usize) -> Result {
    let largest = match plan.to.ip {
        Ip::V4(_) => LARGEST_V4,
        Ip::V6(_) => LARGEST_V6,
    };
    if length > largest {
        return Err(EMSGSIZE);
    }
    Ok(())
}

/// The bytes of a message.
fn payload_of(message: &mut Message) -> Result<KVVec<u8>> {
    let mut payload = KVVec::new();
    let length = message.source().len();
    let copied = message
        .source()
        .copy_from_iter_vec(&mut payload, GFP_KERNEL)?;
    if copied < length {
        return Err(EFAULT);
    }
    Ok(payload)
}
