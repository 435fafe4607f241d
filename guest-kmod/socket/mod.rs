// SPDX-License-Identifier: GPL-2.0-only
//! Sockets of the families PF_INET and PF_INET6.
//!
//! - [`family`]: registration, and `socket()`.
//! - [`ops`]: the other system calls, from their C form to methods of [`Socket`].
//! - [`stream`], [`datagram`]: TCP and UDP.
//! - [`options`], [`addr`], [`events`], [`errors`]: what both have in common.

mod addr;
pub(crate) mod datagram;
mod errors;
pub(crate) mod events;
pub(crate) mod family;
mod ops;
mod options;
pub(crate) mod stream;

use kernel::{bindings, ffi::c_int, prelude::*, sync::Arc};

use crate::ffi::{Message, Sock};
use crate::local::ports::Reuse;
use crate::local::route;
use crate::proto::{Address, Family, Ip};
use datagram::Datagram;
use errors::ErrorQueue;
use options::congestion::Congestion;
use options::membership::{Change, Membership, IP_MULTICAST_IF};
use options::{SOL_IP, SOL_IPV6, SOL_TCP, TCP_CONGESTION, TCP_INFO, TCP_MAXSEG, TCP_ULP};
use stream::endpoint::Endpoint;
use stream::info::TCP_INFO_SIZE;
use stream::recv::Flags;
use stream::Stream;

const SOL_SOCKET: c_int = 1;
const SO_KEEPALIVE: c_int = 9;
const IP_MTU: c_int = 14;
const IPV6_MTU: c_int = 24;

/// A socket of one kind, from `socket()` until the last reference to its `struct sock` goes.
pub(crate) enum Socket {
    /// TCP
    Stream(Pin<KBox<Stream>>),
    /// UDP
    Datagram(Pin<KBox<Datagram>>),
}

/// Directions that were shut down.
#[derive(Clone, Copy, Debug, Default)]
struct Shut {
    read: bool,
    write: bool,
}

/// An option's value on its way to the user.
enum Value {
    /// A plain number.
    Number(c_int),
    /// `struct tcp_info`.
    Info([u8; TCP_INFO_SIZE]),
    /// A name.
    Name([u8; 16]),
    /// No bytes, for the name of what there is none of.
    Nothing,
}

impl Socket {
    fn stream(family: Family) -> Result<Self> {
        let stream = KBox::pin_init(Stream::new(family), GFP_KERNEL)?;
        Ok(Self::Stream(stream))
    }

    fn datagram(family: Family) -> Result<Self> {
        let datagram = KBox::pin_init(Datagram::new(family)?, GFP_KERNEL)?;
        Ok(Self::Datagram(datagram))
    }

    fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    fn bind(&self, sk: &Sock, bytes: &[u8]) -> Result {
        match self {
            Self::Stream(stream) => stream.bind(sk, bytes),
            Self::Datagram(datagram) => datagram.bind(sk, bytes),
        }
    }

    fn connect(&self, sk: &Sock, bytes: &[u8], nonblock: bool) -> Result {
        match self {
            Self::Stream(stream) => stream.connect(sk, bytes, nonblock),
            Self::Datagram(datagram) => datagram.connect(sk, bytes),
        }
    }

    fn listen(&self, sk: &Sock, backlog: u32) -> Result {
        match self {
            Self::Stream(stream) => stream.listen(sk, backlog),
            Self::Datagram(_) => Err(EOPNOTSUPP),
        }
    }

    fn accept(&self, sk: &Sock, nonblock: bool) -> Result<(KBox<Self>, Arc<Endpoint>)> {
        let Self::Stream(stream) = self else {
            return Err(EOPNOTSUPP);
        };
        let accepted = stream.accept(sk, nonblock)?;
        match KBox::new(Self::Stream(accepted.stream), GFP_KERNEL) {
            Ok(socket) => Ok((socket, accepted.endpoint)),
            Err(_) => {
                accepted.endpoint.close(true);
                Err(ENOMEM)
            }
        }
    }

    fn has_incoming(&self) -> bool {
        match self {
            Self::Stream(stream) => stream.has_incoming(),
            Self::Datagram(_) => false,
        }
    }

    fn release(&self, sk: &Sock) {
        match self {
            Self::Stream(stream) => stream.release(sk),
            Self::Datagram(datagram) => datagram.release(),
        }
    }

    fn shutdown(&self, sk: &Sock, read: bool, write: bool) -> Result {
        match self {
            Self::Stream(stream) => stream.shutdown(sk, read, write),
            Self::Datagram(datagram) => datagram.shutdown(sk, read, write),
        }
    }

