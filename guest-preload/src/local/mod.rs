// SPDX-License-Identifier: Apache-2.0
//! Local mode: what the program's network namespace does not reach, nexusd reaches.
//!
//! The namespace has loopback and the services. Another address fails with ENETUNREACH; then nexusd is asked for a socket of the
//! host, which policy allows or not, and which takes the place of the program's own before it is connected. So everything that
//! a program can see of a connection is the kernel's own.

mod options;

use core::ffi::c_int;

use nexus_proto::local::{REPLY_SIZE, Reply, Request, SOCKET};
use nexus_proto::wire::{Address, Ip, Kind};

use crate::libc::{AF_INET, AF_INET6};
use crate::sys::Descriptor;
use crate::sys::socket::{self, Messages};

const ENETUNREACH: c_int = 101;

/// `SO_TYPE` and `SO_PROTOCOL` of `<sys/socket.h>`.
const SOL_SOCKET: c_int = 1;
const SO_TYPE: c_int = 3;
const SO_PROTOCOL: c_int = 38;
const IPPROTO_TCP: c_int = 6;
const IPPROTO_UDP: c_int = 17;

/// Sizes of `struct sockaddr_in` and `struct sockaddr_in6`.
const V4_LENGTH: usize = 16;
const V6_LENGTH: usize = 28;

/// Whether nexusd serves the program's network namespace.
pub(crate) fn is_served() -> bool {
    Messages::open(SOCKET).is_some()
}

/// Connects a socket of the program.
///
/// # Safety
/// The address has this length.
pub(crate) unsafe fn connect(fd: c_int, address: *const u8, length: u32) -> Result<(), c_int> {
    // SAFETY: passed on to the caller.
    let outcome = unsafe { socket::connect(fd, address, length) };
    if outcome != Err(ENETUNREACH) {
        return outcome;
    }
    // SAFETY: passed on to the caller.
    let Some(peer) = (unsafe { read_address(address, length) }) else {
        return outcome;
    };
    let Some(kind) = kind_of(fd) else {
        return outcome;
    };
    let request = Request {
        kind,
        source_port: socket::bound_port(fd).unwrap_or(0),
        peer,
    };
    let host = ask(&request).unwrap_or(Err(ENETUNREACH))?;
    options::copy(fd, host.number().ok_or(ENETUNREACH)?);
    socket::replace(fd, &host).ok_or(ENETUNREACH)?;
    drop(host);
    // SAFETY: passed on to the caller.
    unsafe { socket::connect(fd, address, length) }
}

/// A socket of the host, or the error that nexusd gives; `None` if it does not answer.
fn ask(request: &Request) -> Option<Result<Descriptor, c_int>> {
    let nexusd = Messages::open(SOCKET)?;
    nexusd.send(&request.encode())?;
    let mut message = [0; REPLY_SIZE];
    let host = nexusd.receive(&mut message)?.descriptor;
    let reply = Reply::decode(&message).ok()?;
    if reply.error == 0 {
        host.map(Ok)
    } else {
        Some(Err(reply.error.into()))
    }
}

/// What kind of socket it is; `None` if neither TCP nor UDP.
fn kind_of(fd: c_int) -> Option<Kind> {
    let kind = u16::try_from(number(fd, SO_TYPE)?).ok()?;
    match (Kind::from_code(kind).ok()?, number(fd, SO_PROTOCOL)?) {
        (Kind::Stream, IPPROTO_TCP) => Some(Kind::Stream),
        (Kind::Datagram, IPPROTO_UDP) => Some(Kind::Datagram),
        _ => None,
    }
}

fn number(fd: c_int, name: c_int) -> Option<c_int> {
    let mut value = [0; size_of::<c_int>()];
    socket::option(fd, SOL_SOCKET, name, &mut value)?;
    Some(c_int::from_ne_bytes(value))
}

/// # Safety
/// The address has this length.
unsafe fn read_address(address: *const u8, length: u32) -> Option<Address> {
    let mut bytes = [0; V6_LENGTH];
    let length = (length as usize).min(V6_LENGTH);
    // SAFETY: the program's memory has the length, and `bytes` at least as much.
    unsafe { core::ptr::copy_nonoverlapping(address, bytes.as_mut_ptr(), length) };
    let [f0, f1, p0, p1, a @ ..] = bytes;
    let port = u16::from_be_bytes([p0, p1]);
    let family = c_int::from(u16::from_ne_bytes([f0, f1]));
    let [a0, a1, a2, a3, v6 @ ..] = a;
    if family == AF_INET && length >= V4_LENGTH {
        return Some(Address {
            ip: Ip::V4([a0, a1, a2, a3]),
            port,
            flow: 0,
            scope: 0,
        });
    }
    if family != AF_INET6 || length < V6_LENGTH {
        return None;
    }
    let (ip, rest) = v6.split_first_chunk::<16>()?;
    Some(Address {
        ip: Ip::V6(*ip),
        port,
        flow: u32::from_ne_bytes([a0, a1, a2, a3]),
        scope: u32::from_ne_bytes(*rest.first_chunk()?),
    })
}
