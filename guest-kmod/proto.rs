// SPDX-License-Identifier: GPL-2.0-only
//! The wire format of virtio-nexus: the very code that the host is built from.
//!
//! The normative text is `docs/virtio-nexus.md`.

#[expect(
    dead_code,
    reason = "the driver encodes requests and decodes events; the opposite directions are the device's"
)]
#[expect(unreachable_pub, reason = "a library's items, for the host's crates")]
#[path = "../host/proto/src/wire/mod.rs"]
mod wire;

pub(crate) use wire::*;
