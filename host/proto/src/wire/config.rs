// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//! Device id, feature bits, queue indices and the configuration space.

use super::field::{Reader, Writer};
use super::{DecodeError, limits};

/// Virtio device id: the one that virtio leaves for experiments (virtio 1.3, section 5).
pub const DEVICE_ID: u32 = 63;

/// Version of the protocol that this code speaks.
pub const VERSION: u32 = 1;

/// Index of the request queue: driver to device.
pub const QUEUE_REQUEST: u16 = 0;
/// Index of the event queue: device to driver, into buffers that the driver posts.
pub const QUEUE_EVENT: u16 = 1;
/// Number of queues.
pub const QUEUE_COUNT: u16 = 2;

/// Feature bits of this device type (virtio gives each type bits 0 to 23).
pub mod feature {
    /// Stream sockets that connect. Without it the device is of no use, so a driver refuses a device that lacks it.
    pub const STREAM: u64 = 1 << 0;
    /// Datagram sockets, whose rings carry records.
    pub const DATAGRAM: u64 = 1 << 1;
    /// Ports of the guest that are reached from outside.
    pub const LISTEN: u64 = 1 << 2;
    /// Socket options are applied on the host's socket.
    pub const OPTIONS: u64 = 1 << 3;
    /// Reserved: the shared memory region for payloads.
    pub const ARENA: u64 = 1 << 4;
    /// Reserved: sockets that live on through a snapshot.
    pub const RESUME: u64 = 1 << 5;
    /// The configuration space has the guest's addresses.
    pub const INTERFACE: u64 = 1 << 6;
    /// CONNECT says which port to come from.
    pub const BIND: u64 = 1 << 7;
    /// UPDATE says which byte is urgent.
    pub const URGENT: u64 = 1 << 8;
    /// What version 1 of the protocol defines.
    pub const SUPPORTED: u64 = STREAM | DATAGRAM | LISTEN | OPTIONS | INTERFACE | BIND | URGENT;
}

/// Size of the configuration space in bytes. What lies behind the defined fields is zero and reserved.
pub const CONFIG_SIZE: usize = 64;

/// The device's configuration space; read-only for the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Sockets that may be open at once; ids are below it. At most [`limits::SOCKETS_MAX`].
    pub max_sockets: u32,
    /// Largest ring in bytes that the device takes, at most [`limits::RING_MAX`].
    pub max_ring: u32,
    /// The guest's IPv4 address, as its peers do not see it; unspecified without [`feature::INTERFACE`].
    pub address_v4: [u8; 4],
    /// The guest's IPv6 address, likewise.
    pub address_v6: [u8; 16],
    /// Ports of the guest that are reached from outside, ended by zero; if none is zero there may be more. All zero without
    /// [`feature::LISTEN`].
    pub ports: [u16; limits::PORTS],
}

impl Config {
    /// Whether LISTEN for a socket with this port is of any use.
    pub fn may_reach(&self, port: u16) -> bool {
        let listed = |listed: &u16| *listed == port;
        port != 0 && (self.ports.iter().any(listed) || !self.ports.contains(&0))
    }

    /// Writes the configuration space.
    pub fn encode(&self) -> [u8; CONFIG_SIZE] {
        let mut bytes = [0; CONFIG_SIZE];
        let mut writer = Writer::new(&mut bytes);
        writer.u32(VERSION);
        writer.u32(self.max_sockets);
        writer.u32(self.max_ring);
        writer.array(self.address_v4);
        writer.array(self.address_v6);
        for port in self.ports {
            writer.u16(port);
        }
        bytes
    }

    /// Reads the configuration space.
    ///
    /// # Errors
    /// [`DecodeError::Version`] if the device speaks another version; [`DecodeError::Ring`] if it takes no valid ring.
    pub fn decode(bytes: &[u8; CONFIG_SIZE]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let version = reader.u32();
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let max_sockets = reader.u32().min(limits::SOCKETS_MAX);
        let max_ring = reader.u32();
        if !(limits::RING_MIN..=limits::RING_MAX).contains(&max_ring) {
            return Err(DecodeError::Ring {
                address: 0,
                size: max_ring,
            });
        }
        Ok(Self {
            max_sockets,
            max_ring,
            address_v4: reader.array(),
            address_v6: reader.array(),
            ports: core::array::from_fn(|_| reader.u16()),
        })
    }
}
