// SPDX-License-Identifier: GPL-2.0-only
//! Control data of datagrams: what a send says beside its bytes, and what a receiver is told.
//!
//! The counterparts in Linux are `ip_cmsg_send()`, `ip6_datagram_send_ctl()`, `ip_cmsg_recv_offset()` and
//! `ip6_datagram_recv_common_ctl()`.

use kernel::{ffi::c_int, prelude::*};

use crate::ffi::Message;
use crate::field::{field, put};
use crate::local::inbox::Parcel;
use crate::local::route;
use crate::proto::{Family, Ip};
use crate::socket::options::{Options, SOL_IP, SOL_IPV6, SOL_UDP};

const SOL_SOCKET: c_int = 1;
const UDP_SEGMENT: c_int = 103;
const IP_TOS: c_int = 1;
const IP_TTL: c_int = 2;
const IP_PKTINFO: c_int = 8;
const IP_RECVTTL: c_int = 12;
const IP_RECVTOS: c_int = 13;
const IP_ORIGDSTADDR: c_int = 20;
const IP_MULTICAST_TTL: c_int = 33;
const IPV6_UNICAST_HOPS: c_int = 16;
const IPV6_MULTICAST_HOPS: c_int = 18;
const IPV6_RECVPKTINFO: c_int = 49;
const IPV6_PKTINFO: c_int = 50;
const IPV6_RECVHOPLIMIT: c_int = 51;
const IPV6_HOPLIMIT: c_int = 52;
const IPV6_RECVTCLASS: c_int = 66;
const IPV6_TCLASS: c_int = 67;
const IPV6_ORIGDSTADDR: c_int = 74;

/// What a datagram's header says beside addresses.
#[derive(Clone, Copy)]
pub(crate) struct Header {
    /// `IP_TTL`, `IPV6_UNICAST_HOPS`
    pub(crate) hops: u8,
    /// `IP_TOS`, `IPV6_TCLASS`
    pub(crate) service: u8,
    /// The address to send from, if the sender said so.
    pub(crate) from: Option<Ip>,
    /// Bytes of the datagrams that a send is cut into, or zero for one (`UDP_SEGMENT`).
    pub(crate) segment: u16,
    /// Index of the interface that it is sent by, or zero for any; later of the one that it came by.
    pub(crate) interface: u32,
}

impl Header {
    /// Of a datagram from outside, whose header the device does not pass on: as if it came from the next host.
    pub(super) fn unknown() -> Self {
        Self {
            hops: 64,
            service: 0,
            from: None,
            segment: 0,
            interface: route::default_interface().unwrap_or(0),
        }
    }

    /// As the socket's options say.
    pub(super) fn new(options: &Options, to: Ip) -> Self {
        let (hops, service) = match to {
            Ip::V4(_) if route::is_multicast(to) => (
                options.stored(SOL_IP, IP_MULTICAST_TTL),
                options.stored(SOL_IP, IP_TOS),
            ),
            Ip::V6(_) if route::is_multicast(to) => (
                options.stored(SOL_IPV6, IPV6_MULTICAST_HOPS),
                options.stored(SOL_IPV6, IPV6_TCLASS),
            ),
            Ip::V4(_) => (
                options.stored(SOL_IP, IP_TTL),
                options.stored(SOL_IP, IP_TOS),
            ),
            Ip::V6(_) => (
                options.stored(SOL_IPV6, IPV6_UNICAST_HOPS),
                options.stored(SOL_IPV6, IPV6_TCLASS),
            ),
        };
        // All are within their types, by the options' rules.
        Self {
            hops: hops as u8,
            service: service as u8,
            from: None,
            segment: options.stored(SOL_UDP, UDP_SEGMENT) as u16,
            interface: 0,
        }
    }

    /// Takes in what a send says beside its bytes.
    ///
    /// # Errors
    ///
    /// `EINVAL` for what is not known, or too short, or beyond limits.
    pub(super) fn read(&mut self, family: Family, message: &Message) -> Result {
        message.each_control(|level, kind, data| match (family, level, kind) {
            // Marks, time stamps and priorities are for the layers below, of which there are none.
            (_, SOL_SOCKET, _) => Ok(()),
            (Family::V4, SOL_IP, IP_TTL) => {
                self.hops = u8::try_from(number(data)?)
                    .ok()
                    .filter(|hops| *hops > 0)
                    .ok_or(EINVAL)?;
                Ok(())
            }
            (Family::V4, SOL_IP, IP_TOS) => {
                self.service = match data {
                    [byte] => *byte,
                    data => u8::try_from(number(data)?).map_err(|_| EINVAL)?,
                };
                Ok(())
            }
            (Family::V4, SOL_IP, IP_PKTINFO) => {
                let own = Ip::V4(field(data, 4).ok_or(EINVAL)?);
                self.set_interface(data, 0)?;
                self.set_from(own)
            }
            (Family::V6, SOL_IPV6, IPV6_HOPLIMIT) => {
                let hops = number(data)?;
                if hops != -1 {
                    self.hops = u8::try_from(hops).map_err(|_| EINVAL)?;
                }
                Ok(())
            }
            (Family::V6, SOL_IPV6, IPV6_TCLASS) => {
                let service = number(data)?;
                if service != -1 {
                    self.service = u8::try_from(service).map_err(|_| EINVAL)?;
                }
                Ok(())
            }
            (Family::V6, SOL_IPV6, IPV6_PKTINFO) => {
                let own = Ip::V6(field(data, 0).ok_or(EINVAL)?);
                self.set_interface(data, 16)?;
                self.set_from(route::canonical(own))
            }
            (_, SOL_UDP, UDP_SEGMENT) => {
                self.segment = field(data, 0).map(u16::from_ne_bytes).ok_or(EINVAL)?;
                Ok(())
            }
            (_, SOL_UDP, _) => Err(EINVAL),
            // Of other levels, others take care.
            (_, SOL_IP | SOL_IPV6, _) => Err(EINVAL),
            _ => Ok(()),
        })
    }

