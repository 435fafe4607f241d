// SPDX-License-Identifier: GPL-2.0-only
//! Bytes on their way from one socket of the guest to another: a ring that has memory only where there are bytes.
//!
//! Addressed by positions as a ring shared with the device is, so that the same state machine drives both. A page is
//! allocated when its first byte is written, and freed when its last byte was read: an idle connection costs a table of
//! pointers.

use core::ptr::NonNull;
use kernel::{
    bindings,
    ffi::c_void,
    iov::{IovIterDest, IovIterSource},
    new_spinlock,
    prelude::*,
    sync::{Arc, SpinLock},
};

use crate::ffi::raw;
use crate::proto::Ring;

const PAGE: u32 = 4096;

/// A page of bytes. Its bytes are touched by copy functions only, through raw pointers.
struct Page(NonNull<c_void>);

// SAFETY: The memory is plain bytes that no thread owns.
unsafe impl Send for Page {}
// SAFETY: Methods on `&self` only copy bytes. Writer and reader of a ring are at different positions, by its credit.
unsafe impl Sync for Page {}

impl Page {
    fn new() -> Result<Arc<Self>> {
        // SAFETY: No requirements.
        let start = unsafe { raw::nexus_ring_alloc(PAGE, true) };
        Ok(Arc::new(
            Self(NonNull::new(start).ok_or(ENOBUFS)?),
            GFP_KERNEL,
        )?)
    }

    fn at(&self, offset: u32) -> *mut c_void {
        self.0.as_ptr().wrapping_byte_add(offset as usize)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: The page was allocated with this size, and nobody else has it.
        unsafe { raw::nexus_ring_free(self.0.as_ptr(), PAGE) }
    }
}

/// A ring of pages. One thread fills and one drains it at a time; both may at once.
///
/// There is one page more than its size asks for: the writer may be in the page that the reader is in, one lap ahead, and
/// each needs its own.
#[pin_data]
pub(crate) struct PageRing {
    ring: Ring,
    #[pin]
    pages: SpinLock<KVec<Option<Arc<Page>>>>,
}

impl PageRing {
    /// A ring with room for `size` bytes, a power of two from a page on.
    ///
    /// # Errors
    ///
    /// `ENOBUFS` if memory is short.
    pub(crate) fn new(size: u32) -> Result<Arc<Self>> {
        let ring = Ring::without_address(size).map_err(|_| EINVAL)?;
        let count = (size / PAGE) as usize + 1;
        let mut pages = KVec::with_capacity(count, GFP_KERNEL)?;
        for _ in 0..count {
            pages.push(None, GFP_KERNEL)?;
        }
        Arc::pin_init(
            pin_init!(Self {
                ring,
                pages <- new_spinlock!(pages, "nexus_page_ring"),
            }),
            GFP_KERNEL,
        )
    }

    /// Its size, for the arithmetic of positions.
    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Copies up to `length` bytes from `source` to `position` and on; returns how many.
    ///
    /// # Errors
    ///
    /// `ENOBUFS` if memory is short, `EFAULT` for a bad address, before the first byte.
    pub(crate) fn fill(
        &self,
        position: u64,
        length: u32,
        source: &mut IovIterSource<'_>,
    ) -> Result<u32> {
        let mut total = 0;
        while total < length {
            let (index, offset, room) = self.place(position + u64::from(total));
            let page = match self.page_to_fill(index) {
                Ok(page) => page,
                Err(_) if total > 0 => break,
                Err(error) => return Err(error),
            };
            let part = room.min(length - total);
            // SAFETY: The page has `part` bytes from there on, and `source` is a valid iterator for reading.
            let copied = unsafe {
                bindings::_copy_from_iter(page.at(offset), part as usize, source.as_raw())
            };
            // Never more than it was asked to.
            total += copied as u32;
            if copied < part as usize {
                break;
            }
        }
        if total == 0 {
            return Err(EFAULT);
        }
        Ok(total)
    }

    /// Copies up to `length` bytes from `position` on to `target`; returns how many.
    ///
    /// # Errors
    ///
    /// `EFAULT` for a bad address, before the first byte.
    pub(crate) fn drain(
        &self,
        position: u64,
        length: u32,
        target: &mut IovIterDest<'_>,
    ) -> Result<u32> {
        let mut total = 0;
        while total < length {
            let (index, offset, room) = self.place(position + u64::from(total));
            let Some(page) = self.page(index) else {
                break;
            };
            let part = room.min(length - total);
            // SAFETY: The page has `part` bytes from there on, and `target` is a valid iterator for writing.
            let copied =
                unsafe { bindings::_copy_to_iter(page.at(offset), part as usize, target.as_raw()) };
            // Never more than it was asked to.
            total += copied as u32;
            if copied < part as usize {
                break;
            }
        }
        if total == 0 {
            return Err(EFAULT);
        }
        Ok(total)
    }

    /// The byte at a position, if it was written and not released.
    pub(crate) fn byte(&self, position: u64) -> Option<u8> {
        let (index, offset, _) = self.place(position);
        let page = self.page(index)?;
        // SAFETY: The page has a byte there, which was written before its position was reported.
        Some(unsafe { page.at(offset).cast::<u8>().read_volatile() })
    }

    /// Frees the pages of `length` bytes that were read from `position` on and will not be read again.
    pub(crate) fn release(&self, position: u64, length: u32) {
        let page = u64::from(PAGE);
        let over = position / page..(position + u64::from(length)) / page;
        for number in over {
            let (index, ..) = self.place(number * page);
            let freed = self.pages.lock().get_mut(index).and_then(Option::take);
            drop(freed);
        }
    }

    /// Index of the page of a position, the offset in it, and the bytes from there to the page's end.
    fn place(&self, position: u64) -> (usize, u32, u32) {
        let count = u64::from(self.ring.size() / PAGE) + 1;
        // Both are below the ring's size.
        let index = (position / u64::from(PAGE) % count) as usize;
        let offset = (position % u64::from(PAGE)) as u32;
        (index, offset, PAGE - offset)
    }

    fn page(&self, index: usize) -> Option<Arc<Page>> {
        self.pages.lock().get(index)?.clone()
    }

    fn page_to_fill(&self, index: usize) -> Result<Arc<Page>> {
        if let Some(page) = self.page(index) {
            return Ok(page);
        }
        let page = Page::new()?;
        if let Some(slot) = self.pages.lock().get_mut(index) {
            // There is one thread that fills, so nobody else has put a page there meanwhile.
            *slot = Some(page.clone());
        }
        Ok(page)
    }
}
