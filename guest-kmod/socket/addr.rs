// SPDX-License-Identifier: GPL-2.0-only
//! `struct sockaddr_in` and `struct sockaddr_in6` as bytes: [`include/uapi/linux/in.h`], [`include/uapi/linux/in6.h`].

use kernel::prelude::*;

use super::options::Options;
use crate::ffi::NAME_SIZE;
use crate::field::{field, put};
use crate::local::ports::Scope;
use crate::local::route;
use crate::proto::{Address, Family, Ip};

const AF_UNSPEC: u16 = 0;
/// `sizeof(struct sockaddr_in)`
pub(super) const SOCKADDR_IN: usize = 16;
/// `sizeof(struct sockaddr_in6)`
const SOCKADDR_IN6: usize = NAME_SIZE;
/// `sizeof(struct sockaddr_in6)` without the scope, as in RFC 2133; Linux still takes it.
const SOCKADDR_IN6_OLD: usize = 24;

/// What a system call was given as an address.
pub(super) enum Given {
    /// `AF_UNSPEC`: the wish to dissolve the connection.
    Unspecified,
    /// An address of the socket's family.
    Address(Address),
}

/// Reads an address for a socket of the family.
///
/// # Errors
///
/// `EINVAL` if it is too short, `EAFNOSUPPORT` if it is of another family.
pub(super) fn read(bytes: &[u8], family: Family) -> Result<Given> {
    let code = u16::from_ne_bytes(field(bytes, 0).ok_or(EINVAL)?);
    if code == AF_UNSPEC {
        return Ok(Given::Unspecified);
    }
    let shortest = match family {
        Family::V4 => SOCKADDR_IN,
        Family::V6 => SOCKADDR_IN6_OLD,
    };
    if bytes.len() < shortest {
        return Err(EINVAL);
    }
    if code != family.code() {
        return Err(EAFNOSUPPORT);
    }
    read_as(bytes, family).map(Given::Address)
}

/// Reads an address, whatever family it says to be of.
fn read_as(bytes: &[u8], family: Family) -> Result<Address> {
    let port = u16::from_be_bytes(field(bytes, 2).ok_or(EINVAL)?);
    let (ip, flow, scope) = match family {
        Family::V4 if bytes.len() < SOCKADDR_IN => return Err(EINVAL),
        Family::V4 => (Ip::V4(field(bytes, 4).ok_or(EINVAL)?), 0, 0),
        Family::V6 => (
            Ip::V6(field(bytes, 8).ok_or(EINVAL)?),
            field(bytes, 4).map_or(0, u32::from_ne_bytes),
            field(bytes, 24).map_or(0, u32::from_ne_bytes),
        ),
    };
    Ok(Address {
        ip,
        port,
        flow,
        scope,
    })
}

/// Writes an address; returns its length.
pub(super) fn write(address: &Address, to: &mut [u8; SOCKADDR_IN6]) -> usize {
    *to = [0; SOCKADDR_IN6];
    put(to, 0, &address.family().code().to_ne_bytes());
    put(to, 2, &address.port.to_be_bytes());
    match address.ip {
        Ip::V4(ip) => {
            put(to, 4, &ip);
            SOCKADDR_IN
        }
        Ip::V6(ip) => {
            put(to, 4, &address.flow.to_ne_bytes());
            put(to, 8, &ip);
            put(to, 24, &address.scope.to_ne_bytes());
            SOCKADDR_IN6
        }
    }
}

/// Reads the address that a datagram is for; `None` says that it is the peer's, as AF_UNSPEC means to IPv6's `sendto()`.
///
/// # Errors
///
/// As [`read`].
pub(super) fn read_destination(bytes: &[u8], family: Family) -> Result<Option<Address>> {
    let code = u16::from_ne_bytes(field(bytes, 0).ok_or(EINVAL)?);
    match (family, code) {
        (Family::V6, AF_UNSPEC) => Ok(None),
        // Linux takes AF_UNSPEC for IPv4 here, and IPv4 addresses on sockets of IPv6.
        (Family::V4, AF_UNSPEC) => read_as(bytes, Family::V4).map(Some),
        (Family::V6, code) if code == Family::V4.code() => read_as(bytes, Family::V4).map(Some),
        _ => match read(bytes, family)? {
            Given::Unspecified => Ok(None),
            Given::Address(address) => Ok(Some(address)),
        },
    }
}

/// Reads an address to bind to: which of the guest's, and the port.
///
/// # Errors
///
/// `EINVAL` if it is too short or cannot be bound to by such a socket, `EAFNOSUPPORT` if it is of another family,
/// `EADDRNOTAVAIL` if it is not the guest's, unless the options allow even that.
pub(super) fn read_scope(bytes: &[u8], family: Family, options: &Options) -> Result<(Scope, u16)> {
    let only_v6 = options.only_v6();
    let address = match read(bytes, family)? {
        Given::Address(address) => address,
        // Linux takes AF_UNSPEC for IPv4's unspecified address, as old programs meant it.
        Given::Unspecified => return read_unspecified(bytes, family),
    };
    let ip = route::canonical(address.ip);
    let mapped = route::family_of(ip) != family;
    if mapped && only_v6 {
        return Err(EINVAL);
    }
    let scope = match ip {
        Ip::V6(_) if route::is_unspecified(ip) => Scope::Any6 { only: only_v6 },
        Ip::V4(_) if route::is_unspecified(ip) => Scope::Any4,
        Ip::V6(_) if !route::is_unicast(ip) => return Err(EINVAL),
        ip if route::is_own(ip) || options.free_bind() => Scope::One(ip),
        _ => return Err(EADDRNOTAVAIL),
    };
    Ok((scope, address.port))
}

fn read_unspecified(bytes: &[u8], family: Family) -> Result<(Scope, u16)> {
    if family != Family::V4 {
        return Err(EAFNOSUPPORT);
    }
    if bytes.len() < SOCKADDR_IN {
        return Err(EINVAL);
    }
    let port = u16::from_be_bytes(field(bytes, 2).ok_or(EINVAL)?);
    match field(bytes, 4) {
        Some([0, 0, 0, 0]) => Ok((Scope::Any4, port)),
        _ => Err(EAFNOSUPPORT),
    }
}
