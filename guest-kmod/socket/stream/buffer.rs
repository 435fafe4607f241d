// SPDX-License-Identifier: GPL-2.0-only
//! Where the bytes of one direction lie: shared with the device, or within the guest.

use kernel::{
    iov::{IovIterDest, IovIterSource},
    prelude::*,
    sync::Arc,
};

use crate::local::page_ring::PageRing;
use crate::proto::Ring;
use crate::ring_memory::RingMemory;

/// The bytes of one direction of a connection.
pub(crate) enum Buffer {
    /// Shared with the device.
    Device(RingMemory),
    /// Shared with another socket of the guest.
    Local(Arc<PageRing>),
}

impl Buffer {
    /// Its size, for the arithmetic of positions.
    pub(crate) fn ring(&self) -> &Ring {
        match self {
            Self::Device(memory) => memory.ring(),
            Self::Local(pages) => pages.ring(),
        }
    }

    /// Copies up to `length` bytes from `source` to `position` and on; returns how many.
    ///
    /// # Errors
    ///
    /// `EFAULT` for a bad address before the first byte, `ENOBUFS` if memory is short.
    pub(crate) fn fill(
        &self,
        position: u64,
        length: u32,
        source: &mut IovIterSource<'_>,
    ) -> Result<u32> {
        match self {
            Self::Device(memory) => some(memory.fill(position, length, source)),
            Self::Local(pages) => pages.fill(position, length, source),
        }
    }

    /// Copies up to `length` bytes from `position` on to `target`; returns how many.
    ///
    /// # Errors
    ///
    /// `EFAULT` for a bad address before the first byte.
    pub(crate) fn drain(
        &self,
        position: u64,
        length: u32,
        target: &mut IovIterDest<'_>,
    ) -> Result<u32> {
        match self {
            Self::Device(memory) => some(memory.drain(position, length, target)),
            Self::Local(pages) => pages.drain(position, length, target),
        }
    }

    /// Writes bytes of the driver's own to `position` and on. Only where the device reads them.
    pub(crate) fn put(&self, position: u64, bytes: &[u8]) {
        if let Self::Device(memory) = self {
            memory.put(position, bytes);
        }
    }

    /// Reads bytes for the driver itself from `position` on. Only where the device writes them.
    pub(crate) fn get(&self, position: u64, bytes: &mut [u8]) {
        if let Self::Device(memory) = self {
            memory.get(position, bytes);
        }
    }

    /// The byte at a position that was written and not read.
    pub(super) fn byte(&self, position: u64) -> Option<u8> {
        match self {
            Self::Device(_) => None,
            Self::Local(pages) => pages.byte(position),
        }
    }

    /// `length` bytes from `position` on were read and will not be read again.
    pub(super) fn release(&self, position: u64, length: u32) {
        if let Self::Local(pages) = self {
            pages.release(position, length);
        }
    }
}

fn some(copied: u32) -> Result<u32> {
    if copied == 0 {
        Err(EFAULT)
    } else {
        Ok(copied)
    }
}
