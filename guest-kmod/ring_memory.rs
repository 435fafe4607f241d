// SPDX-License-Identifier: GPL-2.0-only
//! The memory of a ring, which the guest shares with the device.
//!
//! No reference to this memory is ever made, since the device may change it at any moment; bytes are copied between it
//! and an I/O vector once, by the kernel's own copy functions.

use core::ptr::NonNull;
use kernel::{
    bindings,
    ffi::c_void,
    iov::{IovIterDest, IovIterSource},
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

use crate::ffi::raw;
use crate::proto::{limits, Ring};
use crate::ring_size;

/// Bytes of all rings.
static IN_USE: Atomic<i64> = Atomic::new(0);

/// A run of pages that holds a ring.
///
/// # Invariants
///
/// `start` is the first byte of `ring.size()` bytes from the page allocator, which this value owns; `ring` has their
/// physical address.
pub(crate) struct RingMemory {
    start: NonNull<c_void>,
    ring: Ring,
}

// SAFETY: The memory is plain bytes that no thread owns.
unsafe impl Send for RingMemory {}
// SAFETY: Methods on `&self` only copy bytes, whose values nobody relies on before a position covers them.
unsafe impl Sync for RingMemory {}

impl RingMemory {
    /// Allocates a ring of at most `most` bytes: as many as is fair, or fewer if memory is short or fragmented.
    ///
    /// # Errors
    ///
    /// `ENOBUFS` if not even the smallest ring can be had.
    pub(crate) fn new(most: u32) -> Result<Self> {
        // SAFETY: No requirements.
        let memory = unsafe { raw::nexus_memory() };
        // Never negative: what is taken away was added before.
        let in_use = IN_USE.load(Relaxed) as u64;
        let mut size = ring_size::fair(memory, in_use, most).max(limits::RING_MIN);
        loop {
            // SAFETY: No requirements; sizes are at least a page.
            let start = unsafe { raw::nexus_ring_alloc(size, size == limits::RING_MIN) };
            if let Some(start) = NonNull::new(start) {
                return Self::from_pages(start, size);
            }
            if size <= limits::RING_MIN {
                return Err(ENOBUFS);
            }
            size /= 2;
        }
    }

    fn from_pages(start: NonNull<c_void>, size: u32) -> Result<Self> {
        // SAFETY: `start` is from the page allocator, hence in the direct map.
        let address = unsafe { raw::nexus_ring_address(start.as_ptr()) };
        match Ring::new(address, size) {
            // INVARIANT: The pages are given over to the new value.
            Ok(ring) => {
                IN_USE.fetch_add(i64::from(size), Relaxed);
                Ok(Self { start, ring })
            }
            Err(_) => {
                // SAFETY: `start` was allocated with this size and is not used any more.
                unsafe { raw::nexus_ring_free(start.as_ptr(), size) };
                Err(EINVAL)
            }
        }
    }

    /// Where the device finds the ring.
    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Copies up to `length` bytes from `source` to `position` and on. Less than asked for means a bad address.
    pub(crate) fn fill(&self, position: u64, length: u32, source: &mut IovIterSource<'_>) -> u32 {
        self.each_run(position, length, |at, length| {
            // SAFETY: `at` has room for `length` bytes within the ring, and `source` is a valid iterator for reading.
            unsafe { bindings::_copy_from_iter(at, length, source.as_raw()) }
        })
    }

    /// Copies up to `length` bytes from `position` on to `target`. Less than asked for means a bad address.
    pub(crate) fn drain(&self, position: u64, length: u32, target: &mut IovIterDest<'_>) -> u32 {
        self.each_run(position, length, |at, length| {
            // SAFETY: `at` begins `length` bytes within the ring, and `target` is a valid iterator for writing.
            unsafe { bindings::_copy_to_iter(at, length, target.as_raw()) }
        })
    }

    /// Writes bytes to `position` and on; as many as the ring has room for.
    pub(crate) fn put(&self, position: u64, bytes: &[u8]) {
        let mut rest = bytes;
        self.each_run(position, bytes.len() as u32, |at, length| {
            let (now, later) = rest.split_at(length.min(rest.len()));
            // SAFETY: `at` has room for `length` bytes within the ring, of which nobody has a reference.
            unsafe { core::ptr::copy_nonoverlapping(now.as_ptr(), at.cast(), now.len()) };
            rest = later;
            now.len()
        });
    }

    /// Reads bytes from `position` on.
    pub(crate) fn get(&self, position: u64, bytes: &mut [u8]) {
        let mut filled = 0;
        self.each_run(position, bytes.len() as u32, |at, length| {
            let Some(part) = bytes.get_mut(filled..filled + length) else {
                return 0;
            };
            // SAFETY: `at` begins `length` bytes within the ring. The device may change them meanwhile; whatever is read is a
            // copy, and any bytes are valid.
            unsafe { core::ptr::copy_nonoverlapping(at.cast(), part.as_mut_ptr(), length) };
            filled += length;
            length
        });
    }

    /// Calls `copy` for each contiguous run until one is cut short; returns the sum of what it returned.
    fn each_run(
        &self,
        position: u64,
        length: u32,
        mut copy: impl FnMut(*mut c_void, usize) -> usize,
    ) -> u32 {
        let mut total = 0;
        for (offset, length) in self.ring.runs(position, length) {
            if length == 0 {
                break;
            }
            let at = self.start.as_ptr().wrapping_byte_add(offset as usize);
            // A copy function never copies more than it is asked to.
            let copied = copy(at, length as usize) as u32;
            total += copied;
            if copied < length {
                break;
            }
        }
        total
    }
}

impl Drop for RingMemory {
    fn drop(&mut self) {
        IN_USE.fetch_add(-i64::from(self.ring.size()), Relaxed);
        // SAFETY: The type invariants say that the pages are ours. The device has released them: an endpoint stays in the
        // device's table, and so keeps its rings, until RELEASED or the device's reset.
        unsafe { raw::nexus_ring_free(self.start.as_ptr(), self.ring.size()) }
    }
}
