// SPDX-License-Identifier: GPL-2.0-only
//! nexus.ko: gives a guest sockets without a network stack, through a virtio-nexus device.
//!
//! The device's specification is `docs/virtio-nexus.md`. Where to look:
//!
//! - `socket/`: the families PF_INET and PF_INET6, system call by system call.
//! - `local/`: the guest's own network: ports, and connections that never leave the guest.
//! - `virtio/`: the driver, its virtqueues and the device.
//! - `table.rs`: socket ids; `ring_memory.rs`: memory shared with the device, `ring_size.rs`: how much; `error.rs`: error numbers.
//! - `proto.rs`: the wire format, shared with the host.
//! - `ffi/`: what the kernel crate does not wrap; `field.rs`: C structures as bytes.
//!
//! The lock order is at the head of `socket/stream/endpoint.rs`.

use kernel::prelude::*;

mod error;
mod ffi;
mod field;
mod interfaces;
mod local;
mod proto;
mod ring_memory;
mod ring_size;
mod socket;
mod table;
mod virtio;

module! {
    type: Nexus,
    name: "nexus",
    authors: ["The Nexus authors"],
    description: "Stream sockets over virtio-nexus",
    license: "GPL v2",
    params: {
        tx_ring: u32 {
            default: 262144,
            description: "Most bytes in a socket's ring to the peer: rounded down to a power of two, 4096 to 1048576",
        },
        rx_ring: u32 {
            default: 262144,
            description: "Most bytes in a socket's ring from the peer: as tx_ring",
        },
    },
}

/// The module. Fields are dropped in their order: no new sockets, then no device, then nothing to be seen of either.
struct Nexus {
    _families: socket::family::Families,
    _driver: virtio::Driver,
    _interfaces: interfaces::Interfaces,
}

impl kernel::Module for Nexus {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // SAFETY: This is the module's first action, and happens once.
        unsafe { virtio::init() };
        // SAFETY: As above.
        unsafe { local::init() };
        let interfaces = interfaces::Interfaces::register()?;
        let families = socket::family::Families::register()?;
        let driver = virtio::Driver::register()?;
        Ok(Self {
            _families: families,
            _driver: driver,
            _interfaces: interfaces,
        })
    }
}
