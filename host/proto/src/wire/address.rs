// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//! Socket addresses on the wire.

use super::DecodeError;
use super::field::{Reader, Writer};
use super::request::Family;

/// An IP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ip {
    /// IPv4, most significant byte first.
    V4([u8; 4]),
    /// IPv6, most significant byte first.
    V6([u8; 16]),
}

/// An IP address with port, and for IPv6 flow label and scope: 28 bytes on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The IP address.
    pub ip: Ip,
    /// Port number (a number, not network byte order).
    pub port: u16,
    /// IPv6 flow information as in `sin6_flowinfo`; zero for IPv4.
    pub flow: u32,
    /// IPv6 scope as in `sin6_scope_id`, an interface index; zero for IPv4.
    pub scope: u32,
}

impl Address {
    /// The unspecified address (0.0.0.0 or ::) with port 0: "no address yet".
    pub const fn unspecified(family: Family) -> Self {
        let ip = match family {
            Family::V4 => Ip::V4([0; 4]),
            Family::V6 => Ip::V6([0; 16]),
        };
        Self {
            ip,
            port: 0,
            flow: 0,
            scope: 0,
        }
    }

    /// The family that the address belongs to.
    pub const fn family(&self) -> Family {
        match self.ip {
            Ip::V4(_) => Family::V4,
            Ip::V6(_) => Family::V6,
        }
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        writer.u16(self.family().code());
        writer.u16(self.port);
        writer.u32(self.flow);
        writer.u32(self.scope);
        match self.ip {
            Ip::V4(ip) => {
                writer.array(ip);
                writer.array([0; 12]);
            }
            Ip::V6(ip) => writer.array(ip),
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let family = Family::from_code(reader.u16())?;
        let port = reader.u16();
        let flow = reader.u32();
        let scope = reader.u32();
        let bytes: [u8; 16] = reader.array();
        Ok(match family {
            Family::V4 => {
                let [a, b, c, d, ..] = bytes;
                Self {
                    ip: Ip::V4([a, b, c, d]),
                    port,
                    flow: 0,
                    scope: 0,
                }
            }
            Family::V6 => Self {
                ip: Ip::V6(bytes),
                port,
                flow,
                scope,
            },
        })
    }
}
