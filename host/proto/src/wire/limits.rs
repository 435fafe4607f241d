// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//! Every limit of the protocol, each with its reason.

/// Bytes in a message: one cache line, so that a message is one transfer between cores and never straddles two.
pub const MESSAGE_SIZE: usize = 64;

/// Smallest ring in bytes: a page, the least that a guest can give away without giving away its neighbour.
pub const RING_MIN: u32 = 4096;

/// Largest ring in bytes. Bounds what one socket can have in flight, and so what a lingering close keeps pinned.
pub const RING_MAX: u32 = 1 << 20;

/// Alignment of a ring's start in bytes: a page, for the same reason as [`RING_MIN`].
pub const RING_ALIGN: u64 = 4096;

/// Most sockets that a device may offer. Ids index a table on both sides, so this bounds the tables.
pub const SOCKETS_MAX: u32 = 1 << 16;

/// Entries in each queue that the device offers. Messages coalesce, so a longer queue would only cost memory.
pub const QUEUE_SIZE: u16 = 128;

/// Reachable ports that the configuration space lists: what it has room for.
pub const PORTS: usize = 16;
