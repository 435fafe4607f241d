// SPDX-License-Identifier: Apache-2.0
//! Guest memory, and the VMM's half of vhost-user.

use std::fs::File;
use std::os::unix::net::UnixStream;

use nexus_proto::wire::config::{CONFIG_SIZE, QUEUE_COUNT, feature};
use nexus_proto::wire::{Config, limits};
use nix::sys::memfd::{MFdFlags, memfd_create};
use vhost::vhost_user::message::{VhostUserConfigFlags, VhostUserHeaderFlag};
use vhost::vhost_user::{Frontend as VhostFrontend, VhostUserFrontend, VhostUserProtocolFeatures};
use vhost::{VhostBackend, VhostUserMemoryRegionInfo, VringConfigData};
use vm_memory::{
    Bytes, FileOffset, GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion,
};

use super::queue::DriverQueue;

/// Bytes of memory in a test's guest.
pub(crate) const MEMORY_SIZE: u64 = 64 << 20;

/// The memory of a guest: one region from address 0 on.
pub(crate) struct Memory(GuestMemoryMmap);

impl Memory {
    pub(crate) fn new() -> Self {
        let file = File::from(
            memfd_create("guest", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING).unwrap(),
        );
        file.set_len(MEMORY_SIZE).unwrap();
        let region = (
            GuestAddress(0),
            usize::try_from(MEMORY_SIZE).unwrap(),
            Some(FileOffset::new(file, 0)),
        );
        Self(GuestMemoryMmap::from_ranges_with_files([region]).unwrap())
    }

    pub(crate) fn read(&self, address: u64, bytes: &mut [u8]) {
        self.0.read_slice(bytes, GuestAddress(address)).unwrap();
    }

    pub(crate) fn write(&self, address: u64, bytes: &[u8]) {
        self.0.write_slice(bytes, GuestAddress(address)).unwrap();
    }

    pub(crate) fn load(&self, address: u64) -> u16 {
        self.0
            .load(GuestAddress(address), std::sync::atomic::Ordering::Acquire)
            .unwrap()
    }

    pub(crate) fn store(&self, address: u64, value: u16) {
        self.0
            .store(
                value,
                GuestAddress(address),
                std::sync::atomic::Ordering::Release,
            )
            .unwrap();
    }

    fn host_address(&self, address: u64) -> u64 {
        self.0.get_host_address(GuestAddress(address)).unwrap() as u64
    }
}

/// A VMM's end of the connection.
pub(crate) struct Frontend {
    inner: VhostFrontend,
}

impl Frontend {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self {
            inner: VhostFrontend::from_stream(stream, u64::from(QUEUE_COUNT)),
        }
    }

    pub(crate) fn negotiate(&mut self) {
        self.inner.set_owner().unwrap();
        let features = self.inner.get_features().unwrap();
        assert_ne!(features & feature::STREAM, 0);
        self.inner.set_features(features).unwrap();
        let protocol = self.inner.get_protocol_features().unwrap();
        assert!(
            protocol.contains(
                VhostUserProtocolFeatures::CONFIG | VhostUserProtocolFeatures::RESET_DEVICE
            )
        );
        self.inner.set_protocol_features(protocol).unwrap();
        self.inner.set_hdr_flags(VhostUserHeaderFlag::NEED_REPLY);
        assert_eq!(self.inner.get_queue_num().unwrap(), u64::from(QUEUE_COUNT));
    }

    pub(crate) fn config(&mut self) -> Config {
        let size = u32::try_from(CONFIG_SIZE).unwrap();
        let (_, bytes) = self
            .inner
            .get_config(0, size, VhostUserConfigFlags::empty(), &[0; CONFIG_SIZE])
            .unwrap();
        Config::decode(&bytes.try_into().unwrap()).unwrap()
    }

    pub(crate) fn set_memory(&mut self, memory: &Memory) {
        let regions: Vec<_> = memory
            .0
            .iter()
            .map(|region| VhostUserMemoryRegionInfo {
                guest_phys_addr: region.start_addr().0,
                memory_size: region.len(),
                userspace_addr: memory.host_address(region.start_addr().0),
                mmap_offset: 0,
                mmap_handle: std::os::fd::AsRawFd::as_raw_fd(region.file_offset().unwrap().file()),
            })
            .collect();
        self.inner.set_mem_table(&regions).unwrap();
    }

    pub(crate) fn start(&mut self, index: usize, queue: &DriverQueue) {
        self.try_start(index, queue).unwrap();
    }

    pub(crate) fn try_start(&mut self, index: usize, queue: &DriverQueue) -> vhost::Result<()> {
        self.inner.set_vring_num(index, limits::QUEUE_SIZE)?;
        self.inner.set_vring_base(index, 0)?;
        let (table, avail, used) = queue.addresses();
        let config = VringConfigData {
            queue_max_size: limits::QUEUE_SIZE,
            queue_size: limits::QUEUE_SIZE,
            flags: 0,
            desc_table_addr: queue.memory.host_address(table),
            avail_ring_addr: queue.memory.host_address(avail),
            used_ring_addr: queue.memory.host_address(used),
            log_addr: None,
        };
        self.inner.set_vring_addr(index, &config)?;
        self.inner.set_vring_call(index, &queue.call_eventfd())?;
        self.inner.set_vring_kick(index, &queue.kick_eventfd())?;
        self.inner
            .set_vring_enable(index, true)
            .map_err(|error| vhost::Error::VhostUserProtocol(io_error(&error)))
    }

    pub(crate) fn reset_device(&mut self) {
        self.inner.reset_device().unwrap();
        self.negotiate_features();
    }

    pub(crate) fn stop_queue(&mut self, index: usize) -> u32 {
        self.inner.get_vring_base(index).unwrap()
    }

    fn negotiate_features(&mut self) {
        let features = self.inner.get_features().unwrap();
        self.inner.set_features(features).unwrap();
    }
}

fn io_error(error: &impl std::fmt::Display) -> vhost::vhost_user::Error {
    vhost::vhost_user::Error::ReqHandlerError(std::io::Error::other(error.to_string()))
}
