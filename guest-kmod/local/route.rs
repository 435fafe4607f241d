// SPDX-License-Identifier: GPL-2.0-only
//! Which addresses are the guest's own.
//!
//! Addresses are *canonical* here: a v4-mapped IPv6 address is the IPv4 address that it stands for.

use crate::proto::{Family, Ip};

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
        _ => false,
    }
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
