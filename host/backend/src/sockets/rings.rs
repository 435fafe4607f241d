// SPDX-License-Identifier: Apache-2.0
//! The two byte rings of a socket, in guest memory.
//!
//! Holding a [`Rings`] is the right to touch them. It is never cloned: [`Socket`](super::Socket) keeps the only one
//! behind its lock and drops it when the socket is released or its device reset, so that no access can follow. It
//! also keeps the mapping alive, so that no access can precede the unmapping.

use std::sync::Arc;

use nexus_proto::wire::Ring;
use vm_memory::{GuestAddress, GuestMemoryBackend, GuestMemoryMmap, VolatileSlice};

/// The memory of a guest, mapped.
pub(crate) type GuestMemory = GuestMemoryMmap<()>;

/// A ring that does not lie within one region of guest memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("ring of {size} bytes at {address:#x} is not within one region of guest memory")]
pub(crate) struct RingError {
    address: u64,
    size: u32,
}

/// The rings of one socket.
#[derive(Debug)]
pub(crate) struct Rings {
    memory: Arc<GuestMemory>,
    pub(super) tx: Ring,
    pub(super) rx: Ring,
}

impl Rings {
    /// Takes two rings that lie within one region of `memory` each.
    pub(crate) fn new(memory: Arc<GuestMemory>, tx: Ring, rx: Ring) -> Result<Self, RingError> {
        for ring in [&tx, &rx] {
            slice(&memory, ring, 0, ring.size()).ok_or(RingError {
                address: ring.address(),
                size: ring.size(),
            })?;
        }
        Ok(Self { memory, tx, rx })
    }

    /// The bytes of the tx ring from `position` on, as one or two runs; the second may be empty.
    pub(super) fn tx_runs(&self, position: u64, length: u32) -> [VolatileSlice<'_>; 2] {
        self.runs(&self.tx, position, length)
    }

    /// The bytes of the rx ring from `position` on, as one or two runs; the second may be empty.
    pub(super) fn rx_runs(&self, position: u64, length: u32) -> [VolatileSlice<'_>; 2] {
        self.runs(&self.rx, position, length)
    }

    fn runs(&self, ring: &Ring, position: u64, length: u32) -> [VolatileSlice<'_>; 2] {
        // `new` found the whole ring in one region and regions do not change, so no run is missing here. An empty one
        // would move no byte, which is a safe answer to the impossible.
        ring.runs(position, length).map(|(offset, length)| {
            slice(&self.memory, ring, offset, length).unwrap_or_else(nothing)
        })
    }
}

fn slice<'a>(
    memory: &'a GuestMemory,
    ring: &Ring,
    offset: u32,
    length: u32,
) -> Option<VolatileSlice<'a>> {
    if length == 0 {
        return Some(nothing());
    }
    let start = GuestAddress(ring.address().checked_add(u64::from(offset))?);
    GuestMemoryBackend::get_slice(memory, start, usize::try_from(length).ok()?).ok()
}

fn nothing<'a>() -> VolatileSlice<'a> {
    VolatileSlice::from(&mut [][..])
}
