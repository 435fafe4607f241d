// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//! The wire format of virtio-nexus, the device through which a Nexus guest reaches the outside world.
//!
//! The normative text is `docs/virtio-nexus.md`; a test of this crate holds the constants to that page.
//! Everything that both sides of the device must agree on is in [`wire`], which depends on `core` alone and is compiled
//! twice: by cargo for the host, and into the guest's kernel module by path (`guest-kmod/proto.rs`). [`local`] is what
//! local mode has instead of the device, and [`call`] what SDK shims say to the gateway.
#![no_std]
#![forbid(unsafe_code)]

pub mod call;
pub mod local;
pub mod wire;

#[cfg(test)]
mod tests;
