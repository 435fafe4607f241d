// SPDX-License-Identifier: GPL-2.0-only
//! Multicast groups: which a socket is a member of, and from whom it takes what is sent there.
//!
//! The rules are those of `net/ipv4/igmp.c` and `net/ipv6/mcast.c`, as far as sockets see them. Groups exist within the guest
//! only: nothing that is sent to one leaves it.
//!
//! The table's lock is taken within an inbox's, and nothing within it.

use kernel::{prelude::*, sync::global_lock};

use super::route;
use crate::proto::{Family, Ip};

/// Groups of IPv4 that a socket may be a member of (`igmp_max_memberships`).
const GROUPS_MAX: usize = 20;
/// Sources in a filter of IPv4 (`igmp_max_msf`), and of IPv6 (`mld_max_msf`).
const SOURCES_MAX_V4: usize = 10;
const SOURCES_MAX_V6: usize = 64;

/// Whom a filter is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// All but the sources.
    Exclude,
    /// Only the sources.
    Include,
}

/// A group on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// The group's canonical address.
    pub(crate) ip: Ip,
    /// Index of the interface.
    pub(crate) interface: u32,
}

struct Membership {
    /// Whose it is.
    owner: u64,
    group: Group,
    mode: Mode,
    sources: KVec<Ip>,
}

impl Membership {
    /// Whether what `from` sends is wanted.
    fn takes(&self, from: Ip) -> bool {
        self.sources.contains(&from) == (self.mode == Mode::Include)
    }
}

struct Table {
    memberships: KVec<Membership>,
    last_owner: u64,
}

global_lock! {
    // SAFETY: Initialised by `init()`, before any socket can exist.
    unsafe(uninit) static MEMBERS: SpinLock<Table> = Table {
        memberships: KVec::new(),
        last_owner: 0,
    };
}

/// Prepares the table.
///
/// # Safety
///
/// Must be called once, before anything else of this module.
pub(super) unsafe fn init() {
    // SAFETY: As the caller promises.
    unsafe { MEMBERS.init() }
}

/// Whether some member wants what `from` sends to the group, so that the interface takes it.
pub(crate) fn is_wanted(group: Group, from: Ip) -> bool {
    let is_wanted = |membership: &Membership| membership.group == group && membership.takes(from);
    is_of_all_hosts(group.ip) || MEMBERS.lock().memberships.iter().any(is_wanted)
}

/// The memberships of one socket.
pub(crate) struct Groups {
    owner: u64,
    /// Whether the socket takes what is sent to groups that others are members of: `IP_MULTICAST_ALL`, `IPV6_MULTICAST_ALL`.
    pub(crate) takes_all_v4: bool,
    pub(crate) takes_all_v6: bool,
}

impl Groups {
    /// No memberships.
    pub(crate) fn new(family: Family) -> Self {
        let mut table = MEMBERS.lock();
        table.last_owner += 1;
        Self {
            owner: table.last_owner,
            // Linux' default is another one for sockets of IPv6 (`inet6_create()`).
            takes_all_v4: family == Family::V4,
            takes_all_v6: true,
        }
    }

    /// Whether the socket is a member on some interface.
    pub(crate) fn has_anywhere(&self, ip: Ip) -> bool {
        let of_group = |membership: &Membership| {
            (membership.owner, membership.group.ip) == (self.owner, ip)
        };
        MEMBERS.lock().memberships.iter().any(of_group)
    }

    /// Whether the socket takes what `from` sends to the group.
    pub(crate) fn takes(&self, group: Group, from: Ip) -> bool {
        let mut table = MEMBERS.lock();
        match table.find(self.owner, group) {
            Some(membership) => membership.takes(from),
            None => match group.ip {
                Ip::V4(_) => self.takes_all_v4,
                Ip::V6(_) => self.takes_all_v6,
            },
        }
    }

