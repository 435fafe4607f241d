// SPDX-License-Identifier: GPL-2.0-only
//! Options of TCP, IP and IPv6.
//!
//! They are stored and read back true, within the limits that Linux has for them. Until the device takes options, the
//! host's socket has what the host decides (no delay, keep-alive). Options of SOL_SOCKET are generic code's.

use kernel::{ffi::c_int, prelude::*};

use crate::proto::Family;

const SOL_IP: c_int = 0;
pub(super) const SOL_TCP: c_int = 6;
pub(super) const SOL_UDP: c_int = 17;
const SOL_IPV6: c_int = 41;
pub(super) const TCP_INFO: c_int = 11;
const IPV6_V6ONLY: c_int = 26;

/// Kinds of sockets, each with options of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) family: Family,
    /// Level of the transport's options: [`SOL_TCP`] or [`SOL_UDP`].
    pub(super) transport: c_int,
}

impl Kind {
    /// IPv6's options are for IPv6 only; IPv4's are for both.
    fn has_level(self, level: c_int) -> bool {
        match level {
            SOL_IP => true,
            SOL_IPV6 => self.family == Family::V6,
            level => level == self.transport,
        }
    }
}

/// An option with a number as its value.
struct Known {
    level: c_int,
    name: c_int,
    default: c_int,
    least: c_int,
    most: c_int,
}

const fn known(level: c_int, name: c_int, default: c_int, least: c_int, most: c_int) -> Known {
    Known {
        level,
        name,
        default,
        least,
        most,
    }
}

const ANY: c_int = c_int::MAX;

/// Every option that is stored, with Linux' default and limits (`do_tcp_setsockopt()`, `do_ip_setsockopt()`,
/// `do_ipv6_setsockopt()`).
static KNOWN: [Known; 29] = [
    known(SOL_TCP, 1, 0, c_int::MIN, ANY),   // TCP_NODELAY
    known(SOL_TCP, 2, 1460, 88, 32767),      // TCP_MAXSEG
    known(SOL_TCP, 3, 0, c_int::MIN, ANY),   // TCP_CORK
    known(SOL_TCP, 4, 7200, 1, 32767),       // TCP_KEEPIDLE
    known(SOL_TCP, 5, 75, 1, 32767),         // TCP_KEEPINTVL
    known(SOL_TCP, 6, 9, 1, 127),            // TCP_KEEPCNT
    known(SOL_TCP, 7, 6, 1, 127),            // TCP_SYNCNT
    known(SOL_TCP, 8, 60, c_int::MIN, ANY),  // TCP_LINGER2
    known(SOL_TCP, 9, 0, 0, ANY),            // TCP_DEFER_ACCEPT
    known(SOL_TCP, 10, 0, 0, ANY),           // TCP_WINDOW_CLAMP
    known(SOL_TCP, 12, 1, c_int::MIN, ANY),  // TCP_QUICKACK
    known(SOL_TCP, 18, 0, 0, ANY),           // TCP_USER_TIMEOUT
    known(SOL_TCP, 25, 0, c_int::MIN, ANY),  // TCP_NOTSENT_LOWAT
    known(SOL_UDP, 1, 0, c_int::MIN, ANY),   // UDP_CORK
    known(SOL_UDP, 103, 0, 0, 65535),        // UDP_SEGMENT
    known(SOL_UDP, 104, 0, c_int::MIN, ANY), // UDP_GRO
    known(SOL_IP, 8, 0, c_int::MIN, ANY),    // IP_PKTINFO
    known(SOL_IP, 1, 0, 0, 255),             // IP_TOS
    known(SOL_IP, 2, 64, 1, 255),            // IP_TTL
    known(SOL_IP, 10, 1, 0, 5),              // IP_MTU_DISCOVER
    known(SOL_IP, 11, 0, c_int::MIN, ANY),   // IP_RECVERR
    known(SOL_IP, 15, 0, c_int::MIN, ANY),   // IP_FREEBIND
    known(SOL_IP, 24, 0, c_int::MIN, ANY),   // IP_BIND_ADDRESS_NO_PORT
    known(SOL_IPV6, 16, 64, -1, 255),        // IPV6_UNICAST_HOPS
    known(SOL_IPV6, 23, 1, 0, 5),            // IPV6_MTU_DISCOVER
    known(SOL_IPV6, 25, 0, c_int::MIN, ANY), // IPV6_RECVERR
    known(SOL_IPV6, 26, 0, c_int::MIN, ANY), // IPV6_V6ONLY
    known(SOL_IPV6, 67, 0, -1, 255),         // IPV6_TCLASS
    known(SOL_IPV6, 70, 0, c_int::MIN, ANY), // IPV6_AUTOFLOWLABEL
];

