// SPDX-License-Identifier: Apache-2.0
//! Plays a script.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use crate::call::{Call, Device, Family, Host, Kind, Membership, Outcome, Port, Slot};
use crate::sys::{self, Name};

/// The multicast group of scripts.
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);

/// Plays a script from the first call to the last, and closes what it left open.
pub fn play(calls: &[Call]) -> Vec<Outcome> {
    let mut world = World::default();
    calls.iter().map(|call| world.make(call)).collect()
}

struct Held {
    fd: OwnedFd,
    family: Family,
}

/// The sockets of a script.
#[derive(Default)]
struct World {
    sockets: BTreeMap<Slot, Held>,
    epoll: Option<OwnedFd>,
    /// Ports by order of appearance.
    ports: Vec<u16>,
    /// Number of the next byte that is sent, so that bytes out of order are noticed.
    sent: u8,
}

impl World {
    fn make(&mut self, call: &Call) -> Outcome {
        self.attempt(call).unwrap_or_else(Outcome::Failed)
    }

    fn attempt(&mut self, call: &Call) -> sys::Result<Outcome> {
        match *call {
            Call::Socket(slot, family, kind) => {
                let fd = sys::socket(family_code(family), kind_code(kind), 0)?;
                self.sockets.insert(slot, Held { fd, family });
                Ok(Outcome::Done(0))
            }
            Call::Protocol(family, kind, protocol) => {
                sys::socket(family_code(family), kind_code(kind), protocol)?;
                Ok(Outcome::Done(0))
            }
            Call::Accept(slot, into) => {
                let Some(held) = self.sockets.get(&slot) else {
                    return Ok(Outcome::Skipped);
                };
                let family = held.family;
                let (fd, name) = sys::accept(&held.fd)?;
                self.sockets.insert(into, Held { fd, family });
                Ok(self.named(&name))
            }
            Call::Duplicate(slot, into) => {
                let Some(held) = self.sockets.get(&slot) else {
                    return Ok(Outcome::Skipped);
                };
                let (fd, family) = (sys::duplicate(&held.fd)?, held.family);
                self.sockets.insert(into, Held { fd, family });
                Ok(Outcome::Done(0))
            }
            Call::Close(slot) => Ok(match self.sockets.remove(&slot) {
                Some(_) => Outcome::Done(0),
                None => Outcome::Skipped,
            }),
            Call::Wait => self.wait(),
            Call::Watch(slot, flags) => {
                if self.epoll.is_none() {
                    self.epoll = Some(sys::epoll()?);
                }
                match (&self.epoll, self.sockets.get(&slot)) {
                    (Some(epoll), Some(held)) => {
                        sys::watch(epoll, &held.fd, slot.into(), flags).map(Outcome::Done)
                    }
                    _ => Ok(Outcome::Skipped),
                }
            }
            Call::Bind(slot, host, port)
            | Call::Connect(slot, host, port)
            | Call::SendTo(slot, _, _, host, port) => {
                // Nobody is at port 0, though a socket that is not bound says so.
                let least = u16::from(!matches!(call, Call::Bind(..)));
                let Some(name) = self.name(slot, host, port, least) else {
                    return Ok(Outcome::Skipped);
                };
                self.address(call, slot, &name)
            }
            Call::Send(slot, length, flags) => self.send(slot, length, flags, None),
            Call::Receive(slot, length, flags) => self.receive(slot, length, flags),
            Call::LocalName(slot) => self.query(slot, sys::local_name),
            Call::PeerName(slot) => self.query(slot, sys::peer_name),
            Call::Poll(slot) => self.simple(slot, |fd| sys::poll(fd).map(Into::into)),
            Call::Listen(slot, backlog) => self.simple(slot, |fd| sys::listen(fd, backlog)),
            Call::Disconnect(slot) => {
                self.simple(slot, |fd| sys::connect(fd, &Name::unspecified()))
            }
            Call::Shutdown(slot, how) => self.simple(slot, |fd| sys::shutdown(fd, how)),
            Call::Set(slot, level, name, value) => {
                self.simple(slot, |fd| sys::set(fd, level, name, &value))
            }
            Call::Get(slot, level, name) => self.simple(slot, |fd| sys::get(fd, level, name)),
            Call::BindToDevice(slot, device) => {
                let name: &[u8; 8] = match device {
                    Device::Loopback => b"lo\0\0\0\0\0\0",
                    Device::Missing => b"missing\0",
                    Device::Any => &[0; 8],
                };
                let (level, option) = (libc::SOL_SOCKET, libc::SO_BINDTODEVICE);
                self.simple(slot, |fd| sys::set(fd, level, option, name))
            }
            Call::Group(slot, membership) => {
                let (name, value) = membership_option(membership);
                self.simple(slot, |fd| sys::set(fd, libc::IPPROTO_IP, name, &value))
            }
            Call::Readable(slot) => self.simple(slot, sys::readable),
            Call::Stamped(slot) => self.simple(slot, sys::stamped),
            Call::Linger(slot, seconds) => {
                let linger = libc::linger {
                    l_onoff: 1,
                    l_linger: seconds,
                };
                self.simple(slot, |fd| {
                    sys::set(fd, libc::SOL_SOCKET, libc::SO_LINGER, &linger)
                })
            }
        }
    }

