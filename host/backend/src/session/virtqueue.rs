// SPDX-License-Identifier: Apache-2.0
//! Messages in and out of a split virtqueue.
//!
//! A [`Virtqueue`] exists only while its queue runs; it holds the guest's memory, and dropping it ends all access. The
//! indices are the `virtio-queue` crate's work. Descriptor chains are walked here, because every fault of a chain is a
//! violation that has to be told apart, where that crate ends the walk without a word.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use nexus_proto::wire::{Message, limits};
use virtio_queue::desc::RawDescriptor;
use virtio_queue::desc::split::Descriptor;
use virtio_queue::{Queue, QueueOwnedT, QueueT};
use vm_memory::{Bytes, GuestAddress};

use crate::sockets::GuestMemory;

/// What the used ring says of a message.
const MESSAGE_BYTES: u32 = 64;
const _: () = assert!(MESSAGE_BYTES as usize == limits::MESSAGE_SIZE);

/// What is wrong with a queue or a descriptor chain.
#[derive(Debug, thiserror::Error)]
pub(super) enum QueueError {
    #[error("the rings or the descriptor table lie outside guest memory")]
    Placement,
    #[error("the avail ring is inconsistent: {0}")]
    Avail(#[from] virtio_queue::Error),
    #[error("a chain starts at or goes on with descriptor {index} of a queue of {size}")]
    Index { index: u16, size: u16 },
    #[error("a chain has a loop")]
    Loop,
    #[error("a chain uses an indirect descriptor, which was not negotiated")]
    Indirect,
    #[error("a chain is device-{found} where it must be device-{expected}")]
    Direction {
        found: &'static str,
        expected: &'static str,
    },
    #[error("a chain has {0} bytes or more; a message has 64")]
    TooLong(u64),
    #[error("a chain has {0} bytes; a message has 64")]
    TooShort(u64),
    #[error("a descriptor refers to {length} bytes at {address:#x}, outside guest memory")]
    Address { address: u64, length: u32 },
}

/// A running queue.
#[derive(Debug)]
pub(super) struct Virtqueue {
    queue: Queue,
    memory: Arc<GuestMemory>,
    call: Option<File>,
}

impl Virtqueue {
    /// A running queue, if all of it lies in guest memory.
    pub(super) fn new(
        mut queue: Queue,
        memory: Arc<GuestMemory>,
        call: Option<File>,
    ) -> Result<Self, QueueError> {
        queue.set_ready(true);
        if !queue.is_valid(&*memory) {
            return Err(QueueError::Placement);
        }
        // After a stop in between, the used index goes on where it was.
        let used = queue.used_idx(&*memory, Ordering::Relaxed)?;
        queue.set_next_used(used.0);
        Ok(Self {
            queue,
            memory,
            call,
        })
    }

    pub(super) fn memory(&self) -> &Arc<GuestMemory> {
        &self.memory
    }

    pub(super) fn set_call(&mut self, call: Option<File>) {
        self.call = call;
    }

    /// The next entry of the avail ring to be read, as GET_VRING_BASE tells it.
    pub(super) fn base(&self) -> u16 {
        self.queue.next_avail()
    }

    /// Copies the next message out of the queue and returns its descriptor chain.
    pub(super) fn receive(&mut self) -> Result<Option<Message>, QueueError> {
        let Some(head) = self.pop()? else {
            return Ok(None);
        };
        let mut message = [0; limits::MESSAGE_SIZE];
        let mut at = 0;
        self.walk(head, false, |memory, address, length| {
            let read = memory.read_slice(&mut message[at..at + length], address);
            at += length;
            read.is_ok()
        })?;
        self.queue.add_used(&*self.memory, head, 0)?;
        Ok(Some(message))
    }

    /// Whether the guest offers a buffer. If not, it will notify when it does.
    pub(super) fn offers(&mut self) -> Result<bool, QueueError> {
        let available = self.queue.avail_idx(&*self.memory, Ordering::Acquire)?.0;
        Ok(available != self.queue.next_avail() || self.rearm()?)
    }

    /// Copies `message` into the next buffer of the queue. Without one, it is lost: see [`Virtqueue::offers`].
    pub(super) fn send(&mut self, message: &Message) -> Result<(), QueueError> {
        let Some(head) = self.pop()? else {
            return Ok(());
        };
        let mut at = 0;
        self.walk(head, true, |memory, address, length| {
            let written = memory.write_slice(&message[at..at + length], address);
            at += length;
            written.is_ok()
        })?;
        self.queue.add_used(&*self.memory, head, MESSAGE_BYTES)?;
        Ok(())
    }

    /// Asks for a notification of the next entry; says whether one came before that.
    pub(super) fn rearm(&mut self) -> Result<bool, QueueError> {
        Ok(self.queue.enable_notification(&*self.memory)?)
    }

    /// Notifies the guest of what was returned to it since the last call, if it wants to know; says whether it did.
    pub(super) fn interrupt(&mut self) -> Result<bool, QueueError> {
        if !self.queue.needs_notification(&*self.memory)? {
            return Ok(false);
        }
        let Some(mut call) = self.call.as_ref() else {
            return Ok(false);
        };
        if let Err(error) = call.write(&1u64.to_ne_bytes()) {
            // A full counter means that the guest was notified and has not looked yet.
            tracing::trace!(%error, "interrupt");
        }
        Ok(true)
    }

    /// The head of the next descriptor chain.
    fn pop(&mut self) -> Result<Option<u16>, QueueError> {
        let chain = self.queue.iter(&*self.memory)?.next();
        Ok(chain.map(|chain| chain.head_index()))
    }

    /// Hands each piece of a chain to `piece`, which says whether it lies in guest memory. The chain must hold one
    /// message, `writable` by the device or readable.
    fn walk(
        &self,
        head: u16,
        writable: bool,
        mut piece: impl FnMut(&GuestMemory, GuestAddress, usize) -> bool,
    ) -> Result<(), QueueError> {
        let mut index = head;
        let mut total = 0;
        // No chain without a loop is longer than the queue.
        for _ in 0..self.queue.size() {
            let descriptor = self.descriptor(index)?;
            if descriptor.refers_to_indirect_table() {
                return Err(QueueError::Indirect);
            }
            if descriptor.is_write_only() != writable {
                let name = |writable| if writable { "writable" } else { "readable" };
                return Err(QueueError::Direction {
                    found: name(!writable),
                    expected: name(writable),
                });
            }
            let (address, length) = (descriptor.addr(), descriptor.len());
            total += u64::from(length);
            if total > limits::MESSAGE_SIZE as u64 {
                return Err(QueueError::TooLong(total));
            }
            if !piece(&self.memory, address, length as usize) {
                return Err(QueueError::Address {
                    address: address.0,
                    length,
                });
            }
            if !descriptor.has_next() {
                return match total {
                    total if total == limits::MESSAGE_SIZE as u64 => Ok(()),
                    total => Err(QueueError::TooShort(total)),
                };
            }
            index = descriptor.next();
        }
        Err(QueueError::Loop)
    }

    fn descriptor(&self, index: u16) -> Result<Descriptor, QueueError> {
        let size = self.queue.size();
        if index >= size {
            return Err(QueueError::Index { index, size });
        }
        let address =
            self.queue.desc_table() + u64::from(index) * size_of::<RawDescriptor>() as u64;
        let raw: RawDescriptor = self
            .memory
            .read_obj(GuestAddress(address))
            .map_err(|_| QueueError::Placement)?;
        Ok(raw.into())
    }
}