/// Values of the [`KNOWN`] options. The default is theirs.
#[derive(Clone)]
pub(super) struct Options([c_int; KNOWN.len()]);

impl Default for Options {
    fn default() -> Self {
        Self(core::array::from_fn(|at| KNOWN[at].default))
    }
}

impl Options {
    /// `setsockopt()` below SOL_SOCKET, on a socket that is bound or not.
    ///
    /// # Errors
    ///
    /// `ENOPROTOOPT` for an option that is not known, `EINVAL` for a value beyond its limits.
    pub(super) fn set(
        &mut self,
        kind: Kind,
        level: c_int,
        name: c_int,
        value: c_int,
        is_bound: bool,
    ) -> Result {
        let (known, stored) = self.find(kind, level, name).ok_or(ENOPROTOOPT)?;
        let frozen = (level, name) == (SOL_IPV6, IPV6_V6ONLY) && is_bound;
        if frozen || !(known.least..=known.most).contains(&value) {
            return Err(EINVAL);
        }
        // What has no limits is a switch.
        *stored = if known.least == c_int::MIN {
            c_int::from(value != 0)
        } else {
            value
        };
        Ok(())
    }

    /// Whether `setsockopt()` knows the option, whatever the value.
    pub(super) fn has(&mut self, kind: Kind, level: c_int, name: c_int) -> bool {
        self.find(kind, level, name).is_some()
    }

    /// `getsockopt()` below SOL_SOCKET.
    ///
    /// # Errors
    ///
    /// `ENOPROTOOPT` for an option that is not known, `EOPNOTSUPP` for a level that IPv4 does not know.
    pub(super) fn get(&mut self, kind: Kind, level: c_int, name: c_int) -> Result<c_int> {
        if kind.family == Family::V4 && !kind.has_level(level) {
            // As in `do_ip_getsockopt()`, where all levels end up that nobody before it knows.
            return Err(EOPNOTSUPP);
        }
        let (_, stored) = self.find(kind, level, name).ok_or(ENOPROTOOPT)?;
        Ok(*stored)
    }

    /// `IPV6_V6ONLY`
    pub(super) fn only_v6(&self) -> bool {
        let at = |known: &Known| (known.level, known.name) == (SOL_IPV6, IPV6_V6ONLY);
        KNOWN.iter().zip(&self.0).any(|(known, value)| at(known) && *value != 0)
    }

    /// Sets `IPV6_V6ONLY`, as binding to an IPv6 address does.
    pub(super) fn set_only_v6(&mut self) {
        let at = |known: &Known| (known.level, known.name) == (SOL_IPV6, IPV6_V6ONLY);
        if let Some((_, stored)) = KNOWN.iter().zip(&mut self.0).find(|(known, _)| at(known)) {
            *stored = 1;
        }
    }

    fn find(
        &mut self,
        kind: Kind,
        level: c_int,
        name: c_int,
    ) -> Option<(&'static Known, &mut c_int)> {
        if !kind.has_level(level) {
            return None;
        }
        KNOWN
            .iter()
            .zip(&mut self.0)
            .find(|(known, _)| known.level == level && known.name == name)
    }
}
