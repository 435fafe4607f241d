// SPDX-License-Identifier: GPL-2.0-only
//! The error queue of a socket (`MSG_ERRQUEUE`): what became of what was sent.
//!
//! The counterparts in Linux are `ip_recv_error()`, `ipv6_recv_error()` and `sock_dequeue_err_skb()`.

use kernel::{bindings, ffi::c_int, new_spinlock, prelude::*, sync::SpinLock};

use super::options::{SOL_IP, SOL_IPV6};
use super::{addr, events};
use crate::ffi::{Message, Sock, NAME_SIZE};
use crate::field::put;
use crate::local::route::{self, Spot};
use crate::proto::{Family, Ip};

const IP_RECVERR: c_int = 11;
const IPV6_RECVERR: c_int = 25;

/// `SO_EE_ORIGIN_…` and `SO_EE_CODE_…` (`include/uapi/linux/errqueue.h`)
const ORIGIN_ICMP: u8 = 2;
const ORIGIN_ICMP6: u8 = 3;
const ORIGIN_ZEROCOPY: u8 = 5;
const CODE_ZEROCOPY_COPIED: u8 = 1;

/// "Port unreachable", as ICMP and ICMPv6 say it: type and code (RFC 792, RFC 4443).
const UNREACHABLE_V4: (u8, u8) = (3, 3);
const UNREACHABLE_V6: (u8, u8) = (1, 4);

/// `sizeof(struct sock_extended_err)`
const EXTENDED: usize = 16;

/// Entries that wait; further ones are dropped, as when a socket's memory is used up.
const WAITING_MAX: usize = 128;

/// An entry.
struct Entry {
    /// The errno, or zero.
    errno: c_int,
    origin: u8,
    kind: u8,
    code: u8,
    info: u32,
    data: u32,
    /// Where the datagram was sent to that failed.
    to: Option<Spot>,
    /// As much of it as came back.
    payload: KVVec<u8>,
}

struct Queue {
    entries: KVec<Entry>,
    /// Number of the next send without a copy.
    next_send: u32,
}

/// The errors of a socket that its user has not taken.
#[pin_data]
pub(super) struct ErrorQueue {
    #[pin]
    queue: SpinLock<Queue>,
}

impl ErrorQueue {
    /// An empty queue.
    pub(super) fn new() -> impl PinInit<Self> {
        let queue = Queue {
            entries: KVec::new(),
            next_send: 0,
        };
        pin_init!(Self { queue <- new_spinlock!(queue, "nexus_errors") })
    }

    /// Whether something waits.
    pub(super) fn has_one(&self) -> bool {
        !self.queue.lock().entries.is_empty()
    }

    /// A datagram to `to` came back with an error, and with its first bytes.
    pub(super) fn refused(&self, sk: &Sock, error: Error, to: Spot, payload: &[u8]) {
        let mut quoted = KVVec::new();
        // Without memory the error counts, and the bytes are missing.
        let _ = quoted.extend_from_slice(payload, GFP_KERNEL);
        let (origin, (kind, code)) = match to.ip {
            Ip::V4(_) => (ORIGIN_ICMP, UNREACHABLE_V4),
            Ip::V6(_) => (ORIGIN_ICMP6, UNREACHABLE_V6),
        };
        let entry = Entry {
            errno: -error.to_errno(),
            origin,
            kind,
            code,
            info: 0,
            data: 0,
            to: Some(to),
            payload: quoted,
        };
        self.queue.lock().push(entry);
        sk.waker().set_error(error);
        sk.waker().wake(0);
    }

    /// A send with `MSG_ZEROCOPY` is complete. It was copied, since the device takes bytes from rings only; a program that hears so
    /// may send without the flag.
    pub(super) fn sent_by_copy(&self, sk: &Sock) {
        {
            let mut queue = self.queue.lock();
            let number = queue.next_send;
            queue.next_send = number.wrapping_add(1);
            let last = queue.entries.last_mut();
            // Numbers that follow each other are told as one range.
            match last.filter(|entry| entry.origin == ORIGIN_ZEROCOPY) {
                Some(entry) if entry.data.wrapping_add(1) == number => entry.data = number,
                _ => queue.push(Entry {
                    errno: 0,
                    origin: ORIGIN_ZEROCOPY,
                    kind: 0,
                    code: CODE_ZEROCOPY_COPIED,
                    info: number,
                    data: number,
                    to: None,
                    payload: KVVec::new(),
                }),
            }
        }
        sk.waker().wake(events::ERR);
    }

    /// Receives the oldest entry; returns how many of its bytes there was room for.
    ///
    /// # Errors
    ///
    /// `EAGAIN` if there is none, `EFAULT` for a bad address.
    pub(super) fn receive(
        &self,
        sk: &Sock,
        family: Family,
        message: &mut Message,
        length: usize,
    ) -> Result<usize> {
        let (entry, next) = {
            let mut queue = self.queue.lock();
            let entry = queue.entries.remove(0).map_err(|_| EAGAIN)?;
            (entry, queue.entries.first().map(|next| next.errno))
        };
        match next {
            Some(errno) if errno != 0 => sk.waker().set_error(Error::from_errno(-errno)),
            _ if entry.errno != 0 => drop(sk.take_error()),
            _ => {}
        }
        let fitting = entry.payload.get(..length).unwrap_or(&entry.payload);
        if message.target().copy_to_iter(fitting) < fitting.len() {
            return Err(EFAULT);
        }
        if fitting.len() < entry.payload.len() {
            message.add_flags(bindings::MSG_TRUNC);
        }
        if let Some(to) = entry.to {
            let to = to.shown_to(family);
            message.set_name(|name| addr::write(&to, name));
        }
        entry.tell(family, message);
        message.add_flags(bindings::MSG_ERRQUEUE);
        Ok(fitting.len())
    }
}

impl Queue {
    fn push(&mut self, entry: Entry) {
        if self.entries.len() < WAITING_MAX {
            // Without memory it is dropped.
            let _ = self.entries.push(entry, GFP_ATOMIC);
        }
    }
}

impl Entry {
    /// `struct sock_extended_err`, and behind it the address of who found the error.
    fn tell(&self, family: Family, message: &mut Message) {
        let mut told = [0; EXTENDED + NAME_SIZE];
        // Error numbers are small and positive.
        put(&mut told, 0, &(self.errno as u32).to_ne_bytes());
        put(&mut told, 4, &[self.origin, self.kind, self.code]);
        put(&mut told, 8, &self.info.to_ne_bytes());
        put(&mut told, 12, &self.data.to_ne_bytes());
        if let Some(to) = self.to {
            let finder = Spot { port: 0, ..to }.shown_to(family);
            let mut name = [0; NAME_SIZE];
            addr::write(&finder, &mut name);
            put(&mut told, EXTENDED, &name);
        }
        let (level, kind, length) = match family {
            Family::V4 => (SOL_IP, IP_RECVERR, EXTENDED + addr::SOCKADDR_IN),
            Family::V6 => (SOL_IPV6, IPV6_RECVERR, EXTENDED + NAME_SIZE),
        };
        message.put_control(level, kind, told.get(..length).unwrap_or(&told));
    }
}

/// How much of a datagram to an address comes back with an error: what fits into the smallest packet that every host takes, beside
/// the headers (`__icmp_send()`, `icmp6_send()`).
pub(super) fn quoted(to: Ip, payload: &[u8]) -> &[u8] {
    let most = match route::family_of(to) {
        Family::V4 => 576 - 20 - 8 - 20 - 8,
        Family::V6 => 1280 - 40 - 8 - 40 - 8,
    };
    payload.get(..most).unwrap_or(payload)
}
