// SPDX-License-Identifier: Apache-2.0
//! Why a virtual machine ended or never began, and the process status that says so.
//!
//! | status | name | meaning |
//! |---|---|---|
//! | 0 | `exited` | the guest ended in order with code 0 |
//! | 1 | `exited` | the guest ended in order with another code, which the control channel's last line carries |
//! | 2 | `bad_configuration` | the command line asks for something impossible |
//! | 10 | `guest_reset` | the guest pulled the reset line: it rebooted, or its kernel panicked (see the serial log) |
//! | 11 | `triple_fault` | the guest's CPU shut down |
//! | 12 | `stopped` | the control channel asked for it |
//! | 13 | `control_closed` | the control channel's other end is gone |
//! | 14 | `backend_gone` | the virtio-nexus backend ended its connection, as it does after a violation by the guest |
//! | 20 | `no_kvm` | there is no /dev/kvm |
//! | 21 | `no_permission` | /dev/kvm may not be opened |
//! | 22 | `kvm_lacks` | KVM is too old or lacks a feature; also the status of `nexus-vmm probe` if KVM is not complete |
//! | 23 | `bad_kernel` | the kernel image is missing or cannot be booted |
//! | 24 | `bad_disk` | a disk image is missing or unusable |
//! | 25 | `no_memory` | guest memory cannot be had |
//! | 30 | `internal` | a bug, or an error of KVM that has no other name |

use std::path::PathBuf;
use std::sync::Mutex;

use thiserror::Error;
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

/// Why a running machine ended.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ExitReason {
    /// The guest wrote `code` to the exit port.
    #[error("the guest ended with code {code}")]
    Exited {
        /// The byte that the guest wrote; 0 is success.
        code: u8,
    },
    /// The guest pulled the reset line of the keyboard controller.
    #[error(
        "the guest reset the machine: it rebooted or its kernel panicked; the serial log says which"
    )]
    GuestReset,
    /// The CPU shut down.
    #[error(
        "the guest's CPU shut down by a triple fault; is the kernel built for this machine (docs of guest-kmod)?"
    )]
    TripleFault,
    /// The control channel said stop.
    #[error("stopped on request")]
    Stopped,
    /// The control channel was closed by its other end.
    #[error("the control channel was closed: the process that started this machine is gone")]
    ControlClosed,
    /// The vhost-user backend hung up.
    #[error(
        "the virtio-nexus backend ended the connection: it stopped, or the guest violated the protocol; its log says which"
    )]
    BackendGone,
    /// Something that should not happen.
    #[error("internal error: {0}; please report it with the serial log")]
    Internal(String),
}

impl ExitReason {
    /// Name for programs, stable.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Exited { .. } => "exited",
            Self::GuestReset => "guest_reset",
            Self::TripleFault => "triple_fault",
            Self::Stopped => "stopped",
            Self::ControlClosed => "control_closed",
            Self::BackendGone => "backend_gone",
            Self::Internal(_) => "internal",
        }
    }

    /// Exit status of the process, see the module's table.
    pub fn status(&self) -> u8 {
        match self {
            Self::Exited { code } => u8::from(*code != 0),
            Self::GuestReset => 10,
            Self::TripleFault => 11,
            Self::Stopped => 12,
            Self::ControlClosed => 13,
            Self::BackendGone => 14,
            Self::Internal(_) => 30,
        }
    }

    /// Code that the guest gave, if it ended in order.
    pub fn guest_code(&self) -> Option<u8> {
        match self {
            Self::Exited { code } => Some(*code),
            _ => None,
        }
    }
}