    fn local_address(&self) -> Address {
        match self {
            Self::Stream(stream) => stream.local_address(),
            Self::Datagram(datagram) => datagram.local_address(),
        }
    }

    fn peer_address(&self, even_if_over: bool) -> Result<Address> {
        match self {
            Self::Stream(stream) => stream.peer_address(even_if_over),
            Self::Datagram(datagram) => datagram.peer_address(),
        }
    }

    fn poll(&self, sk: &Sock) -> u32 {
        match self {
            Self::Stream(stream) => stream.poll(sk),
            Self::Datagram(datagram) => datagram.poll(sk),
        }
    }

    fn send(&self, sk: &Sock, message: &mut Message) -> Result<usize> {
        let has = |flags: u32, flag: u32| flags & flag != 0;
        let flags = message.flags();
        let zero_copy = has(flags, bindings::MSG_ZEROCOPY) && sk.zero_copy();
        let urgent = has(flags, bindings::MSG_OOB);
        let sent = match self {
            Self::Stream(_) if has(flags, bindings::MSG_FASTOPEN) => Err(EOPNOTSUPP),
            Self::Stream(stream) => {
                let nonblock = has(flags, bindings::MSG_DONTWAIT);
                stream.send(sk, message.source(), nonblock, urgent)
            }
            Self::Datagram(datagram) => datagram.send(sk, message),
        }?;
        if zero_copy && sent > 0 {
            self.errors().sent_by_copy(sk);
        }
        Ok(sent)
    }

    fn errors(&self) -> &ErrorQueue {
        match self {
            Self::Stream(stream) => stream.errors(),
            Self::Datagram(datagram) => datagram.errors(),
        }
    }

    fn receive(
        &self,
        sk: &Sock,
        message: &mut Message,
        length: usize,
        flags: u32,
    ) -> Result<usize> {
        let has = |flag: u32| flags & flag != 0;
        if has(bindings::MSG_ERRQUEUE) {
            return self.errors().receive(sk, self.family(), message, length);
        }
        match self {
            Self::Stream(stream) => {
                let flags = Flags {
                    nonblock: has(bindings::MSG_DONTWAIT),
                    peek: has(bindings::MSG_PEEK).then(|| sk.peek_offset()),
                    all: has(bindings::MSG_WAITALL),
                    discard: has(bindings::MSG_TRUNC),
                    inline: sk.urgent_inline(),
                };
                if has(bindings::MSG_OOB) {
                    let received = stream.receive_urgent(message.target(), flags)?;
                    message.add_flags(bindings::MSG_OOB);
                    return Ok(received);
                }
                let received = stream.receive(sk, message.target(), length, flags)?;
                // As in `tcp_recvmsg_locked()`, which knows no longer messages either.
                sk.move_peek_offset(flags.peek.is_some(), received as u32);
                Ok(received)
            }
            Self::Datagram(datagram) => datagram.receive(sk, message, length, flags),
        }
    }

    fn readable(&self, sk: &Sock) -> Result<u32> {
        match self {
            Self::Stream(stream) => stream.readable(sk.urgent_inline()),
            Self::Datagram(datagram) => Ok(datagram.readable(sk)),
        }
    }

    /// # Errors
    ///
    /// `ENOIOCTLCMD` if there is no such thing as a mark.
    fn is_at_mark(&self) -> Result<u32> {
        match self {
            Self::Stream(stream) => Ok(u32::from(stream.is_at_mark())),
            Self::Datagram(_) => Err(ENOIOCTLCMD),
        }
    }

    fn unsent(&self) -> Result<u32> {
        match self {
            Self::Stream(stream) => stream.unsent(),
            Self::Datagram(_) => Ok(0),
        }
    }

    fn set_option(&self, sk: &Sock, level: c_int, name: c_int, value: c_int) -> Result {
        match self {
            Self::Stream(stream) => stream.set_option(level, name, value),
            Self::Datagram(datagram) => datagram.set_option(sk, level, name, value),
        }
    }

    /// `SO_KEEPALIVE`, which generic code has stored.
    fn set_keep_alive(&self, on: bool) {
        if let Self::Stream(stream) = self {
            stream.tell_option(SOL_SOCKET, SO_KEEPALIVE, c_int::from(on));
        }
    }

    /// Whether `setsockopt()` knows the option, whatever the value.
    fn has_option(&self, level: c_int, name: c_int) -> bool {
        match self {
            Self::Stream(stream) => {
                stream.with_options(|options| options.has(stream.kind(), level, name))
            }
            Self::Datagram(datagram) => {
                datagram.with_options(|options| options.has(datagram.kind(), level, name))
            }
        }
    }

