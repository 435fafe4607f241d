// SPDX-License-Identifier: Apache-2.0
//! The machine: built from its description, run until there is a reason to end.

mod builder;
pub(crate) mod bus;
mod events;
mod inherited;
pub mod layout;

pub(crate) use builder::open_kvm;

use std::fs::File;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use crate::cli::MachineConfig;
use crate::control::protocol::{Exited, Stats};
use crate::control::{Channel, protocol};
use crate::exit::{ExitReason, ExitSlot, VmmError};
use crate::sandbox;
use crate::vcpu::{Vcpus, lock};

/// What the caller left open for the machine.
pub(crate) struct Inherited {
    pub(crate) serial: File,
    pub(crate) backend: Option<UnixStream>,
}

/// Runs the machine that `config` describes until it ends, and tells the control channel how it ended.
///
/// # Errors
/// Any [`VmmError`] if the machine cannot be built; then no guest instruction has run.
pub fn run(config: &MachineConfig) -> Result<ExitReason, VmmError> {
    let control = config
        .control_fd
        .map(|fd| inherited::unix_stream("--control-fd", fd))
        .transpose()?;
    let mut control = control
        .map(Channel::new)
        .transpose()
        .map_err(VmmError::system("set up the control channel"))?;
    let result = build_and_run(config, control.as_mut());
    if let Some(channel) = &mut control {
        channel.send(&match &result {
            Ok(reason) => Exited::from(reason),
            Err(error) => Exited::from(error),
        });
    }
    result
}

fn build_and_run(
    config: &MachineConfig,
    control: Option<&mut Channel>,
) -> Result<ExitReason, VmmError> {
    sandbox::forbid_core_dumps()?;
    let backend = config
        .nexus_fd
        .map(|fd| inherited::unix_stream("--nexus-fd", fd))
        .transpose()?;
    let hangup = backend
        .as_ref()
        .map(UnixStream::try_clone)
        .transpose()
        .map_err(VmmError::system("duplicate the backend's socket"))?;
    let inherited = Inherited {
        serial: inherited::serial(&config.serial)?,
        backend,
    };
    let built = builder::build(config, inherited)?;
    let exit = Arc::new(ExitSlot::new().map_err(VmmError::system("create an eventfd"))?);
    let vcpus = Vcpus::start(built.vcpus, &built.bus, &exit)?;
    let mut machine = Machine {
        vcpus,
        exit,
        ram: built.ram,
        bus: built.bus,
        disks: built.disks,
        backend: hangup,
        _vm: built.vm,
        _lines: built.lines,
    };
    // The filter binds the threads that exist; no call after this one starts another.
    let confined = if config.no_sandbox {
        Ok(())
    } else {
        sandbox::enter()
    };
    let reason = confined.and_then(|()| machine.serve(control));
    machine.stop();
    reason
}

/// A running machine. The vCPU threads come first, so that they end before what they use.
pub(crate) struct Machine {
    vcpus: Vcpus,
    exit: Arc<ExitSlot>,
    bus: Arc<bus::Bus>,
    disks: Vec<Arc<crate::device::block::DiskWorker>>,
    backend: Option<UnixStream>,
    ram: crate::memory::GuestRam,
    _lines: Vec<crate::device::Lines>,
    _vm: kvm_ioctls::VmFd,
}

impl Machine {
    /// Ends the vCPUs, also one that waits for an answer of the backend, and completes the log.
    fn stop(&mut self) {
        if let Some(backend) = &self.backend {
            // It fails if the backend has closed the connection before.
            backend.shutdown(Shutdown::Both).ok();
        }
        self.vcpus.stop();
        lock(&self.bus.serial).finish();
    }

    /// Counters for the control channel.
    fn stats(&self) -> std::io::Result<protocol::Answer> {
        let exits = self.bus.counters.snapshot();
        Ok(protocol::Answer::Stats {
            ok: true,
            stats: Stats {
                exits_total: exits.values().sum(),
                exits,
                vcpu_ns: self.vcpus.cpu_time()?,
                memory: self.ram.size(),
                memory_resident: self.ram.resident()?,
            },
        })
    }
}
