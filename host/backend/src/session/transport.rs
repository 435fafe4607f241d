// SPDX-License-Identifier: Apache-2.0
//! The vhost-user requests of the VMM: features, memory table, configuration space, queue setup.
//!
//! Version 1 of the device has nothing that survives a stop: whatever stops a queue (GET_VRING_BASE, RESET_DEVICE,
//! RESET_OWNER) resets the device.

use std::fs::File;
use std::io;
use std::sync::Arc;

use nexus_proto::wire::config::{CONFIG_SIZE, QUEUE_COUNT, QUEUE_REQUEST, feature};
use nexus_proto::wire::limits;
use tokio::io::unix::AsyncFd;
use vhost::vhost_user::message::{
    VhostTransferStateDirection, VhostTransferStatePhase, VhostUserConfigFlags, VhostUserInflight,
    VhostUserLog, VhostUserMemoryRegion, VhostUserProtocolFeatures, VhostUserShMemConfig,
    VhostUserSharedMsg, VhostUserSingleMemoryRegion, VhostUserVirtioFeatures,
    VhostUserVringAddrFlags, VhostUserVringState,
};
use vhost::vhost_user::{Error, GpuBackend, Result, VhostUserBackendReqHandlerMut};
use virtio_bindings::virtio_config::VIRTIO_F_VERSION_1;
use virtio_bindings::virtio_ring::VIRTIO_RING_F_EVENT_IDX;
use virtio_queue::{Queue, QueueT};

use super::device::{Device, Violation};
use super::memory::MemoryTable;
use super::serving::{Kick, Serving};
use super::virtqueue::Virtqueue;
use crate::file;

const FEATURES: u64 = feature::SUPPORTED
    | 1 << VIRTIO_F_VERSION_1
    | 1 << VIRTIO_RING_F_EVENT_IDX
    | VhostUserVirtioFeatures::PROTOCOL_FEATURES.bits();

/// What the VMM said about one queue.
#[derive(Debug, Default)]
struct Vring {
    size: u16,
    base: u16,
    /// Descriptor table, avail ring, used ring, where the VMM has them.
    addresses: Option<[u64; 3]>,
    kick: Option<Kick>,
    call: Option<File>,
    enabled: bool,
    /// There while the queue runs.
    serving: Option<Serving>,
}

impl Vring {
    fn is_running(&self) -> bool {
        self.serving.is_some()
    }
}

/// The vhost-user side of one device.
#[derive(Debug)]
pub(super) struct Transport {
    device: Arc<Device>,
    features: u64,
    memory: Option<MemoryTable>,
    vrings: [Vring; QUEUE_COUNT as usize],
}

impl Transport {
    pub(super) fn new(device: Arc<Device>) -> Self {
        Self {
            device,
            features: 0,
            memory: None,
            vrings: Default::default(),
        }
    }

    fn vring(&mut self, index: u32) -> Result<&mut Vring> {
        usize::try_from(index)
            .ok()
            .and_then(|index| self.vrings.get_mut(index))
            .ok_or_else(|| {
                failed(format!(
                    "there is no queue {index}; the device has {QUEUE_COUNT}"
                ))
            })
    }

    fn stop(&mut self) {
        self.device.reset();
        for vring in &mut self.vrings {
            vring.serving = None;
        }
    }

    fn reset(&mut self) {
        self.stop();
        self.vrings = Default::default();
        self.features = 0;
    }

    /// Starts the queue if the VMM has said all about it.
    fn start_if_complete(&mut self, index: u32) -> Result<()> {
        // Without the protocol features there is no SET_VRING_ENABLE, and queues are enabled from the start
        // (vhost-user specification, "Ring states").
        let always_enabled = self.features & VhostUserVirtioFeatures::PROTOCOL_FEATURES.bits() == 0;
        let event_idx = self.features & (1 << VIRTIO_RING_F_EVENT_IDX) != 0;
        let Some(table) = &self.memory else {
            return Ok(());
        };
        let memory = Arc::clone(&table.memory);
        let translate = |address| {
            table.guest_address(address).ok_or_else(|| {
                failed(format!(
                    "queue {index}: {address:#x} is not within the memory table"
                ))
            })
        };
        let Some(vring) = self.vrings.get(index as usize) else {
            return Ok(());
        };
        let Some(addresses) = vring.addresses else {
            return Ok(());
        };
        if vring.is_running() || !(vring.enabled || always_enabled) {
            return Ok(());
        }
        let Some(kick) = vring.kick.clone() else {
            return Ok(());
        };
        let mut queue =
            Queue::new(limits::QUEUE_SIZE).map_err(|error| failed(error.to_string()))?;
        let [table, avail, used] = addresses;
        let placed = [
            queue.try_set_size(vring.size),
            queue.try_set_desc_table_address(translate(table)?),
            queue.try_set_avail_ring_address(translate(avail)?),
            queue.try_set_used_ring_address(translate(used)?),
        ];
        for result in placed {
            result.map_err(|error| failed(format!("queue {index}: {error}")))?;
        }
        queue.set_next_avail(vring.base);
        queue.set_event_idx(event_idx);
        self.run(index, queue, memory, kick)
    }

