// SPDX-License-Identifier: GPL-2.0-only
//! Datagrams for many: to a multicast group, or to everybody. They stay within the guest, as on a network where nobody else is.

use kernel::{ffi::c_int, prelude::*};

use super::control::Header;
use super::send::{Plan, Way};
use super::Datagram;
use crate::ffi::{Message, Sock};
use crate::local::groups::{Group, Mode};
use crate::local::route::{self, Spot};
use crate::proto::{Family, Ip};
use crate::socket::options::membership::{Change, Membership, Named};
use crate::socket::options::{SOL_IP, SOL_IPV6};

const IP_MULTICAST_LOOP: c_int = 34;
const IPV6_MULTICAST_IF: c_int = 17;
const IPV6_MULTICAST_LOOP: c_int = 19;

/// By which interface a socket sends to groups of IPv4, if its user said so (`IP_MULTICAST_IF`).
#[derive(Clone, Copy, Default)]
pub(super) struct SendBy {
    /// Its index, or zero.
    interface: u32,
    /// The address by which it was named.
    address: [u8; 4],
}

impl SendBy {
    /// What `getsockopt()` shows.
    pub(super) fn shown(self) -> c_int {
        c_int::from_ne_bytes(self.address)
    }
}

impl Datagram {
    /// Plans a datagram to a group, or to everybody on an interface. The order of checks is that of `udp_sendmsg()`.
    pub(super) fn plan_for_many(
        &self,
        sk: &Sock,
        to: Spot,
        everybody: Option<u32>,
        message: &Message,
    ) -> Result<Plan> {
        let mut header = self.with_options(|options| Header::new(options, to.ip));
        header.read(self.family, message)?;
        let (interface, own) = match everybody {
            Some(_) if !sk.may_broadcast() => return Err(EACCES),
            Some(interface) => (interface, route::address_of(interface, Family::V4)),
            None => self.way(header.interface, to.ip)?,
        };
        header.interface = interface;
        let group = Group {
            ip: to.ip,
            interface,
        };
        Ok(Plan {
            from: self.sender(header.from.unwrap_or(own), header.from.is_some())?,
            to,
            header,
            way: Way::Many(everybody.is_none().then_some(group)),
        })
    }

    /// Whether what the socket sends to a group comes back to the guest.
    pub(super) fn hears_itself(&self, to: Ip) -> bool {
        self.with_options(|options| match to {
            Ip::V4(_) => options.stored(SOL_IP, IP_MULTICAST_LOOP) != 0,
            Ip::V6(_) => options.stored(SOL_IPV6, IPV6_MULTICAST_LOOP) != 0,
        })
    }

    /// The interface by which a datagram to a group is sent, and the address to send from.
    ///
    /// # Errors
    ///
    /// `ENETUNREACH` if there is none.
    pub(super) fn way(&self, asked: u32, to: Ip) -> Result<(u32, Ip)> {
        let (send_by, bound) = {
            let state = self.state.lock();
            let bound = state.binding.as_ref().map(|binding| binding.spot().ip);
            let specified = |own: &Ip| {
                !route::is_unspecified(*own) && route::family_of(*own) == route::family_of(to)
            };
            (state.send_by, bound.filter(specified))
        };
        let chosen = match to {
            Ip::V4(_) => send_by.interface,
            Ip::V6(_) => self
                .with_options(|options| options.stored(SOL_IPV6, IPV6_MULTICAST_IF))
                .unsigned_abs(),
        };
        let interface = match (asked, chosen) {
            // The one that the socket's own address is on.
            (0, 0) => match bound {
                Some(own) => route::interface_with(own).ok_or(EINVAL)?,
                None => route::default_interface().ok_or(ENETUNREACH)?,
            },
            (0, chosen) => chosen,
            (asked, _) => asked,
        };
        if interface == route::LOOPBACK && matches!(to, Ip::V6(_)) {
            // Linux has no route for groups of IPv6 there.
            return Err(ENETUNREACH);
        }
        let own = match to {
            Ip::V4(_) if asked == 0 && send_by.address != [0; 4] => Ip::V4(send_by.address),
            to => route::address_of(interface, route::family_of(to)),
        };
        Ok((interface, own))
    }

    /// An option about groups.
    ///
    /// # Errors
    ///
    /// `EINVAL` for an address that is no group's, `ENODEV` or `EADDRNOTAVAIL` for an interface that there is not, and what
    /// [`Groups`](crate::local::groups::Groups) says.
    pub(in crate::socket) fn change_membership(&self, membership: &Membership) -> Result {
        let Membership {
            change,
            group: ip,
            interface: named,
        } = *membership;
        if change == Change::SendBy {
            return self.send_by(named);
        }
        if !route::is_multicast(ip) {
            return Err(EINVAL);
        }
        if change == Change::Leave {
            return self.leave(ip, named);
        }
        let interface = interface_of(named);
        let is_v6 = matches!(ip, Ip::V6(_));
        self.inbox.with_groups(|groups| {
            if is_v6 && named == Named::No && groups.has_anywhere(ip) && change == Change::Join {
                return Err(EADDRINUSE);
            }
            let interface = interface.ok_or(ENODEV)?;
            let group = Group { ip, interface };
            match change {
                Change::Source { mode, source, add } => {
                    if (mode, add) == (Mode::Include, true) {
                        match groups.join(group, mode) {
                            // A member adds one more.
                            Err(error) if error == EADDRINUSE => {}
                            joined => joined?,
                        }
                    }
                    groups.set_source(group, mode, source, add)
                }
                _ => groups.join(group, Mode::Exclude),
            }
        })
    }

    fn leave(&self, ip: Ip, named: Named) -> Result {
        let interface = interface_of(named);
        let interface = match (ip, named) {
            (Ip::V6(_), Named::No) => None,
            (Ip::V4(_), Named::No) => Some(interface.ok_or(ENODEV)?),
            (_, Named::Address(_)) => Some(interface.ok_or(EADDRNOTAVAIL)?),
            (_, Named::Index(index)) => Some(index),
        };
        self.inbox.with_groups(|groups| groups.leave(ip, interface))
    }

    fn send_by(&self, named: Named) -> Result {
        let send_by = match named {
            Named::No => SendBy::default(),
            Named::Index(interface) if route::has_interface(interface) => SendBy {
                interface,
                address: [0; 4],
            },
            Named::Address(address) => SendBy {
                interface: route::interface_with(Ip::V4(address)).ok_or(EADDRNOTAVAIL)?,
                address,
            },
            Named::Index(_) => return Err(EADDRNOTAVAIL),
        };
        self.state.lock().send_by = send_by;
        Ok(())
    }
}

/// The interface that an option means.
fn interface_of(named: Named) -> Option<u32> {
    match named {
        Named::No => route::default_interface(),
        Named::Index(index) => route::has_interface(index).then_some(index),
        Named::Address(address) => route::interface_with(Ip::V4(address)),
    }
}