    fn simple(
        &self,
        slot: Slot,
        call: impl FnOnce(&OwnedFd) -> sys::Result<i64>,
    ) -> sys::Result<Outcome> {
        match self.sockets.get(&slot) {
            Some(held) => call(&held.fd).map(Outcome::Done),
            None => Ok(Outcome::Skipped),
        }
    }

    fn query(
        &mut self,
        slot: Slot,
        call: impl FnOnce(&OwnedFd) -> sys::Result<Name>,
    ) -> sys::Result<Outcome> {
        let Some(held) = self.sockets.get(&slot) else {
            return Ok(Outcome::Skipped);
        };
        let name = call(&held.fd)?;
        Ok(self.named(&name))
    }

    fn address(&mut self, call: &Call, slot: Slot, name: &Name) -> sys::Result<Outcome> {
        match *call {
            Call::Bind(..) => self.simple(slot, |fd| sys::bind(fd, name)),
            Call::SendTo(_, length, flags, ..) => self.send(slot, length, flags, Some(name)),
            _ => self.simple(slot, |fd| sys::connect(fd, name)),
        }
    }

    fn send(
        &mut self,
        slot: Slot,
        length: u32,
        flags: i32,
        to: Option<&Name>,
    ) -> sys::Result<Outcome> {
        let Some(held) = self.sockets.get(&slot) else {
            return Ok(Outcome::Skipped);
        };
        let mut number = self.sent;
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            number = number.wrapping_add(1);
            number
        })
        .take(length as usize)
        .collect();
        let sent = sys::send(&held.fd, &bytes, flags, to)?;
        self.sent = number;
        Ok(Outcome::Done(sent))
    }

    fn receive(&mut self, slot: Slot, length: u32, flags: i32) -> sys::Result<Outcome> {
        let Some(held) = self.sockets.get(&slot) else {
            return Ok(Outcome::Skipped);
        };
        let mut buffer = vec![0; length as usize];
        let message = sys::receive(&held.fd, &mut buffer, flags)?;
        let mut hasher = DefaultHasher::new();
        buffer.hash(&mut hasher);
        let from = self.describe(&message.name);
        let control = message.control.iter().map(told).collect();
        Ok(Outcome::Received(
            message.length,
            message.flags,
            hasher.finish(),
            from,
            control,
        ))
    }

    fn wait(&mut self) -> sys::Result<Outcome> {
        let Some(epoll) = &self.epoll else {
            return Ok(Outcome::Skipped);
        };
        let mut events: Vec<_> = sys::wait(epoll)?
            .into_iter()
            .map(|(data, bits)| (Slot::try_from(data).unwrap_or(Slot::MAX), bits))
            .collect();
        events.sort_unstable();
        Ok(Outcome::Events(events))
    }

    /// The address as a socket of the slot's family is given it.
    fn name(&self, slot: Slot, host: Host, port: Port, least: u16) -> Option<Name> {
        let family = self.sockets.get(&slot)?.family;
        let port = match port {
            Port::Zero => 0,
            // Reserved (RFC 6335), and below what kernels give out.
            Port::Nobody => 1023,
            Port::Of(other) => {
                let other = self.sockets.get(&other)?;
                sys::local_name(&other.fd).ok()?.address()?.port()
            }
        };
        Some(Name::new(SocketAddr::new(
            ip(family, host),
            port.max(least),
        )))
    }

    fn named(&mut self, name: &Name) -> Outcome {
        Outcome::Named(self.describe(name))
    }

    fn describe(&mut self, name: &Name) -> String {
        let Some(address) = name.address() else {
            return "none".into();
        };
        let port = address.port();
        if port == 0 {
            return format!("{} unbound", address.ip());
        }
        let known = self.ports.iter().position(|known| *known == port);
        let number = known.unwrap_or_else(|| {
            self.ports.push(port);
            self.ports.len() - 1
        });
        format!("{} port {number}", address.ip())
    }
}