    fn run(
        &mut self,
        index: u32,
        queue: Queue,
        memory: Arc<crate::sockets::GuestMemory>,
        kick: Kick,
    ) -> Result<()> {
        let device = Arc::clone(&self.device);
        let vring = self.vring(index)?;
        let call = clone(vring.call.as_ref())?;
        let is_requests = index == u32::from(QUEUE_REQUEST);
        let queue = Virtqueue::new(queue, memory, call).map_err(|error| {
            let violation = if is_requests {
                Violation::Request(error)
            } else {
                Violation::Event(error)
            };
            device.violate(&violation);
            failed(violation.to_string())
        })?;
        vring.serving = Some(if is_requests {
            *device.requests() = Some(queue);
            Serving::requests(device, kick)
        } else {
            *device.events() = Some(queue);
            Serving::events(device, kick)
        });
        Ok(())
    }
}

fn failed(reason: String) -> Error {
    Error::ReqHandlerError(io::Error::other(reason))
}

fn clone(eventfd: Option<&File>) -> Result<Option<File>> {
    eventfd
        .map(|fd| fd.try_clone().map_err(Error::ReqHandlerError))
        .transpose()
}

/// Takes an eventfd from the VMM such that neither reading nor writing it ever blocks, whatever it really is.
fn nonblocking(file: File) -> Result<File> {
    file::set_nonblocking(&file).map_err(Error::ReqHandlerError)?;
    Ok(file)
}

impl VhostUserBackendReqHandlerMut for Transport {
    fn set_owner(&mut self) -> Result<()> {
        Ok(())
    }

    fn reset_owner(&mut self) -> Result<()> {
        self.reset();
        Ok(())
    }

    fn reset_device(&mut self) -> Result<()> {
        self.reset();
        Ok(())
    }

    fn get_features(&mut self) -> Result<u64> {
        Ok(FEATURES)
    }

    fn set_features(&mut self, features: u64) -> Result<()> {
        if features & !FEATURES != 0 {
            return Err(failed(format!(
                "features {:#x} were not offered",
                features & !FEATURES
            )));
        }
        self.features = features;
        self.device.set_features(features);
        Ok(())
    }

    fn set_mem_table(
        &mut self,
        table: &[VhostUserMemoryRegion],
        files: Vec<File>,
        _postcopy_listening: Option<bool>,
    ) -> Result<Option<Vec<vhost::VhostUserMemoryRegionBase>>> {
        // Rings and queues lie in the old table.
        self.stop();
        let table = MemoryTable::map(table, files).map_err(|error| failed(error.to_string()))?;
        self.memory = Some(table);
        Ok(None)
    }

    fn set_vring_num(&mut self, index: u32, num: u32) -> Result<()> {
        let size = u16::try_from(num)
            .ok()
            .filter(|size| size.is_power_of_two() && *size <= limits::QUEUE_SIZE);
        let size = size.ok_or_else(|| {
            failed(format!(
                "queue {index}: size {num} is not a power of two up to {}",
                limits::QUEUE_SIZE
            ))
        })?;
        self.vring(index)?.size = size;
        Ok(())
    }

    fn set_vring_addr(
        &mut self,
        index: u32,
        _flags: VhostUserVringAddrFlags,
        descriptor: u64,
        used: u64,
        available: u64,
        _log: u64,
    ) -> Result<()> {
        self.vring(index)?.addresses = Some([descriptor, available, used]);
        self.start_if_complete(index)
    }

    fn set_vring_base(&mut self, index: u32, base: u32) -> Result<()> {
        let base = u16::try_from(base)
            .map_err(|_| failed(format!("queue {index}: base {base} exceeds 16 bits")))?;
        self.vring(index)?.base = base;
        Ok(())
    }

    fn get_vring_base(&mut self, index: u32) -> Result<VhostUserVringState> {
        let running = match index {
            0 => self.device.requests().as_ref().map(Virtqueue::base),
            _ => self.device.events().as_ref().map(Virtqueue::base),
        };
        let vring = self.vring(index)?;
        vring.base = running.unwrap_or(vring.base);
        // The VMM hands over a new file when it starts the queue again.
        vring.kick = None;
        let base = vring.base;
        self.stop();
        Ok(VhostUserVringState::new(index, u32::from(base)))
    }

