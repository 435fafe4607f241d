// SPDX-License-Identifier: GPL-2.0-only
//! Safe virtqueues of fixed-size messages, over the kernel's virtio core.
//!
//! Each queue owns as many message slots as the virtqueue has descriptors, and uses one descriptor for a message, so an
//! add never fails for want of room while a slot is free.
//!
//! C header: [`include/linux/virtio.h`](srctree/include/linux/virtio.h).

use core::ptr::NonNull;
use kernel::{ffi::c_void, prelude::*};

use super::member::News;
use crate::ffi::raw::{self, Virtqueue};
use crate::proto::{limits, Message, SocketId};

/// A virtqueue with a slot for each descriptor.
///
/// # Invariants
///
/// - `raw` is a virtqueue that lives as long as this value: the device's owner drops it before deleting the queues.
/// - Slots are never moved. A slot whose index is not known to the owner as free belongs to the device.
struct Slots {
    raw: NonNull<Virtqueue>,
    slots: KVec<Message>,
}

// SAFETY: A virtqueue may be used from any thread, one at a time, which `&mut self` ensures.
unsafe impl Send for Slots {}

impl Slots {
    /// # Safety
    ///
    /// `raw` must be a virtqueue that stays valid, and is used through this value only, until the value is dropped. The
    /// device must have been reset by then.
    unsafe fn new(raw: NonNull<Virtqueue>) -> Result<Self> {
        // SAFETY: The caller promises that the queue is valid.
        let size = unsafe { raw::virtqueue_get_vring_size(raw.as_ptr()) };
        let slots = KVec::from_elem([0; limits::MESSAGE_SIZE], size as usize, GFP_KERNEL)?;
        // INVARIANT: The caller promises the lifetime, and nobody pushes to `slots`.
        Ok(Self { raw, slots })
    }

    fn slot(&mut self, index: usize) -> Option<*mut c_void> {
        Some(core::ptr::from_mut(self.slots.get_mut(index)?).cast())
    }

    /// The next slot that the device has returned.
    fn returned(&mut self) -> Option<usize> {
        let mut length = 0;
        // SAFETY: The queue is valid by the type invariants.
        let token = unsafe { raw::virtqueue_get_buf(self.raw.as_ptr(), &mut length) };
        // Tokens are indices plus one, since null says that there is none.
        (token as usize).checked_sub(1)
    }

    fn token(index: usize) -> *mut c_void {
        core::ptr::without_provenance_mut(index + 1)
    }

    /// Notifies the device of what was added, unless it does not want to know.
    fn kick(&mut self) {
        // SAFETY: The queue is valid by the type invariants.
        if unsafe { raw::virtqueue_kick_prepare(self.raw.as_ptr()) } {
            // SAFETY: As above. A broken queue is dealt with when the device is removed.
            unsafe { raw::virtqueue_notify(self.raw.as_ptr()) };
        }
    }

    fn disable_callback(&mut self) {
        // SAFETY: The queue is valid by the type invariants.
        unsafe { raw::virtqueue_disable_cb(self.raw.as_ptr()) }
    }

    /// Returns false if something was returned meanwhile, for which no callback will come.
    fn enable_callback(&mut self) -> bool {
        // SAFETY: The queue is valid by the type invariants.
        unsafe { raw::virtqueue_enable_cb(self.raw.as_ptr()) }
    }
}

/// The queue of requests, from driver to device.
pub(crate) struct RequestQueue {
    slots: Slots,
    /// Indices of slots that the device does not have. Never grows beyond its first capacity.
    free: KVec<usize>,
}

impl RequestQueue {
    /// # Safety
    ///
    /// As for [`Slots::new`].
    pub(super) unsafe fn new(raw: NonNull<Virtqueue>) -> Result<Self> {
        // SAFETY: The caller promises the same.
        let mut slots = unsafe { Slots::new(raw)? };
        let mut free = KVec::with_capacity(slots.slots.len(), GFP_KERNEL)?;
        for index in 0..slots.slots.len() {
            free.push(index, GFP_KERNEL)?;
        }
        slots.disable_callback();
        Ok(Self { slots, free })
    }

    /// Whether a message can be pushed.
    pub(super) fn has_room(&mut self) -> bool {
        if self.free.is_empty() {
            self.reclaim();
        }
        !self.free.is_empty()
    }

    fn reclaim(&mut self) {
        while let Some(index) = self.slots.returned() {
            // The capacity is that of all slots, so this neither allocates nor fails.
            let _ = self.free.push(index, GFP_ATOMIC);
        }
    }

