// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//! Messages, limits and configuration of virtio-nexus.
//!
//! - [`config`]: device id, feature bits, queue indices, configuration space.
//! - [`limits`]: every limit of the protocol, each with its reason.
//! - [`address`]: socket addresses.
//! - [`ring`]: the byte rings in guest memory, and the arithmetic of positions and credit.
//! - [`option`]: socket options for the host's socket.
//! - [`record`]: datagrams in a ring.
//! - [`request`]: what the driver tells the device.
//! - [`event`]: what the device tells the driver.
//!
//! Decoding never trusts a byte: what comes from the other side ends in a typed value or in a [`DecodeError`].

pub mod address;
pub mod config;
pub mod event;
pub(crate) mod field;
pub mod limits;
pub mod option;
pub mod record;
pub mod request;
pub mod ring;

pub use address::{Address, Ip};
pub use config::Config;
pub use event::{Event, Status};
pub use option::SocketOption;
pub use record::Record;
pub use request::{Family, Kind, Progress, Request};
pub use ring::Ring;

/// One message as it lies in a descriptor: fixed size, little-endian ("Messages" in the specification).
pub type Message = [u8; limits::MESSAGE_SIZE];

/// Names one socket of one device, chosen by the driver ("Socket ids" in the specification).
pub type SocketId = u32;

/// Why a message or a configuration space cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The operation code is not one of this version's.
    Operation(u16),
    /// An address family other than IPv4 (2) and IPv6 (10).
    Family(u16),
    /// A socket type that was not negotiated.
    Kind(u16),
    /// A flag bit that this version does not define.
    Flags(u16),
    /// A ring whose start or size breaks the rules of [`Ring::new`].
    Ring {
        /// Guest-physical address of its first byte.
        address: u64,
        /// Its size in bytes.
        size: u32,
    },
    /// A protocol version that this code does not speak.
    Version(u32),
    /// A socket option that the device does not take.
    Option {
        /// Its level.
        level: u32,
        /// Its name.
        name: u32,
    },
    /// A record that is longer than the bytes that were produced.
    Record {
        /// Its payload in bytes.
        length: u32,
        /// Bytes in the ring, its header included.
        available: u32,
    },
}

impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Self::Operation(code) => write!(f, "unknown operation code {code}"),
            Self::Family(family) => write!(
                f,
                "address family {family} is neither IPv4 (2) nor IPv6 (10)"
            ),
            Self::Kind(kind) => write!(f, "socket type {kind} was not negotiated"),
            Self::Flags(flags) => write!(f, "undefined flag bits in {flags:#06x}"),
            Self::Ring { address, size } => write!(
                f,
                "ring of {size} bytes at {address:#x}: the size must be a power of two from {} to {}, the start a multiple of {}",
                limits::RING_MIN,
                limits::RING_MAX,
                limits::RING_ALIGN
            ),
            Self::Option { level, name } => {
                write!(f, "socket option {name} of level {level} is not taken")
            }
            Self::Record { length, available } => write!(
                f,
                "record with {length} bytes of payload in a ring with {available} bytes"
            ),
            Self::Version(version) => write!(f, "protocol version {version} is not supported"),
        }
    }
}

impl core::error::Error for DecodeError {}