    fn set_interface(&mut self, data: &[u8], at: usize) -> Result {
        let index = field(data, at).map(u32::from_ne_bytes).ok_or(EINVAL)?;
        if index != 0 && !route::has_interface(index) {
            return Err(ENODEV);
        }
        self.interface = index;
        Ok(())
    }

    fn set_from(&mut self, ip: Ip) -> Result {
        if route::is_unspecified(ip) {
            return Ok(());
        }
        if !route::is_own(ip) {
            return Err(EINVAL);
        }
        self.from = Some(ip);
        Ok(())
    }
}

/// Tells the receiver of a datagram what its options ask for.
pub(super) fn tell(options: &Options, family: Family, parcel: &Parcel, message: &mut Message) {
    let wants = |level, name| options.stored(level, name) != 0;
    if let Ip::V4(to) = parcel.to.ip {
        if wants(SOL_IP, IP_PKTINFO) {
            message.put_control(SOL_IP, IP_PKTINFO, &pktinfo_v4(to, parcel.header.interface));
        }
        if wants(SOL_IP, IP_RECVTTL) {
            let hops = c_int::from(parcel.header.hops);
            message.put_control(SOL_IP, IP_TTL, &hops.to_ne_bytes());
        }
        if wants(SOL_IP, IP_RECVTOS) {
            message.put_control(SOL_IP, IP_TOS, &[parcel.header.service]);
        }
        if wants(SOL_IP, IP_ORIGDSTADDR) {
            let mut address = [0; 16];
            put(&mut address, 0, &Family::V4.code().to_ne_bytes());
            put(&mut address, 2, &parcel.to.port.to_be_bytes());
            put(&mut address, 4, &to);
            message.put_control(SOL_IP, IP_ORIGDSTADDR, &address);
        }
    }
    if family == Family::V6 {
        if wants(SOL_IPV6, IPV6_RECVPKTINFO) {
            message.put_control(SOL_IPV6, IPV6_PKTINFO, &pktinfo_v6(parcel.to.ip, parcel.header.interface));
        }
        if wants(SOL_IPV6, IPV6_RECVHOPLIMIT) {
            let hops = c_int::from(parcel.header.hops);
            message.put_control(SOL_IPV6, IPV6_HOPLIMIT, &hops.to_ne_bytes());
        }
        if wants(SOL_IPV6, IPV6_RECVTCLASS) {
            let service = c_int::from(parcel.header.service);
            message.put_control(SOL_IPV6, IPV6_TCLASS, &service.to_ne_bytes());
        }
        match parcel.to.ip {
            Ip::V6(to) if wants(SOL_IPV6, IPV6_ORIGDSTADDR) => {
                let mut address = [0; 28];
                put(&mut address, 0, &Family::V6.code().to_ne_bytes());
                put(&mut address, 2, &parcel.to.port.to_be_bytes());
                put(&mut address, 8, &to);
                message.put_control(SOL_IPV6, IPV6_ORIGDSTADDR, &address);
            }
            _ => {}
        }
    }
}

/// `struct in_pktinfo`
fn pktinfo_v4(to: [u8; 4], interface: u32) -> [u8; 12] {
    let mut info = [0; 12];
    let own = match route::address_of(interface, Family::V4) {
        Ip::V4(own) if !route::is_own(Ip::V4(to)) => own,
        _ => to,
    };
    put(&mut info, 0, &interface.to_ne_bytes());
    put(&mut info, 4, &own);
    put(&mut info, 8, &to);
    info
}

/// `struct in6_pktinfo`
fn pktinfo_v6(to: Ip, interface: u32) -> [u8; 20] {
    let mut info = [0; 20];
    if let Ip::V6(to) = route::shown_to(Family::V6, to) {
        put(&mut info, 0, &to);
    }
    put(&mut info, 16, &interface.to_ne_bytes());
    info
}

fn number(data: &[u8]) -> Result<c_int> {
    field(data, 0).map(c_int::from_ne_bytes).ok_or(EINVAL)
}
