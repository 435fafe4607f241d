// SPDX-License-Identifier: Apache-2.0
//! The driver's side of a split virtqueue with VIRTIO_F_EVENT_IDX (virtio 1.3, section 2.7).

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use nexus_proto::wire::{Message, limits};
use nix::sys::eventfd::{EfdFlags, EventFd};
use vmm_sys_util::eventfd::EventFd as VhostEventFd;

use super::wire::Memory;

const SIZE: u16 = limits::QUEUE_SIZE;
const MESSAGE: u32 = 64;

pub(crate) const NEXT: u16 = 1;
pub(crate) const WRITE: u16 = 2;
pub(crate) const INDIRECT: u16 = 4;

/// One queue: descriptor `i` is for the message buffer `i`.
pub(crate) struct DriverQueue {
    pub(crate) memory: Arc<Memory>,
    base: u64,
    pub(crate) call: File,
    kick: File,
    avail: u16,
    used: u16,
    free: Vec<u16>,
}

impl DriverQueue {
    /// A queue whose parts and buffers lie from `base` on, in 0x6000 bytes.
    pub(crate) fn new(memory: Arc<Memory>, base: u64) -> Self {
        let eventfd = || {
            File::from(OwnedFd::from(
                EventFd::from_flags(EfdFlags::EFD_NONBLOCK).unwrap(),
            ))
        };
        Self {
            memory,
            base,
            call: eventfd(),
            kick: eventfd(),
            avail: 0,
            used: 0,
            free: Vec::new(),
        }
    }

    pub(crate) fn reset(&mut self) {
        self.memory.write(self.base, &vec![0; 0x6000]);
        (self.avail, self.used, self.free) = (0, 0, (0..SIZE).rev().collect());
        // Ask for a notification of the first entry.
        self.memory.store(self.used_event(), 0);
    }

    /// Descriptor table, avail ring, used ring.
    pub(crate) fn addresses(&self) -> (u64, u64, u64) {
        (self.base, self.base + 0x1000, self.base + 0x2000)
    }

    pub(crate) fn call_eventfd(&self) -> VhostEventFd {
        eventfd(&self.call)
    }

    pub(crate) fn kick_eventfd(&self) -> VhostEventFd {
        eventfd(&self.kick)
    }

    fn buffer(&self, index: u16) -> u64 {
        self.base + 0x4000 + u64::from(index) * u64::from(MESSAGE)
    }

    fn used_event(&self) -> u64 {
        self.addresses().1 + 4 + 2 * u64::from(SIZE)
    }

    fn avail_event(&self) -> u64 {
        self.addresses().2 + 4 + 8 * u64::from(SIZE)
    }

    pub(crate) fn describe(&self, index: u16, address: u64, length: u32, flags: u16, next: u16) {
        let at = self.base + 16 * u64::from(index);
        self.memory.write(at, &address.to_le_bytes());
        self.memory.write(at + 8, &length.to_le_bytes());
        self.memory.write(at + 12, &flags.to_le_bytes());
        self.memory.write(at + 14, &next.to_le_bytes());
    }

    /// Makes the chain from `head` on available and notifies the device if it wants to know.
    pub(crate) fn publish(&mut self, head: u16) {
        let slot = self.addresses().1 + 4 + 2 * u64::from(self.avail % SIZE);
        self.memory.store(slot, head);
        let old = self.avail;
        self.set_avail(old.wrapping_add(1));
        let event = self.memory.load(self.avail_event());
        if self.avail.wrapping_sub(event).wrapping_sub(1) < self.avail.wrapping_sub(old) {
            self.notify();
        }
    }

    pub(crate) fn set_avail(&mut self, avail: u16) {
        self.avail = avail;
        self.memory.store(self.addresses().1 + 2, avail);
        fence(Ordering::SeqCst);
    }

    pub(crate) fn avail(&self) -> u16 {
        self.avail
    }

    pub(crate) fn notify(&self) {
        // Only a full counter refuses, which is a notification already.
        drop((&self.kick).write(&1u64.to_ne_bytes()));
    }

    /// Posts a message for the device; false if no descriptor is free.
    pub(crate) fn send(&mut self, message: &Message) -> bool {
        while let Some(index) = self.reap() {
            self.free.push(index);
        }
        let Some(index) = self.free.pop() else {
            return false;
        };
        self.memory.write(self.buffer(index), message);
        self.describe(index, self.buffer(index), MESSAGE, 0, 0);
        self.publish(index);
        true
    }

    /// Posts all free buffers for the device to write.
    pub(crate) fn fill(&mut self) {
        while let Some(index) = self.free.pop() {
            self.describe(index, self.buffer(index), MESSAGE, WRITE, 0);
            self.publish(index);
        }
    }

    /// Posts one buffer for the device to write.
    pub(crate) fn post_one(&mut self) {
        let index = self.free.pop().expect("a free descriptor");
        self.describe(index, self.buffer(index), MESSAGE, WRITE, 0);
        self.publish(index);
    }

    /// Takes a message that the device wrote, and posts its buffer again.
    pub(crate) fn take(&mut self) -> Option<Message> {
        let index = self.reap()?;
        let mut message = [0; limits::MESSAGE_SIZE];
        self.memory.read(self.buffer(index), &mut message);
        self.publish(index);
        Some(message)
    }

    /// The next descriptor that the device returned.
    fn reap(&mut self) -> Option<u16> {
        let used = self.addresses().2;
        if self.memory.load(used + 2) == self.used {
            return None;
        }
        let entry = used + 4 + 8 * u64::from(self.used % SIZE);
        self.used = self.used.wrapping_add(1);
        let index = self.memory.load(entry);
        assert!(index < SIZE, "the device returned descriptor {index}");
        Some(index)
    }

    /// Asks for a notification; false if something came before that.
    pub(crate) fn arm(&mut self) -> bool {
        self.memory.store(self.used_event(), self.used);
        fence(Ordering::SeqCst);
        self.memory.load(self.addresses().2 + 2) == self.used
    }

    pub(crate) fn acknowledge(&mut self) {
        let mut counter = [0; 8];
        self.call.read_exact(&mut counter).unwrap();
    }
}

fn eventfd(file: &File) -> VhostEventFd {
    let fd = std::os::fd::IntoRawFd::into_raw_fd(file.try_clone().unwrap());
    // SAFETY: the descriptor was just given up by its owner, and is an eventfd's.
    unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) }
}
