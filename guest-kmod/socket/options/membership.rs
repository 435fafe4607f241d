// SPDX-License-Identifier: GPL-2.0-only
//! Options about multicast groups, whose values are structures: `struct ip_mreqn`, `struct group_req` and their kin
//! (`include/uapi/linux/in.h`, `include/uapi/linux/in6.h`).

use kernel::{ffi::c_int, prelude::*};

use super::{SOL_IP, SOL_IPV6};
use crate::field::field;
use crate::local::groups::Mode;
use crate::proto::{Family, Ip};

pub(in crate::socket) const IP_MULTICAST_IF: c_int = 32;
const IP_ADD_MEMBERSHIP: c_int = 35;
const IP_DROP_MEMBERSHIP: c_int = 36;
const IP_UNBLOCK_SOURCE: c_int = 37;
const IP_BLOCK_SOURCE: c_int = 38;
const IP_ADD_SOURCE_MEMBERSHIP: c_int = 39;
const IP_DROP_SOURCE_MEMBERSHIP: c_int = 40;
const IPV6_JOIN_GROUP: c_int = 20;
const IPV6_LEAVE_GROUP: c_int = 21;
const MCAST_JOIN_GROUP: c_int = 42;
const MCAST_BLOCK_SOURCE: c_int = 43;
const MCAST_UNBLOCK_SOURCE: c_int = 44;
const MCAST_LEAVE_GROUP: c_int = 45;
const MCAST_JOIN_SOURCE_GROUP: c_int = 46;
const MCAST_LEAVE_SOURCE_GROUP: c_int = 47;

/// `sizeof(struct group_source_req)`, the largest of the structures.
pub(in crate::socket) const LARGEST: usize = 264;
/// `sizeof(struct group_req)`
const GROUP_REQ: usize = 136;
/// Offset of the address in a `struct sockaddr_in`, and in a `struct sockaddr_in6`.
const ADDRESS_V4: usize = 4;
const ADDRESS_V6: usize = 8;
/// Offsets of the group and of the source in a `struct group_source_req`.
const GROUP: usize = 8;
const SOURCE: usize = GROUP + 128;

/// The interface that an option names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::socket) enum Named {
    /// None.
    No,
    /// By its index.
    Index(u32),
    /// By an address of it.
    Address([u8; 4]),
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::socket) enum Change {
    /// `IP_MULTICAST_IF`: the interface to send by.
    SendBy,
    /// Become a member.
    Join,
    /// Be none any more.
    Leave,
    /// Add a source to the filter, or take it out.
    Source {
        mode: Mode,
        source: Ip,
        add: bool,
    },
}

/// An option's value.
#[derive(Clone, Copy, Debug)]
pub(in crate::socket) struct Membership {
    pub(in crate::socket) change: Change,
    pub(in crate::socket) group: Ip,
    pub(in crate::socket) interface: Named,
}

/// Whether it is an option of this kind, for a socket of the family.
pub(in crate::socket) fn is_one(family: Family, level: c_int, name: c_int) -> bool {
    match (level, name) {
        (SOL_IP, IP_MULTICAST_IF | IP_ADD_MEMBERSHIP..=IP_DROP_SOURCE_MEMBERSHIP)
        | (SOL_IP, MCAST_JOIN_GROUP..=MCAST_LEAVE_SOURCE_GROUP) => true,
        (SOL_IPV6, IPV6_JOIN_GROUP | IPV6_LEAVE_GROUP)
        | (SOL_IPV6, MCAST_JOIN_GROUP..=MCAST_LEAVE_SOURCE_GROUP) => family == Family::V6,
        _ => false,
    }
}

impl Membership {
    /// Reads the value of an option that [is one](is_one).
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is too short, or `EINVAL` or `EADDRNOTAVAIL` for addresses of another family.
    pub(in crate::socket) fn read(level: c_int, name: c_int, value: &[u8]) -> Result<Self> {
        match (level, name) {
            (SOL_IP, IP_MULTICAST_IF) => Self::read_send_by(value),
            (SOL_IP, IP_ADD_MEMBERSHIP | IP_DROP_MEMBERSHIP) => {
                let change = if name == IP_ADD_MEMBERSHIP {
                    Change::Join
                } else {
                    Change::Leave
                };
                Self::read_mreqn(change, value)
            }
            (SOL_IP, IP_UNBLOCK_SOURCE..=IP_DROP_SOURCE_MEMBERSHIP) => {
                Self::read_mreq_source(name, value)
            }
            (SOL_IPV6, IPV6_JOIN_GROUP | IPV6_LEAVE_GROUP) => {
                let change = if name == IPV6_JOIN_GROUP {
                    Change::Join
                } else {
                    Change::Leave
                };
                Ok(Self {
                    change,
                    group: Ip::V6(field(value, 0).ok_or(EINVAL)?),
                    interface: index(value, 16)?,
                })
            }
            _ => Self::read_group_req(level, name, value),
        }
    }

