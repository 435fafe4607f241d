// SPDX-License-Identifier: Apache-2.0
//! virtio-nexus: the device lives in nexusd; this hands it the guest's memory and rings by vhost-user.
//!
//! Order of messages (vhost-user protocol of QEMU's documentation):
//! - before the guest runs: `GET_FEATURES`, `GET/SET_PROTOCOL_FEATURES` (CONFIG is needed; MQ, `REPLY_ACK` and `RESET_DEVICE`
//!   are taken if offered), `SET_OWNER`, `GET_CONFIG`;
//! - when the driver is ready: `SET_FEATURES`, `SET_MEM_TABLE`, then `SET_VRING_NUM`, `_BASE`, `_ADDR`, `_CALL`, `_KICK` for each
//!   queue, then `SET_VRING_ENABLE` for each;
//! - when the driver resets: `SET_VRING_ENABLE` 0 and `GET_VRING_BASE` for each queue, after which the backend leaves guest
//!   memory alone, then `RESET_DEVICE` if the backend has it.

#[cfg(test)]
mod tests;

use std::os::unix::net::UnixStream;

use nexus_proto::wire::config::{CONFIG_SIZE, DEVICE_ID, QUEUE_COUNT};
use nexus_proto::wire::limits::QUEUE_SIZE;
use vhost::vhost_user::message::{
    VhostUserConfigFlags, VhostUserHeaderFlag, VhostUserProtocolFeatures, VhostUserVirtioFeatures,
};
use vhost::vhost_user::{Frontend, VhostUserFrontend};
use vhost::{VhostBackend, VhostUserMemoryRegionInfo, VringConfigData};
use virtio_bindings::virtio_config::VIRTIO_F_VERSION_1;
use virtio_bindings::virtio_ring::VIRTIO_RING_F_EVENT_IDX;
use vm_memory::{GuestAddress, GuestMemoryBackend};
use vmm_sys_util::eventfd::EventFd;

use super::{DeviceError, VirtioDevice, Vring};
use crate::exit::VmmError;
use crate::memory::Memory;

/// Queues of the device.
pub(crate) const QUEUES: usize = QUEUE_COUNT as usize;

/// What a driver may see of the backend's features: those of the device type (bits 0 to 23) and these two of the queues.
const DRIVER_FEATURES: u64 = 0xff_ffff | 1 << VIRTIO_RING_F_EVENT_IDX | 1 << VIRTIO_F_VERSION_1;

/// The device as the transport sees it.
pub(crate) struct NexusDevice {
    frontend: Frontend,
    offered: u64,
    protocol: VhostUserProtocolFeatures,
    config: Vec<u8>,
    memory: Memory,
    interrupt: EventFd,
    kicks: Vec<EventFd>,
}

impl NexusDevice {
    /// Agrees with the backend at the other end of `stream`.
    ///
    /// # Errors
    /// [`VmmError::Backend`] if it hangs up, lacks what we need, or does not speak the protocol.
    pub(crate) fn connect(
        stream: UnixStream,
        memory: &Memory,
        interrupt: EventFd,
        kicks: Vec<EventFd>,
    ) -> Result<Self, VmmError> {
        let failed = |e: vhost::Error| VmmError::Backend(e.to_string());
        let mut frontend = Frontend::from_stream(stream, u64::from(QUEUE_COUNT));
        let offered = frontend.get_features().map_err(failed)?;
        let needed = VhostUserVirtioFeatures::PROTOCOL_FEATURES.bits() | 1 << VIRTIO_F_VERSION_1;
        if offered & needed != needed {
            return Err(VmmError::Backend(format!(
                "it offers features {offered:#x}, but {needed:#x} are needed"
            )));
        }
        let wanted = VhostUserProtocolFeatures::CONFIG
            | VhostUserProtocolFeatures::MQ
            | VhostUserProtocolFeatures::REPLY_ACK
            | VhostUserProtocolFeatures::RESET_DEVICE;
        let protocol = frontend.get_protocol_features().map_err(failed)? & wanted;
        if !protocol.contains(VhostUserProtocolFeatures::CONFIG) {
            return Err(VmmError::Backend("it has no configuration space".into()));
        }
        frontend.set_protocol_features(protocol).map_err(failed)?;
        if protocol.contains(VhostUserProtocolFeatures::REPLY_ACK) {
            frontend.set_hdr_flags(VhostUserHeaderFlag::NEED_REPLY);
        }
        frontend.set_owner().map_err(failed)?;
        let config = read_config(&mut frontend).map_err(failed)?;
        Ok(Self {
            frontend,
            offered,
            protocol,
            config,
            memory: memory.clone(),
            interrupt,
            kicks,
        })
    }