    /// Becomes a member.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` if it is one, `ENOBUFS` if it is member of too many groups, or memory is short.
    pub(crate) fn join(&self, group: Group, mode: Mode) -> Result {
        let mut table = MEMBERS.lock();
        if table.find(self.owner, group).is_some() {
            return Err(EADDRINUSE);
        }
        let is_v4 = |ip| route::family_of(ip) == Family::V4;
        let of_owner = |membership: &&Membership| membership.owner == self.owner;
        let all = table.memberships.iter().filter(of_owner);
        let count = all.filter(|membership| is_v4(membership.group.ip)).count();
        if is_v4(group.ip) && count >= GROUPS_MAX {
            return Err(ENOBUFS);
        }
        let membership = Membership {
            owner: self.owner,
            group,
            mode,
            sources: KVec::new(),
        };
        table
            .memberships
            .push(membership, GFP_ATOMIC)
            .map_err(|_| ENOBUFS)
    }

    /// Is no member any more, of the group on any interface if none is given.
    ///
    /// # Errors
    ///
    /// `EADDRNOTAVAIL` if it was none.
    pub(crate) fn leave(&self, ip: Ip, interface: Option<u32>) -> Result {
        MEMBERS.lock().leave(self.owner, ip, interface)
    }

    /// Adds a source to the filter of a membership, or takes it out.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the socket is no member, or its filter has another mode; `EADDRNOTAVAIL` if the source is there already, or not
    /// there; `ENOBUFS` if there are too many, or memory is short.
    pub(crate) fn set_source(&self, group: Group, mode: Mode, source: Ip, add: bool) -> Result {
        let mut table = MEMBERS.lock();
        let membership = table.find(self.owner, group).ok_or(EINVAL)?;
        if membership.mode != mode && !membership.sources.is_empty() {
            return Err(EINVAL);
        }
        // A filter without sources may change its mode.
        membership.mode = mode;
        let at = membership.sources.iter().position(|known| *known == source);
        match (add, at) {
            (true, None) => {
                let most = match source {
                    Ip::V4(_) => SOURCES_MAX_V4,
                    Ip::V6(_) => SOURCES_MAX_V6,
                };
                if membership.sources.len() >= most {
                    return Err(ENOBUFS);
                }
                membership
                    .sources
                    .push(source, GFP_ATOMIC)
                    .map_err(|_| ENOBUFS)
            }
            (false, Some(_)) if mode == Mode::Include && membership.sources.len() == 1 => {
                // Nobody's datagrams are wanted any more.
                table.leave(self.owner, group.ip, Some(group.interface))
            }
            (false, Some(at)) => membership
                .sources
                .remove(at)
                .map(drop)
                .map_err(|_| EADDRNOTAVAIL),
            (true, Some(_)) | (false, None) => Err(EADDRNOTAVAIL),
        }
    }

    /// Leaves all groups.
    pub(crate) fn leave_all(&self) {
        let mut table = MEMBERS.lock();
        table
            .memberships
            .retain(|membership| membership.owner != self.owner);
    }
}

impl Table {
    fn find(&mut self, owner: u64, group: Group) -> Option<&mut Membership> {
        self.memberships
            .iter_mut()
            .find(|membership| (membership.owner, membership.group) == (owner, group))
    }

    fn leave(&mut self, owner: u64, ip: Ip, interface: Option<u32>) -> Result {
        let is_it = |membership: &Membership| {
            let group = membership.group;
            (membership.owner, group.ip) == (owner, ip)
                && interface.is_none_or(|interface| interface == group.interface)
        };
        let at = self.memberships.iter().position(is_it);
        let removed = at.and_then(|at| self.memberships.remove(at).ok());
        removed.map(drop).ok_or(EADDRNOTAVAIL)
    }
}

/// Whether every host is a member (224.0.0.1, ff01::1, ff02::1).
fn is_of_all_hosts(ip: Ip) -> bool {
    match ip {
        Ip::V4(ip) => ip == [224, 0, 0, 1],
        Ip::V6([0xff, 1 | 2, rest @ ..]) => rest == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        Ip::V6(_) => false,
    }
}