    /// An option about multicast groups.
    ///
    /// # Errors
    ///
    /// `EPROTO` or `EINVAL` for a stream, and what [`Datagram::change_membership`] says.
    fn change_membership(&self, membership: &Membership) -> Result {
        match self {
            Self::Stream(_) if membership.change == Change::SendBy => Err(EINVAL),
            Self::Stream(_) => Err(EPROTO),
            Self::Datagram(datagram) => datagram.change_membership(membership),
        }
    }

    /// An option of TCP whose value is a name: `TCP_CONGESTION`, the algorithm, though what is in force outside the guest is the
    /// host's matter; or `TCP_ULP`, a protocol over the stream within the kernel, of which there are none here.
    ///
    /// # Errors
    ///
    /// `EINVAL` for no name at all, `ENOENT` for one that the kernel does not have, `ENOPROTOOPT` for what is no stream.
    fn set_name(&self, option: c_int, name: &[u8]) -> Result {
        match self {
            Self::Datagram(_) => return Err(ENOPROTOOPT),
            Self::Stream(_) if name.is_empty() => return Err(EINVAL),
            Self::Stream(stream) if option == TCP_CONGESTION => {
                stream.set_congestion(Congestion::from_name(name)?);
            }
            Self::Stream(_) => return Err(ENOENT),
        }
        Ok(())
    }

    fn family(&self) -> Family {
        match self {
            Self::Stream(stream) => stream.kind().family,
            Self::Datagram(datagram) => datagram.kind().family,
        }
    }

    fn option(&self, level: c_int, name: c_int) -> Result<Value> {
        let number = match self {
            _ if (level, name) == (SOL_IP, IP_MULTICAST_IF) => Ok(match self {
                Self::Stream(_) => 0,
                Self::Datagram(datagram) => datagram.shown_send_by(),
            }),
            Self::Stream(stream) if (level, name) == (SOL_TCP, TCP_INFO) => {
                return Ok(Value::Info(stream.info()));
            }
            Self::Stream(stream) if (level, name) == (SOL_TCP, TCP_CONGESTION) => {
                return Ok(Value::Name(stream.congestion().name()));
            }
            _ if matches!((level, name), (SOL_IP, IP_MTU) | (SOL_IPV6, IPV6_MTU)) => {
                let is_v6 = self.family() == Family::V6;
                if level == SOL_IPV6 && !is_v6 {
                    return Err(EOPNOTSUPP);
                }
                let peer = match self {
                    Self::Stream(stream) => stream.peer_of_route()?,
                    Self::Datagram(datagram) => datagram.peer_address()?,
                };
                Ok(mtu(peer.ip))
            }
            Self::Stream(_) if (level, name) == (SOL_TCP, TCP_ULP) => return Ok(Value::Nothing),
            Self::Stream(stream) if (level, name) == (SOL_TCP, TCP_MAXSEG) => {
                match stream.segment_size(largest_segment) {
                    // At most what a packet can carry.
                    Some(size) => Ok(size as c_int),
                    None => self.stored_option(level, name),
                }
            }
            _ => self.stored_option(level, name),
        };
        number.map(Value::Number)
    }

    /// The value of an option that is what it was set to.
    fn stored_option(&self, level: c_int, name: c_int) -> Result<c_int> {
        match self {
            Self::Stream(stream) => {
                stream.with_options(|options| options.get(stream.kind(), level, name))
            }
            Self::Datagram(datagram) => {
                datagram.with_options(|options| options.get(datagram.kind(), level, name))
            }
        }
    }
}

/// The largest packet on the way to a peer: loopback's, or Ethernet's, which nobody cuts here.
fn mtu(peer: Ip) -> c_int {
    match route::canonical(peer) {
        ip if route::within_guest(ip).is_none() => 1500,
        Ip::V4(_) => 65535,
        Ip::V6(_) => 65536,
    }
}

/// The most that a segment to a peer carries beside its headers: 20 bytes of TCP, and 20 of IPv4 or 40 of IPv6.
fn largest_segment(peer: Ip) -> u32 {
    let headers = match route::canonical(peer) {
        Ip::V4(_) => 40,
        Ip::V6(_) => 60,
    };
    // Both are at most 65536.
    (mtu(peer) - headers) as u32
}

/// How a socket shares its address, by its generic options.
fn reuse(sk: &Sock) -> Reuse {
    Reuse {
        address: sk.reuse_address(),
        port: sk.reuse_port(),
    }
}
