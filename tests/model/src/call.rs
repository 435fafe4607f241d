// SPDX-License-Identifier: Apache-2.0
//! A call, and its outcome.

use serde::{Deserialize, Serialize};

/// Which of a script's sockets.
pub type Slot = u8;

/// Address family of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    /// AF_INET
    V4,
    /// AF_INET6
    V6,
}

/// Type of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// SOCK_STREAM
    Stream,
    /// SOCK_DGRAM
    Datagram,
}

/// An address within one host, in a socket's family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Host {
    /// 0.0.0.0 or ::
    Any,
    /// 127.0.0.1 or ::1
    Loopback,
    /// 127.0.0.2; for IPv6 its v4-mapped form.
    Other,
    /// 127.0.0.1; for IPv6 its v4-mapped form.
    Mapped,
    /// An address that is not the host's (RFC 5737, RFC 3849).
    Foreign,
    /// A multicast group of IPv4 (RFC 2365); for IPv6 its v4-mapped form.
    Group,
    /// Everybody on the loopback interface: 127.255.255.255; for IPv6 its v4-mapped form.
    Everybody,
}

/// What is done about the multicast group, on the loopback interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Membership {
    /// `IP_MULTICAST_IF`
    SendBy,
    /// `IP_ADD_MEMBERSHIP`
    Join,
    /// `IP_DROP_MEMBERSHIP`
    Leave,
    /// `IP_ADD_SOURCE_MEMBERSHIP` of 127.0.0.1.
    JoinSource,
    /// `IP_DROP_SOURCE_MEMBERSHIP` of 127.0.0.1.
    LeaveSource,
    /// `IP_BLOCK_SOURCE` of 127.0.0.1.
    Block,
    /// `IP_UNBLOCK_SOURCE` of 127.0.0.1.
    Unblock,
}

/// What a socket may be bound to (`SO_BINDTODEVICE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Device {
    /// The loopback interface.
    Loopback,
    /// One that there is not.
    Missing,
    /// None in particular.
    Any,
}

/// A port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Port {
    /// 0
    Zero,
    /// The one that another socket has now.
    Of(Slot),
    /// One at which nobody is.
    Nobody,
}

/// A socket call. Slots that hold nothing make a call [`Outcome::Skipped`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// `socket()`, non-blocking. What the slot held is closed.
    Socket(Slot, Family, Kind),
    /// `socket()` for a protocol by its number, which is closed at once.
    Protocol(Family, Kind, i32),
    /// `bind()`
    Bind(Slot, Host, Port),
    /// `listen()` with a backlog.
    Listen(Slot, i32),
    /// `connect()`
    Connect(Slot, Host, Port),
    /// `connect()` to AF_UNSPEC.
    Disconnect(Slot),
    /// `accept4()` into another slot.
    Accept(Slot, Slot),
    /// `send()` of so many bytes, with flags.
    Send(Slot, u32, i32),
    /// `sendto()` of so many bytes, with flags.
    SendTo(Slot, u32, i32, Host, Port),
    /// `recvmsg()` of so many bytes, with flags; tells the sender.
    Receive(Slot, u32, i32),
    /// `shutdown()`
    Shutdown(Slot, i32),
    /// `close()`
    Close(Slot),
    /// `dup()` into another slot.
    Duplicate(Slot, Slot),
    /// `poll()` for all events, without waiting.
    Poll(Slot),
    /// `getsockname()`
    LocalName(Slot),
    /// `getpeername()`
    PeerName(Slot),
    /// `setsockopt()` of an int: level, name, value.
    Set(Slot, i32, i32, i32),
    /// `getsockopt()` of an int: level, name.
    Get(Slot, i32, i32),
    /// `setsockopt(SO_BINDTODEVICE)`
    BindToDevice(Slot, Device),
    /// `setsockopt()` about a multicast group.
    Group(Slot, Membership),
    /// `setsockopt(SO_LINGER)`, on with so many seconds.
    Linger(Slot, i32),
    /// `ioctl(FIONREAD)`
    Readable(Slot),
    /// `ioctl(SIOCGSTAMP)`: whether there is a time, whichever it is.
    Stamped(Slot),
    /// `epoll_ctl(EPOLL_CTL_ADD)` to the script's one epoll, for all events and these flags.
    Watch(Slot, u32),
    /// `epoll_wait()` without waiting.
    Wait,
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// There was no such socket.
    Skipped,
    /// An errno.
    Failed(i32),
    /// A result: zero, a count, or a value.
    Done(i64),
    /// An address, its port by order of appearance.
    Named(String),
    /// Bytes: result, flags, a digest of what arrived, from whom, and what was said beside them.
    Received(i64, i32, u64, String, Vec<String>),
    /// Events: slot and bits, by slot.
    Events(Vec<(Slot, u32)>),
}