    /// Tells the backend where a ring is. The ring must lie within guest memory.
    fn hand_over(&self, index: usize, vring: &Vring) -> Result<(), DeviceError> {
        let entries = u64::from(vring.size);
        // Sizes of split rings with the event index (virtio 1.3, section 2.7).
        let addresses = VringConfigData {
            queue_max_size: QUEUE_SIZE,
            queue_size: vring.size,
            flags: 0,
            desc_table_addr: self.host_address(vring.descriptors, 16 * entries, 16)?,
            avail_ring_addr: self.host_address(vring.avail, 6 + 2 * entries, 2)?,
            used_ring_addr: self.host_address(vring.used, 6 + 8 * entries, 4)?,
            log_addr: None,
        };
        self.frontend.set_vring_num(index, vring.size)?;
        self.frontend.set_vring_base(index, 0)?;
        self.frontend.set_vring_addr(index, &addresses)?;
        self.frontend.set_vring_call(index, &self.interrupt)?;
        self.frontend.set_vring_kick(index, &self.kicks[index])?;
        Ok(())
    }

    /// Address in this process of `length` bytes at guest address `address`, by which the backend finds them in the memory table.
    fn host_address(&self, address: u64, length: u64, align: u64) -> Result<u64, DeviceError> {
        let outside = || DeviceError::Driver(format!("a ring at {address:#x} is not in memory"));
        if !address.is_multiple_of(align) {
            return Err(outside());
        }
        let length = usize::try_from(length).map_err(|_| outside())?;
        self.memory
            .get_slice(GuestAddress(address), length)
            .map(|slice| slice.ptr_guard().as_ptr() as u64)
            .map_err(|_| outside())
    }
}

fn read_config(frontend: &mut Frontend) -> Result<Vec<u8>, vhost::Error> {
    let size = u32::try_from(CONFIG_SIZE).unwrap_or(0);
    let (_, bytes) =
        frontend.get_config(0, size, VhostUserConfigFlags::empty(), &[0; CONFIG_SIZE])?;
    Ok(bytes)
}

impl VirtioDevice for NexusDevice {
    fn device_id(&self) -> u32 {
        DEVICE_ID
    }

    fn features(&self) -> u64 {
        self.offered & DRIVER_FEATURES
    }

    fn queue_sizes(&self) -> &[u16] {
        &[QUEUE_SIZE; QUEUES]
    }

    fn config(&self) -> &[u8] {
        &self.config
    }

    fn activate(&mut self, features: u64, vrings: &[Vring]) -> Result<(), DeviceError> {
        self.frontend
            .set_features(features | VhostUserVirtioFeatures::PROTOCOL_FEATURES.bits())?;
        let regions = self
            .memory
            .iter()
            .map(VhostUserMemoryRegionInfo::from_guest_region)
            .collect::<Result<Vec<_>, _>>()?;
        self.frontend.set_mem_table(&regions)?;
        for (index, vring) in vrings.iter().enumerate() {
            self.hand_over(index, vring)?;
        }
        for index in 0..vrings.len() {
            self.frontend.set_vring_enable(index, true)?;
        }
        Ok(())
    }

    fn reset(&mut self) -> Result<(), DeviceError> {
        for index in 0..QUEUES {
            self.frontend.set_vring_enable(index, false)?;
            self.frontend.get_vring_base(index)?;
        }
        if self
            .protocol
            .contains(VhostUserProtocolFeatures::RESET_DEVICE)
        {
            self.frontend.reset_device()?;
        }
        Ok(())
    }
}
