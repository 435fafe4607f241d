// SPDX-License-Identifier: Apache-2.0
//! virtio-blk, read-only (virtio 1.3, section 5.2): a disk whose content is a file that nobody changes.
//!
//! Requests are served on the machine's event loop: images are in the page cache or on local storage, and the reading is
//! straight into guest memory.

mod request;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, Mutex};

use virtio_bindings::virtio_blk::{VIRTIO_BLK_F_RO, VIRTIO_BLK_F_SEG_MAX, VIRTIO_BLK_ID_BYTES};
use virtio_bindings::virtio_config::VIRTIO_F_VERSION_1;
use virtio_bindings::virtio_ids::VIRTIO_ID_BLOCK;
use virtio_bindings::virtio_ring::{VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC};
use virtio_queue::{Queue, QueueOwnedT, QueueT};
use vm_memory::GuestAddress;
use vmm_sys_util::eventfd::EventFd;

use self::request::{Image, SECTOR};
use super::{DeviceError, VirtioDevice, Vring};
use crate::exit::VmmError;
use crate::memory::Memory;
use crate::vcpu::lock;

/// Entries of the only queue.
pub(crate) const QUEUE_SIZE: u16 = 128;

/// Most data pieces of a request: what is left of a full queue without header and status.
const SEGMENTS: u32 = QUEUE_SIZE as u32 - 2;

/// Bytes of the configuration space up to `seg_max`.
const CONFIG: usize = 16;

/// The part of a disk that the event loop serves.
#[derive(Debug)]
pub(crate) struct DiskWorker {
    image: Image,
    memory: Memory,
    queue: Mutex<Option<Queue>>,
    interrupt: EventFd,
    kick: EventFd,
}

impl DiskWorker {
    /// Serves what the driver has made available, up to a bound; signals the queue's ioeventfd itself if there is more.
    /// Called when that was signalled.
    pub(crate) fn process(&self) {
        // An empty eventfd means that an earlier call has served this kick.
        self.kick.read().ok();
        let mut guard = lock(&self.queue);
        let Some(queue) = guard.as_mut() else {
            return;
        };
        if let Err(error) = self.serve_turn(queue) {
            // The ring's indices are nonsense: the driver gets no more answers until it resets the device.
            tracing::warn!("the guest broke its disk's virtqueue: {error}; the disk stops");
            *guard = None;
        }
    }

    /// Serves a queue's worth of requests at most: a driver that makes new ones available as fast as they are served would
    /// otherwise keep the event loop from everything else.
    fn serve_turn(&self, queue: &mut Queue) -> Result<(), virtio_queue::Error> {
        let memory = &self.memory;
        let mut served = 0;
        queue.disable_notification(memory)?;
        while served < QUEUE_SIZE
            && let Some(chain) = queue.iter(memory)?.next()
        {
            let head = chain.head_index();
            let written = request::serve(&self.image, memory, chain);
            queue.add_used(memory, head, written)?;
            served += 1;
        }
        if queue.needs_notification(memory)? {
            // A full counter means that an interrupt is pending anyway.
            self.interrupt.write(1).ok();
        }
        if served == QUEUE_SIZE || queue.enable_notification(memory)? {
            // The rest has its turn once the event loop has looked at everything else. A full counter will do too.
            self.kick.write(1).ok();
        }
        Ok(())
    }

    /// Becomes readable when there is something to [`process`](Self::process).
    pub(crate) fn kick(&self) -> &EventFd {
        &self.kick
    }
}

/// The part of a disk that the transport drives.
#[derive(Debug)]
pub(crate) struct Disk {
    worker: Arc<DiskWorker>,
    config: [u8; CONFIG],
}

impl Disk {
    /// Opens the image at `path` as disk number `index`.
    ///
    /// # Errors
    /// [`VmmError::BadDisk`] if it cannot be opened, is no file or block device, or has not one sector.
    pub(crate) fn open(
        path: &Path,
        index: usize,
        memory: &Memory,
        interrupt: EventFd,
        kick: EventFd,
    ) -> Result<(Self, Arc<DiskWorker>), VmmError> {
        let bad = |why: String| VmmError::BadDisk {
            path: path.to_owned(),
            why,
        };
        let file = File::open(path).map_err(|e| bad(e.to_string()))?;
        let sectors = size(&file).map_err(|e| bad(e.to_string()))? / SECTOR;
        if sectors == 0 {
            return Err(bad("it is empty".into()));
        }
        let mut id = [0; VIRTIO_BLK_ID_BYTES as usize];
        let name = format!("nexus-disk-{index}");
        id[..name.len()].copy_from_slice(name.as_bytes());
        let mut config = [0; CONFIG];
        config[..8].copy_from_slice(&sectors.to_le_bytes());
        config[12..].copy_from_slice(&SEGMENTS.to_le_bytes());
        let worker = Arc::new(DiskWorker {
            image: Image { file, sectors, id },
            memory: memory.clone(),
            queue: Mutex::new(None),
            interrupt,
            kick,
        });
        let disk = Self {
            worker: worker.clone(),
            config,
        };
        Ok((disk, worker))
    }
}

/// Size of a file or block device in bytes.
fn size(file: &File) -> std::io::Result<u64> {
    use std::io::Seek;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(std::io::ErrorKind::IsADirectory.into());
    }
    let mut file = File::from(file.as_fd().try_clone_to_owned()?);
    file.seek(std::io::SeekFrom::End(0))
}

impl VirtioDevice for Disk {
    fn device_id(&self) -> u32 {
        VIRTIO_ID_BLOCK
    }

    fn features(&self) -> u64 {
        [
            VIRTIO_BLK_F_RO,
            VIRTIO_BLK_F_SEG_MAX,
            VIRTIO_RING_F_INDIRECT_DESC,
            VIRTIO_RING_F_EVENT_IDX,
            VIRTIO_F_VERSION_1,
        ]
        .iter()
        .fold(0, |all, bit| all | 1 << bit)
    }

    fn queue_sizes(&self) -> &[u16] {
        &[QUEUE_SIZE]
    }

    fn config(&self) -> &[u8] {
        &self.config
    }

    fn activate(&mut self, features: u64, vrings: &[Vring]) -> Result<(), DeviceError> {
        let wrong = |e: virtio_queue::Error| DeviceError::Driver(e.to_string());
        let [vring] = vrings else {
            return Err(DeviceError::Driver("a disk has one queue".into()));
        };
        let mut queue = Queue::new(QUEUE_SIZE).map_err(wrong)?;
        queue.try_set_size(vring.size).map_err(wrong)?;
        queue
            .try_set_desc_table_address(GuestAddress(vring.descriptors))
            .map_err(wrong)?;
        queue
            .try_set_avail_ring_address(GuestAddress(vring.avail))
            .map_err(wrong)?;
        queue
            .try_set_used_ring_address(GuestAddress(vring.used))
            .map_err(wrong)?;
        queue.set_event_idx(features & 1 << VIRTIO_RING_F_EVENT_IDX != 0);
        queue.set_ready(true);
        if !queue.is_valid(&self.worker.memory) {
            return Err(DeviceError::Driver("its rings are not in memory".into()));
        }
        *lock(&self.worker.queue) = Some(queue);
        Ok(())
    }

    fn reset(&mut self) -> Result<(), DeviceError> {
        *lock(&self.worker.queue) = None;
        Ok(())
    }
}