    fn set_vring_kick(&mut self, index: u8, fd: Option<File>) -> Result<()> {
        let Some(file) = fd else {
            return Err(failed(format!(
                "queue {index}: polling instead of notifications is not supported"
            )));
        };
        // SAFETY: a `File` keeps its one descriptor open until it is dropped, and the `AsyncFd` owns it and lends it out
        // by shared reference only.
        let kick = unsafe { AsyncFd::register(nonblocking(file)?) };
        let kick = kick.map_err(|error| Error::ReqHandlerError(error.into()))?;
        self.vring(index.into())?.kick = Some(Arc::new(kick));
        self.start_if_complete(index.into())
    }

    fn set_vring_call(&mut self, index: u8, fd: Option<File>) -> Result<()> {
        let call = fd.map(nonblocking).transpose()?;
        let running = clone(call.as_ref())?;
        self.vring(index.into())?.call = call;
        let mut queue = if u16::from(index) == QUEUE_REQUEST {
            self.device.requests()
        } else {
            self.device.events()
        };
        if let Some(queue) = queue.as_mut() {
            queue.set_call(running);
        }
        Ok(())
    }

    fn set_vring_err(&mut self, index: u8, _fd: Option<File>) -> Result<()> {
        // Errors end the connection, which a VMM cannot overlook.
        self.vring(index.into()).map(|_| ())
    }

    fn get_protocol_features(&mut self) -> Result<VhostUserProtocolFeatures> {
        Ok(VhostUserProtocolFeatures::MQ
            | VhostUserProtocolFeatures::CONFIG
            | VhostUserProtocolFeatures::REPLY_ACK
            | VhostUserProtocolFeatures::RESET_DEVICE)
    }

    fn set_protocol_features(&mut self, _features: u64) -> Result<()> {
        Ok(())
    }

    fn get_queue_num(&mut self) -> Result<u64> {
        Ok(u64::from(QUEUE_COUNT))
    }

    fn set_vring_enable(&mut self, index: u32, enable: bool) -> Result<()> {
        let vring = self.vring(index)?;
        vring.enabled = enable;
        if enable {
            return self.start_if_complete(index);
        }
        if vring.is_running() {
            self.stop();
        }
        Ok(())
    }

    fn get_config(
        &mut self,
        offset: u32,
        size: u32,
        _flags: VhostUserConfigFlags,
    ) -> Result<Vec<u8>> {
        let config: [u8; CONFIG_SIZE] = self.device.config().encode();
        let range = offset as usize..(offset as usize).saturating_add(size as usize);
        let bytes = config.get(range).ok_or(Error::InvalidParam)?;
        Ok(bytes.to_vec())
    }

    fn set_config(
        &mut self,
        _offset: u32,
        _buf: &[u8],
        _flags: VhostUserConfigFlags,
    ) -> Result<()> {
        Err(Error::InvalidOperation(
            "the configuration space is read-only",
        ))
    }

    fn set_gpu_socket(&mut self, _gpu_backend: GpuBackend) -> Result<()> {
        Err(not_offered())
    }

    fn get_shared_object(&mut self, _uuid: VhostUserSharedMsg) -> Result<File> {
        Err(not_offered())
    }

    fn get_inflight_fd(
        &mut self,
        _inflight: &VhostUserInflight,
    ) -> Result<(VhostUserInflight, File)> {
        Err(not_offered())
    }

    fn set_inflight_fd(&mut self, _inflight: &VhostUserInflight, _file: File) -> Result<()> {
        Err(not_offered())
    }

    fn get_max_mem_slots(&mut self) -> Result<u64> {
        Err(not_offered())
    }

    fn add_mem_region(
        &mut self,
        _region: &VhostUserSingleMemoryRegion,
        _fd: File,
        _postcopy_listening: Option<bool>,
    ) -> Result<Option<vhost::VhostUserMemoryRegionBase>> {
        Err(not_offered())
    }

    fn remove_mem_region(&mut self, _region: &VhostUserSingleMemoryRegion) -> Result<()> {
        Err(not_offered())
    }

    fn set_device_state_fd(
        &mut self,
        _direction: VhostTransferStateDirection,
        _phase: VhostTransferStatePhase,
        _fd: File,
    ) -> Result<Option<File>> {
        Err(not_offered())
    }

    fn check_device_state(&mut self) -> Result<()> {
        Err(not_offered())
    }

    fn get_shmem_config(&mut self) -> Result<VhostUserShMemConfig> {
        Err(not_offered())
    }

    fn set_log_base(&mut self, _log: &VhostUserLog, _file: File) -> Result<()> {
        Err(not_offered())
    }
}

fn not_offered() -> Error {
    Error::InvalidOperation("not offered by this device")
}
