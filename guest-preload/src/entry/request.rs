// SPDX-License-Identifier: Apache-2.0
//! What a call of `getaddrinfo` asks for, checked (RFC 3493, section 6.1, and what glibc makes of it).

use core::ffi::c_int;

use crate::address::{Address, Addresses, Family, Name};
use crate::libc::{AF_INET, AF_INET6, AF_UNSPEC, Addrinfo};
use crate::lookup::{self, Found, LookupError};
use crate::numeric::{self, parse_decimal};
use crate::services;

pub(super) const AI_PASSIVE: c_int = 0x01;
pub(super) const AI_CANONNAME: c_int = 0x02;
pub(super) const AI_NUMERICHOST: c_int = 0x04;
pub(super) const AI_V4MAPPED: c_int = 0x08;
pub(super) const AI_ALL: c_int = 0x10;
/// The host has the interfaces, so its answer counts: nexusd leaves out families that it cannot reach.
const AI_ADDRCONFIG: c_int = 0x20;
pub(super) const AI_NUMERICSERV: c_int = 0x400;
/// Flags about international names, whose bytes are passed as they are.
const AI_IDN: c_int = 0x3c0;
const AI_KNOWN: c_int = AI_PASSIVE
    | AI_CANONNAME
    | AI_NUMERICHOST
    | AI_V4MAPPED
    | AI_ALL
    | AI_ADDRCONFIG
    | AI_NUMERICSERV
    | AI_IDN;

/// The `EAI_` error numbers of `<netdb.h>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(super) enum ResolveError {
    BadFlags = -1,
    NoName = -2,
    Again = -3,
    Fail = -4,
    NoData = -5,
    Family = -6,
    SockType = -7,
    Service = -8,
    AddrFamily = -9,
    Memory = -10,
}

impl From<LookupError> for ResolveError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::NoName => Self::NoName,
            LookupError::NoData => Self::NoData,
            LookupError::TryAgain => Self::Again,
            LookupError::Refused => Self::Fail,
        }
    }
}

/// A type of socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SocketKind {
    pub(super) socktype: c_int,
    pub(super) protocol: c_int,
    /// The protocol's name in `/etc/services`; raw sockets have no services.
    name: Option<&'static [u8]>,
}

/// The types, in the order in which glibc lists them.
const KINDS: [SocketKind; 3] = [
    SocketKind {
        socktype: 1,
        protocol: 6,
        name: Some(b"tcp"),
    },
    SocketKind {
        socktype: 2,
        protocol: 17,
        name: Some(b"udp"),
    },
    SocketKind {
        socktype: 3,
        protocol: 0,
        name: None,
    },
];

/// Checked arguments.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) flags: c_int,
    families: &'static [Family],
    node: Option<&'a [u8]>,
    /// A type of socket and its port each.
    endpoints: [Option<(SocketKind, u16)>; 3],
}

impl<'a> Request<'a> {
    pub(super) fn new(
        node: Option<&'a [u8]>,
        service: Option<&[u8]>,
        hints: Option<&Addrinfo>,
    ) -> Result<Self, ResolveError> {
        let (flags, family, socktype, protocol) = hints
            .map_or((AI_V4MAPPED | AI_ADDRCONFIG, AF_UNSPEC, 0, 0), |hints| {
                (hints.flags, hints.family, hints.socktype, hints.protocol)
            });
        // `*` means none, as in glibc.
        let node = node.filter(|node| *node != b"*");
        let service = service.filter(|service| !matches!(*service, b"" | b"*"));
        if node.is_none() && service.is_none() {
            return Err(ResolveError::NoName);
        }
        if flags & !AI_KNOWN != 0 || (flags & AI_CANONNAME != 0 && node.is_none()) {
            return Err(ResolveError::BadFlags);
        }
        Ok(Self {
            flags,
            families: match family {
                AF_UNSPEC => &[Family::V4, Family::V6],
                AF_INET => &[Family::V4],
                AF_INET6 => &[Family::V6],
                _ => return Err(ResolveError::Family),
            },
            node,
            endpoints: endpoints(service, flags, socktype, protocol)?,
        })
    }

