// SPDX-License-Identifier: GPL-2.0-only
//! Which addresses are the guest's own.
//!
//! Addresses are *canonical* here: a v4-mapped IPv6 address is the IPv4 address that it stands for.

use kernel::prelude::*;

use crate::proto::{Address, Family, Ip};
use crate::virtio;

/// A canonical address with a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) ip: Ip,
    pub(crate) port: u16,
}

impl Spot {
    /// The spot that an address stands for.
    pub(crate) fn of(address: &Address) -> Self {
        Self {
            ip: canonical(address.ip),
            port: address.port,
        }
    }

    /// As a socket of the family shows it.
    pub(crate) fn shown_to(self, family: Family) -> Address {
        Address {
            ip: shown_to(family, self.ip),
            port: self.port,
            flow: 0,
            scope: 0,
        }
    }
}

const LOOPBACK_V4: [u8; 4] = [127, 0, 0, 1];
const LOOPBACK_V6: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/// An address without its v4-mapped form.
pub(crate) fn canonical(ip: Ip) -> Ip {
    match ip {
        Ip::V6([prefix @ .., a, b, c, d]) if prefix == MAPPED => Ip::V4([a, b, c, d]),
        ip => ip,
    }
}

/// A canonical address as a socket of the family shows it.
pub(crate) fn shown_to(family: Family, ip: Ip) -> Ip {
    match (family, ip) {
        (Family::V6, Ip::V4(v4)) => {
            let mut mapped = [0; 16];
            let (prefix, rest) = mapped.split_at_mut(MAPPED.len());
            prefix.copy_from_slice(&MAPPED);
            rest.copy_from_slice(&v4);
            Ip::V6(mapped)
        }
        _ => ip,
    }
}

/// The family of a canonical address.
pub(crate) fn family_of(ip: Ip) -> Family {
    match ip {
        Ip::V4(_) => Family::V4,
        Ip::V6(_) => Family::V6,
    }
}

/// Whether the address stands for all addresses of its family.
pub(crate) fn is_unspecified(ip: Ip) -> bool {
    ip == Ip::V4([0; 4]) || ip == Ip::V6([0; 16])
}

/// Index of the loopback interface.
pub(crate) const LOOPBACK: u32 = 1;
/// Index of the interface that leads out of the guest.
const OUTWARD: u32 = 2;
/// Length of the prefix of the guest's own network, as its interface shows it.
const PREFIX_V4: usize = 3;

/// Whether there is an interface with this index.
pub(crate) fn has_interface(index: u32) -> bool {
    index == LOOPBACK || (index == OUTWARD && virtio::interface().is_some())
}

/// The interface that has an address.
pub(crate) fn interface_with(ip: Ip) -> Option<u32> {
    if is_loopback(ip) {
        Some(LOOPBACK)
    } else {
        is_own(ip).then_some(OUTWARD)
    }
}

/// The interface for what no other is said for.
pub(crate) fn default_interface() -> Option<u32> {
    virtio::interface().map(|_| OUTWARD)
}

/// The address of an interface.
pub(crate) fn address_of(interface: u32, family: Family) -> Ip {
    match (interface, family) {
        (LOOPBACK, Family::V4) => Ip::V4(LOOPBACK_V4),
        (LOOPBACK, Family::V6) => Ip::V6(LOOPBACK_V6),
        _ => outward(family),
    }
}

/// Whether the address is a group's.
pub(crate) fn is_multicast(ip: Ip) -> bool {
    match ip {
        Ip::V4([first, ..]) => (224..240).contains(&first),
        Ip::V6([first, ..]) => first == 0xff,
    }
}

/// The interface on which the address means everybody, if it does. The one for 255.255.255.255 is the default.
///
/// # Errors
///
/// `ENETUNREACH` if there is no such interface.
pub(crate) fn broadcast(ip: Ip) -> Result<Option<u32>> {
    match ip {
        Ip::V4([255, 255, 255, 255]) => default_interface().map(Some).ok_or(ENETUNREACH),
        Ip::V4([127, 255, 255, 255]) => Ok(Some(LOOPBACK)),
        Ip::V4([prefix @ .., 255]) => match outward(Family::V4) {
            Ip::V4(own) if own.first_chunk::<PREFIX_V4>() == Some(&prefix) => {
                Ok(default_interface())
            }
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

/// Whether the address is for one host: neither multicast nor broadcast.
pub(crate) fn is_unicast(ip: Ip) -> bool {
    match ip {
        Ip::V4([first, ..]) => first < 224,
        Ip::V6([first, ..]) => first != 0xff,
    }
}

/// Whether a socket can be bound to the address: it is one of the guest's.
pub(crate) fn is_own(ip: Ip) -> bool {
    match ip {
        Ip::V4([127, ..]) => true,
        Ip::V6(ip) if ip == LOOPBACK_V6 => true,
        ip => virtio::interface().is_some_and(|interface| interface.has(ip)),
    }
}

/// The canonical address that a socket means which is bound to `bound`, if to any. An unspecified one means the socket's own
/// (`ip_route_output_key_hash_rcu()`), or IPv4's loopback for :: (`tcp_v6_connect()`, `udpv6_sendmsg()`).
///
/// # Errors
///
/// `ENETUNREACH` for IPv4 from a socket of `IPV6_V6ONLY`, `EAFNOSUPPORT` for IPv6 from one that is bound to IPv4.
pub(crate) fn meant(ip: Ip, family: Family, only_v6: bool, bound: Option<Ip>) -> Result<Ip> {
    let ip = canonical(ip);
    if only_v6 && family_of(ip) != family {
        return Err(ENETUNREACH);
    }
    match (ip, bound) {
        (Ip::V6(_), Some(Ip::V4(_))) if is_unspecified(ip) => Ok(Ip::V4(LOOPBACK_V4)),
        (Ip::V4(_), Some(own @ Ip::V4(_))) if is_unspecified(ip) => Ok(own),
        (Ip::V6(_), Some(Ip::V4(_))) => Err(EAFNOSUPPORT),
        _ => Ok(ip),
    }
}

/// Whether the address is loopback's, from which nothing leaves the guest.
pub(crate) fn is_loopback(ip: Ip) -> bool {
    matches!(ip, Ip::V4([127, ..])) || ip == Ip::V6(LOOPBACK_V6)
}

/// The address from which what leaves the guest comes.
pub(crate) fn outward(family: Family) -> Ip {
    let unknown = Address::unspecified(family).ip;
    virtio::interface().map_or(unknown, |interface| interface.address(family))
}

/// Where a packet to the address goes if it stays in the guest, and the address it comes from; `None` if it leaves the guest.
///
/// As Linux' local routing table: unspecified means loopback, loopback is answered from the loopback address, and the
/// guest's other addresses each from itself.
pub(crate) fn within_guest(to: Ip) -> Option<(Ip, Ip)> {
    match to {
        Ip::V4([0, 0, 0, 0]) => Some((Ip::V4(LOOPBACK_V4), Ip::V4(LOOPBACK_V4))),
        Ip::V4([127, ..]) => Some((to, Ip::V4(LOOPBACK_V4))),
        Ip::V6(ip) if ip == [0; 16] => Some((Ip::V6(LOOPBACK_V6), Ip::V6(LOOPBACK_V6))),
        to => is_own(to).then_some((to, to)),
    }
}
