// SPDX-License-Identifier: GPL-2.0-only
//! Options of TCP, UDP, IP and IPv6.
//!
//! They are stored and read back true, within the limits that Linux has for them ([`table`]). Options of SOL_SOCKET are
//! generic code's.

pub(super) mod congestion;
pub(super) mod membership;
mod table;

use kernel::{ffi::c_int, prelude::*};

use crate::proto::Family;
use table::{Known, KNOWN};

pub(super) const SOL_IP: c_int = 0;
pub(super) const SOL_TCP: c_int = 6;
pub(super) const SOL_UDP: c_int = 17;
pub(super) const SOL_IPV6: c_int = 41;
pub(super) const TCP_MAXSEG: c_int = 2;
pub(super) const TCP_INFO: c_int = 11;
pub(super) const TCP_CONGESTION: c_int = 13;
pub(super) const TCP_ULP: c_int = 31;
const IPV6_V6ONLY: c_int = 26;
const IP_FREEBIND: c_int = 15;
const IP_MULTICAST_ALL: c_int = 49;
const IPV6_FREEBIND: c_int = 78;

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

/// Values of the [`KNOWN`] options. The default is theirs.
#[derive(Clone)]
pub(super) struct Options([c_int; KNOWN.len()]);

impl Default for Options {
    fn default() -> Self {
        Self(core::array::from_fn(|at| KNOWN[at].default))
    }
}

impl Options {
    /// The defaults of a family.
    pub(super) fn of(family: Family) -> Self {
        let mut options = Self::default();
        if family == Family::V6 {
            // What Linux leaves out in `inet6_create()`.
            let kind = Kind {
                family,
                transport: SOL_UDP,
            };
            if let Some((_, stored)) = options.find(kind, SOL_IP, IP_MULTICAST_ALL) {
                *stored = 0;
            }
        }
        options
    }

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
        if (level, name) == (SOL_IPV6, IPV6_V6ONLY) && is_bound {
            return Err(EINVAL);
        }
        *stored = known.accept(kind, value)?;
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

    /// `TCP_MAXSEG`, if it was set; zero otherwise.
    pub(super) fn segment_limit(&self) -> u32 {
        let all = KNOWN.iter().zip(&self.0);
        let mut set = all.filter(|(known, value)| **value != known.default);
        let found = set.find(|(known, _)| (known.level, known.name) == (SOL_TCP, TCP_MAXSEG));
        // Within its rule, from 88 to 32767.
        found.map_or(0, |(_, value)| *value as u32)
    }

    /// `IPV6_V6ONLY`
    pub(super) fn only_v6(&self) -> bool {
        self.stored(SOL_IPV6, IPV6_V6ONLY) != 0
    }

    /// Sets `IPV6_V6ONLY`, as binding to an IPv6 address does.
    pub(super) fn set_only_v6(&mut self) {
        let kind = Kind {
            family: Family::V6,
            transport: SOL_UDP,
        };
        if let Some((_, stored)) = self.find(kind, SOL_IPV6, IPV6_V6ONLY) {
            *stored = 1;
        }
    }

    /// `IP_FREEBIND` or `IPV6_FREEBIND`
    pub(super) fn free_bind(&self) -> bool {
        self.stored(SOL_IP, IP_FREEBIND) != 0 || self.stored(SOL_IPV6, IPV6_FREEBIND) != 0
    }

    /// The value of an option that is in the table; zero otherwise.
    pub(super) fn stored(&self, level: c_int, name: c_int) -> c_int {
        let mut all = KNOWN.iter().zip(&self.0);
        let found = all.find(|(known, _)| (known.level, known.name) == (level, name));
        found.map_or(0, |(_, value)| *value)
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