    /// The types of socket with their ports.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = (SocketKind, u16)> {
        self.endpoints.iter().flatten().copied()
    }

    fn has(&self, flag: c_int) -> bool {
        self.flags & flag != 0
    }

    /// Finds the addresses. IPv4 comes before IPv6: a host without IPv6 refuses it in a moment, but programs then
    /// have to try again, and RFC 6724 would need the host's routes.
    pub(super) fn resolve(&self) -> Result<Found, ResolveError> {
        let Some(node) = self.node else {
            let address = if self.has(AI_PASSIVE) {
                Address::any
            } else {
                Address::loopback
            };
            let mut found = Found::default();
            self.families
                .iter()
                .for_each(|family| found.addresses.push(address(*family)));
            return Ok(found);
        };
        if let Some(address) = numeric::parse(node) {
            return self.literal(node, address);
        }
        if self.has(AI_NUMERICHOST) {
            return Err(ResolveError::NoName);
        }
        let name = Name::parse(node).ok_or(ResolveError::NoName)?;
        if self.families != [Family::V6] || !self.has(AI_V4MAPPED) {
            return Ok(lookup::lookup(&name, self.families)?);
        }
        self.mapped(&name)
    }

    /// IPv6 sockets reach IPv4 by mapped addresses: for want of others, or, with `AI_ALL`, in addition.
    fn mapped(&self, name: &Name) -> Result<Found, ResolveError> {
        let found = lookup::lookup(name, &[Family::V6, Family::V4])?;
        let mut mapped = Found {
            addresses: Addresses::default(),
            canonical: found.canonical,
        };
        for address in found.addresses.as_slice() {
            if address.family == Family::V6
                || self.has(AI_ALL)
                || mapped
                    .addresses
                    .as_slice()
                    .first()
                    .is_none_or(|first| first.unmapped().is_some())
            {
                mapped.addresses.push(address.mapped());
            }
        }
        Ok(mapped)
    }

    /// An address that was given as text.
    fn literal(&self, node: &[u8], address: Address) -> Result<Found, ResolveError> {
        let fits = |address: &Address| self.families.contains(&address.family);
        let address = if fits(&address) {
            Some(address)
        } else if address.family == Family::V4 {
            Some(address.mapped()).filter(|_| self.has(AI_V4MAPPED))
        } else {
            address.unmapped()
        };
        let mut found = Found::default();
        found
            .addresses
            .push(address.ok_or(ResolveError::AddrFamily)?);
        // Long forms, as of IPv4 in octal, have no canonical name; programs get none.
        found.canonical = Name::parse(node).unwrap_or_default();
        Ok(found)
    }
}

/// The types of socket that fit the hints, with the service's port for each.
fn endpoints(
    service: Option<&[u8]>,
    flags: c_int,
    socktype: c_int,
    protocol: c_int,
) -> Result<[Option<(SocketKind, u16)>; 3], ResolveError> {
    let fits = |kind: &SocketKind| {
        let any_protocol = kind.name.is_none();
        (socktype == 0 || socktype == kind.socktype)
            && (protocol == 0 || any_protocol || protocol == kind.protocol)
    };
    let kinds = KINDS.map(|kind| fits(&kind).then_some(kind));
    if kinds.iter().all(Option::is_none) {
        return Err(if socktype == 0 {
            ResolveError::Service
        } else {
            ResolveError::SockType
        });
    }
    let number = service.map_or(Some(0), parse_decimal);
    if number.is_none() && flags & AI_NUMERICSERV != 0 {
        return Err(ResolveError::NoName);
    }
    let mut result = [None; 3];
    let mut is_first = true;
    for (place, kind) in result.iter_mut().zip(kinds) {
        let Some(kind) = kind else {
            continue;
        };
        // A protocol alone stands for the first type that has it.
        if protocol != 0 && !core::mem::take(&mut is_first) {
            break;
        }
        let port = match (number, service, kind.name) {
            (Some(number), ..) => u16::try_from(number).ok(),
            (None, Some(service), Some(name)) => services::lookup(service, name),
            _ => None,
        };
        let kind = SocketKind {
            protocol: if kind.name.is_none() {
                protocol
            } else {
                kind.protocol
            },
            ..kind
        };
        *place = port.map(|port| (kind, port));
    }
    if result.iter().all(Option::is_none) {
        return Err(ResolveError::Service);
    }
    Ok(result)
}
