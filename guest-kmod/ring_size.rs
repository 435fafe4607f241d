// SPDX-License-Identifier: GPL-2.0-only
//! How large a ring is to be: large for few sockets, small for many. Pure arithmetic.
//!
//! A larger ring means fewer turns of guest and host for a byte; 256 KiB take two thirds of the instructions of 64 KiB
//! (`docs/benchmarks.md`), and a MiB hardly fewer than that. But rings are memory that a socket holds while it is open.

/// Of the guest's memory, what rings are to take together: one part in so many.
const SHARE_OF_MEMORY: u64 = 16;

/// Of what is left of that, what the next ring gets: one part in so many.
const SHARE_OF_REST: u64 = 16;

/// Bytes that a ring has however many there are.
const LEAST: u64 = 16 << 10;

/// Bytes of the next ring, a power of two of at most `most`, if `in_use` bytes of `memory` are rings.
pub(crate) fn fair(memory: u64, in_use: u64, most: u32) -> u32 {
    let rest = (memory / SHARE_OF_MEMORY).saturating_sub(in_use);
    let share = (rest / SHARE_OF_REST)
        .max(LEAST)
        .min(u64::from(most.max(1)));
    // At most `most`.
    1 << (share as u32).ilog2()
}