    /// Adds a message; the device hears of it at the next [`kick`](Self::kick).
    ///
    /// # Errors
    ///
    /// `ENOSPC` if there is no room, `EIO` if the device is broken.
    pub(super) fn push(&mut self, message: &Message) -> Result {
        let index = self.free.pop().ok_or(ENOSPC)?;
        if let Some(slot) = self.slots.slots.get_mut(index) {
            *slot = *message;
        }
        let buffer = self.slots.slot(index).ok_or(ENOSPC)?;
        // SAFETY: The queue is valid, `buffer` is a slot of `MESSAGE_SIZE` bytes in kmalloc memory that stays put, and
        // it was free, so the device does not have it.
        let added = unsafe {
            raw::nexus_queue_add_out(
                self.slots.raw.as_ptr(),
                buffer,
                limits::MESSAGE_SIZE as u32,
                Slots::token(index),
            )
        };
        kernel::error::to_result(added)
    }

    /// Queues a member's news, as far as there is room. Returns whether some are left, for which a callback will come.
    pub(crate) fn push_news(&mut self, id: SocketId, news: &mut impl News) -> bool {
        while news.has_news() {
            // The callback is armed before the second look, so that a request returned between the two is not missed.
            let room = self.has_room() || (!self.enable_callback() && self.has_room());
            if !room {
                return true;
            }
            let Some(request) = news.next_request(id) else {
                break;
            };
            if self.push(&request.encode()).is_err() {
                // The device is broken; its removal will tell the members.
                break;
            }
        }
        false
    }

    pub(super) fn kick(&mut self) {
        self.slots.kick();
    }

    /// Asks for a callback when the device returns a message. False: it has returned one just now.
    pub(super) fn enable_callback(&mut self) -> bool {
        self.slots.enable_callback()
    }

    pub(super) fn disable_callback(&mut self) {
        self.slots.disable_callback();
    }
}

/// The queue of events, from device to driver. All slots that are not being read are with the device.
pub(super) struct EventQueue {
    slots: Slots,
    /// Slots were given back since the last kick.
    refilled: bool,
}

impl EventQueue {
    /// Takes the queue and fills it; the device hears of it at the next [`kick`](Self::kick).
    ///
    /// # Safety
    ///
    /// As for [`Slots::new`].
    pub(super) unsafe fn new(raw: NonNull<Virtqueue>) -> Result<Self> {
        // SAFETY: The caller promises the same.
        let slots = unsafe { Slots::new(raw)? };
        let mut queue = Self {
            slots,
            refilled: false,
        };
        for index in 0..queue.slots.slots.len() {
            queue.refill(index)?;
        }
        Ok(queue)
    }

    fn refill(&mut self, index: usize) -> Result {
        let buffer = self.slots.slot(index).ok_or(EINVAL)?;
        // SAFETY: The queue is valid, `buffer` is a slot of `MESSAGE_SIZE` bytes in kmalloc memory that stays put, and
        // the device does not have it: it is new, or was just returned.
        let added = unsafe {
            raw::nexus_queue_add_in(
                self.slots.raw.as_ptr(),
                buffer,
                limits::MESSAGE_SIZE as u32,
                Slots::token(index),
            )
        };
        self.refilled = true;
        kernel::error::to_result(added)
    }

    /// The next event, whose slot goes back to the device at once.
    pub(super) fn pop(&mut self) -> Option<Message> {
        let index = self.slots.returned()?;
        let message = self.read(index)?;
        // Fails only if the device is broken, and then no event will come anyway.
        let _ = self.refill(index);
        Some(message)
    }

    /// Copies a slot, once: a device that changes it afterwards changes nothing.
    fn read(&mut self, index: usize) -> Option<Message> {
        const WORDS: usize = limits::MESSAGE_SIZE / 8;
        let slot = self.slots.slot(index)?.cast::<[u8; 8]>();
        let mut message = [0; limits::MESSAGE_SIZE];
        for (word, to) in message.chunks_exact_mut(8).enumerate().take(WORDS) {
            // SAFETY: A slot has `WORDS` runs of eight bytes.
            let from = unsafe { slot.add(word) };
            // SAFETY: `from` is valid for reading; kmalloc aligns slots to eight bytes and more.
            let value = unsafe { from.cast::<u64>().read_volatile() };
            to.copy_from_slice(&value.to_ne_bytes());
        }
        Some(message)
    }

    /// Tells the device of refilled slots, if there are any.
    pub(super) fn kick(&mut self) {
        if core::mem::take(&mut self.refilled) {
            self.slots.kick();
        }
    }

    pub(super) fn disable_callback(&mut self) {
        self.slots.disable_callback();
    }

    /// False: an event has arrived just now, for which no callback will come.
    pub(super) fn enable_callback(&mut self) -> bool {
        self.slots.enable_callback()
    }
}