/// Why a machine could not be built or started.
#[derive(Debug, Error)]
pub enum VmmError {
    /// The command line asks for something impossible.
    #[error("{0}")]
    BadConfiguration(String),
    /// There is no KVM device.
    #[error(
        "/dev/kvm does not exist: enable virtualisation in the firmware (or nested virtualisation in the cloud), then `modprobe kvm_intel` or `modprobe kvm_amd`"
    )]
    NoKvm,
    /// The KVM device may not be opened.
    #[error(
        "/dev/kvm may not be opened by this user: add it to the group `kvm`, or pass the device into the container"
    )]
    NoPermission,
    /// KVM lacks something.
    #[error("this host's KVM lacks {0}; `nexus doctor` tells more")]
    KvmLacks(String),
    /// An ioctl failed.
    #[error(
        "KVM refused to {what}: {error}; `nexus-vmm probe` tells whether this host's KVM is complete"
    )]
    Kvm {
        /// What was tried.
        what: &'static str,
        /// KVM's answer.
        error: kvm_ioctls::Error,
    },
    /// The kernel image cannot be booted.
    #[error("cannot boot the kernel {}: {why}", path.display())]
    BadKernel {
        /// The image.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// A disk image cannot be used.
    #[error("cannot use the disk image {}: {why}", path.display())]
    BadDisk {
        /// The image.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Guest memory cannot be had.
    #[error(
        "cannot have {mib} MiB of guest memory: {why}; lower --memory or free memory on the host"
    )]
    NoMemory {
        /// Size asked for.
        mib: u64,
        /// The system's answer.
        why: String,
    },
    /// The vhost-user handshake failed.
    #[error(
        "cannot agree with the virtio-nexus backend: {0}; do nexusd and nexus-vmm come from the same build?"
    )]
    Backend(String),
    /// A system call failed.
    #[error("cannot {what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The system's answer.
        error: std::io::Error,
    },
}

impl VmmError {
    /// Name for programs, stable.
    pub fn name(&self) -> &'static str {
        match self {
            Self::BadConfiguration(_) => "bad_configuration",
            Self::NoKvm => "no_kvm",
            Self::NoPermission => "no_permission",
            Self::KvmLacks(_) => "kvm_lacks",
            Self::BadKernel { .. } => "bad_kernel",
            Self::BadDisk { .. } => "bad_disk",
            Self::NoMemory { .. } => "no_memory",
            Self::Backend(_) => "backend_gone",
            Self::Kvm { .. } | Self::System { .. } => "internal",
        }
    }

    /// Exit status of the process, see the module's table.
    pub fn status(&self) -> u8 {
        match self {
            Self::BadConfiguration(_) => 2,
            Self::Backend(_) => 14,
            Self::NoKvm => 20,
            Self::NoPermission => 21,
            Self::KvmLacks(_) => 22,
            Self::BadKernel { .. } => 23,
            Self::BadDisk { .. } => 24,
            Self::NoMemory { .. } => 25,
            Self::Kvm { .. } | Self::System { .. } => 30,
        }
    }

    /// For `map_err` on a KVM ioctl.
    pub(crate) fn kvm(what: &'static str) -> impl FnOnce(kvm_ioctls::Error) -> Self {
        move |error| Self::Kvm { what, error }
    }

    /// For `map_err` on a system call.
    pub(crate) fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::System { what, error }
    }
}

/// Where every thread reports that the machine has to end. The first reason stays.
#[derive(Debug)]
pub struct ExitSlot {
    reason: Mutex<Option<ExitReason>>,
    wake: EventFd,
}

impl ExitSlot {
    /// An empty slot.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            reason: Mutex::new(None),
            wake: EventFd::new(EFD_CLOEXEC | EFD_NONBLOCK)?,
        })
    }

    /// Reports a reason and wakes the event loop.
    pub fn report(&self, reason: ExitReason) {
        let mut slot = crate::vcpu::lock(&self.reason);
        slot.get_or_insert(reason);
        // The counter cannot overflow by the few reports that a machine's life has, and a full one would wake as well.
        self.wake.write(1).ok();
    }

    /// The reason, once there is one.
    pub fn reason(&self) -> Option<ExitReason> {
        crate::vcpu::lock(&self.reason).clone()
    }

    /// Becomes readable when a reason was reported.
    pub fn wake(&self) -> &EventFd {
        &self.wake
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_reason_stays() -> std::io::Result<()> {
        let slot = ExitSlot::new()?;
        assert_eq!(slot.reason(), None);
        slot.report(ExitReason::GuestReset);
        slot.report(ExitReason::BackendGone);
        assert_eq!(slot.reason(), Some(ExitReason::GuestReset));
        assert_eq!(slot.wake().read()?, 2);
        Ok(())
    }

    #[test]
    fn every_status_is_in_the_table() {
        let table = include_str!("exit.rs");
        let reasons = [
            ExitReason::Exited { code: 0 },
            ExitReason::Exited { code: 9 },
            ExitReason::GuestReset,
            ExitReason::TripleFault,
            ExitReason::Stopped,
            ExitReason::ControlClosed,
            ExitReason::BackendGone,
            ExitReason::Internal(String::new()),
        ];
        for reason in reasons {
            let row = format!("//! | {} | `{}` |", reason.status(), reason.name());
            assert!(table.contains(&row), "{row}");
        }
    }
}
