// SPDX-License-Identifier: Apache-2.0
//! The devices of the machine.

pub(crate) mod block;
pub(crate) mod nexus;
pub mod serial;
pub(crate) mod transport;

use thiserror::Error;
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

/// Where a driver has put a virtqueue (virtio 1.3, section 2.7), not yet checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Vring {
    /// Entries.
    pub(crate) size: u16,
    /// The driver has enabled it.
    pub(crate) ready: bool,
    /// Guest address of the descriptor table.
    pub(crate) descriptors: u64,
    /// Guest address of the avail ring.
    pub(crate) avail: u64,
    /// Guest address of the used ring.
    pub(crate) used: u64,
}

/// Why a device did not start.
#[derive(Debug, Error)]
pub(crate) enum DeviceError {
    /// The driver's fault: the device asks for a reset and the machine goes on.
    #[error("{0}")]
    Driver(String),
    /// The backend is gone: the machine ends.
    #[error("the vhost-user backend failed: {0}")]
    Backend(#[from] vhost::Error),
}

/// A device type behind the virtio-mmio transport.
pub(crate) trait VirtioDevice: Send {
    /// Device id (virtio 1.3, section 5).
    fn device_id(&self) -> u32;
    /// Feature bits offered.
    fn features(&self) -> u64;
    /// Largest size of each queue.
    fn queue_sizes(&self) -> &[u16];
    /// Configuration space.
    fn config(&self) -> &[u8];
    /// The driver is ready with these features and queues, one for each of `queue_sizes`.
    fn activate(&mut self, features: u64, vrings: &[Vring]) -> Result<(), DeviceError>;
    /// The driver wants no more. Guest memory is left alone from the return on.
    fn reset(&mut self) -> Result<(), DeviceError>;
}

/// The event file descriptors between a device and KVM.
#[derive(Debug)]
pub(crate) struct Lines {
    /// irqfd: raises the device's interrupt.
    pub(crate) interrupt: EventFd,
    /// ioeventfd of each queue's notification.
    pub(crate) kicks: Vec<EventFd>,
    /// ioeventfd that swallows interrupt acknowledgements, see [`transport`].
    pub(crate) acknowledge: EventFd,
}

impl Lines {
    pub(crate) fn new(queues: usize) -> std::io::Result<Self> {
        let event = || EventFd::new(EFD_CLOEXEC | EFD_NONBLOCK);
        Ok(Self {
            interrupt: event()?,
            kicks: (0..queues).map(|_| event()).collect::<Result<_, _>>()?,
            acknowledge: event()?,
        })
    }
}