/// A piece of control data: level, type, and its bytes. Of errors the numbers, since an address in them has a port.
fn told(control: &sys::Control) -> String {
    let sys::Control { level, kind, data } = control;
    let is_error = matches!(
        (*level, *kind),
        (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
    );
    let shown = if is_error {
        data.get(..16).unwrap_or(data)
    } else {
        data
    };
    format!("{level} {kind} {shown:?}")
}

fn ip(family: Family, host: Host) -> IpAddr {
    let v4 = match host {
        Host::Any => Ipv4Addr::UNSPECIFIED,
        Host::Loopback | Host::Mapped => Ipv4Addr::LOCALHOST,
        Host::Other => Ipv4Addr::new(127, 0, 0, 2),
        Host::Foreign => Ipv4Addr::new(192, 0, 2, 1),
        Host::Group => GROUP,
        Host::Everybody => Ipv4Addr::new(127, 255, 255, 255),
    };
    match (family, host) {
        (Family::V4, _) => v4.into(),
        (Family::V6, Host::Any) => Ipv6Addr::UNSPECIFIED.into(),
        (Family::V6, Host::Loopback) => Ipv6Addr::LOCALHOST.into(),
        (Family::V6, Host::Other | Host::Mapped | Host::Group | Host::Everybody) => {
            v4.to_ipv6_mapped().into()
        }
        (Family::V6, Host::Foreign) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    }
}

/// The option that says it, and its value: `struct ip_mreqn` or `struct ip_mreq_source`.
fn membership_option(membership: Membership) -> (i32, [u8; 12]) {
    let own = Ipv4Addr::LOCALHOST.octets();
    let index = 1u32.to_ne_bytes();
    let (name, last) = match membership {
        Membership::SendBy => (libc::IP_MULTICAST_IF, index),
        Membership::Join => (libc::IP_ADD_MEMBERSHIP, index),
        Membership::Leave => (libc::IP_DROP_MEMBERSHIP, index),
        Membership::JoinSource => (libc::IP_ADD_SOURCE_MEMBERSHIP, own),
        Membership::LeaveSource => (libc::IP_DROP_SOURCE_MEMBERSHIP, own),
        Membership::Block => (libc::IP_BLOCK_SOURCE, own),
        Membership::Unblock => (libc::IP_UNBLOCK_SOURCE, own),
    };
    let mut value = [0; 12];
    for (part, bytes) in value.chunks_exact_mut(4).zip([GROUP.octets(), own, last]) {
        part.copy_from_slice(&bytes);
    }
    (name, value)
}

fn family_code(family: Family) -> i32 {
    match family {
        Family::V4 => libc::AF_INET,
        Family::V6 => libc::AF_INET6,
    }
}

fn kind_code(kind: Kind) -> i32 {
    match kind {
        Kind::Stream => libc::SOCK_STREAM,
        Kind::Datagram => libc::SOCK_DGRAM,
    }
}