    /// `struct ip_mreqn`, `struct ip_mreq` or `struct in_addr`
    fn read_send_by(value: &[u8]) -> Result<Self> {
        let interface = match value.len() {
            12.. => by_index_or_address(value)?,
            8.. => address(value, 4)?,
            _ => address(value, 0)?,
        };
        Ok(Self {
            change: Change::SendBy,
            group: Ip::V4([0; 4]),
            interface,
        })
    }

    /// `struct ip_mreqn` or `struct ip_mreq`
    fn read_mreqn(change: Change, value: &[u8]) -> Result<Self> {
        let interface = match value.len() {
            12.. => by_index_or_address(value)?,
            _ => address(value, 4)?,
        };
        Ok(Self {
            change,
            group: Ip::V4(field(value, 0).ok_or(EINVAL)?),
            interface,
        })
    }

    /// `struct ip_mreq_source`
    fn read_mreq_source(name: c_int, value: &[u8]) -> Result<Self> {
        let source = Ip::V4(field(value, 8).ok_or(EINVAL)?);
        let (mode, add) = match name {
            IP_BLOCK_SOURCE => (Mode::Exclude, true),
            IP_UNBLOCK_SOURCE => (Mode::Exclude, false),
            IP_ADD_SOURCE_MEMBERSHIP => (Mode::Include, true),
            _ => (Mode::Include, false),
        };
        Ok(Self {
            change: Change::Source { mode, source, add },
            group: Ip::V4(field(value, 0).ok_or(EINVAL)?),
            interface: address(value, 4)?,
        })
    }

    /// `struct group_req` or `struct group_source_req`
    fn read_group_req(level: c_int, name: c_int, value: &[u8]) -> Result<Self> {
        let (family, wrong) = match (level, name) {
            (SOL_IP, MCAST_JOIN_GROUP | MCAST_LEAVE_GROUP) => (Family::V4, EINVAL),
            (SOL_IP, _) => (Family::V4, EADDRNOTAVAIL),
            _ => (Family::V6, EADDRNOTAVAIL),
        };
        let ip = |at| sockaddr(family, value, at).ok_or(wrong);
        let change = match name {
            MCAST_JOIN_GROUP | MCAST_LEAVE_GROUP if value.len() < GROUP_REQ => return Err(EINVAL),
            MCAST_JOIN_GROUP => Change::Join,
            MCAST_LEAVE_GROUP => Change::Leave,
            _ if value.len() < LARGEST => return Err(EINVAL),
            _ => {
                let (mode, add) = match name {
                    MCAST_BLOCK_SOURCE => (Mode::Exclude, true),
                    MCAST_UNBLOCK_SOURCE => (Mode::Exclude, false),
                    MCAST_JOIN_SOURCE_GROUP => (Mode::Include, true),
                    _ => (Mode::Include, false),
                };
                let source = ip(SOURCE)?;
                Change::Source { mode, source, add }
            }
        };
        Ok(Self {
            change,
            group: ip(GROUP)?,
            interface: index(value, 0)?,
        })
    }
}

fn sockaddr(family: Family, value: &[u8], at: usize) -> Option<Ip> {
    if field(value, at).map(u16::from_ne_bytes)? != family.code() {
        return None;
    }
    match family {
        Family::V4 => field(value, at + ADDRESS_V4).map(Ip::V4),
        Family::V6 => field(value, at + ADDRESS_V6).map(Ip::V6),
    }
}

/// The interface of a `struct ip_mreqn`: its index, or if that is zero its address.
fn by_index_or_address(value: &[u8]) -> Result<Named> {
    match index(value, 8)? {
        Named::No => address(value, 4),
        index => Ok(index),
    }
}

fn index(value: &[u8], at: usize) -> Result<Named> {
    match field(value, at).map(u32::from_ne_bytes).ok_or(EINVAL)? {
        0 => Ok(Named::No),
        index => Ok(Named::Index(index)),
    }
}

fn address(value: &[u8], at: usize) -> Result<Named> {
    match field(value, at).ok_or(EINVAL)? {
        [0, 0, 0, 0] => Ok(Named::No),
        address => Ok(Named::Address(address)),
    }
}
