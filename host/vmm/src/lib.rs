// SPDX-License-Identifier: Apache-2.0
//! nexus-vmm: the virtual machine monitor of Nexus. One process runs one virtual machine.
//!
//! The machine is as small as a Linux guest allows: memory, one or more vCPUs with KVM's in-kernel interrupt controllers,
//! a serial console, a reset line, an exit port, and virtio-mmio devices (read-only disks and virtio-nexus). It boots an
//! uncompressed `vmlinux` by the PVH protocol.
//!
//! - [`cli`]: what the caller can say; [`exit`]: what the process says when it ends.
//! - [`machine`]: puts the parts together and runs them; [`memory`] and [`boot`] prepare what the guest finds.
//! - [`vcpu`]: one thread per vCPU, pausing, and counters of every exit.
//! - [`device`]: serial console, virtio-mmio transport, disk, virtio-nexus.
//! - [`control`]: the line protocol by which nexusd commands the process.
//! - [`probe`]: finds out by trying whether this host's KVM can run a Linux guest.
//!
//! Threads: one for each vCPU, and the main thread, which waits in one epoll for everything else.

pub mod boot;
pub mod cli;
pub mod control;
pub mod device;
pub mod exit;
pub mod machine;
pub mod memory;
pub mod probe;
mod sandbox;
pub mod vcpu;

pub use exit::{ExitReason, VmmError};
pub use probe::{KvmSupport, probe_kvm};
