// SPDX-License-Identifier: Apache-2.0
//! vCPUs: one thread each, which runs the guest, serves its exits and can be paused.

pub mod counters;
pub(crate) mod cpuid;
pub(crate) mod gate;
pub(crate) mod kick;
pub(crate) mod registers;

use std::io;
use std::os::unix::thread::JoinHandleExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use kvm_ioctls::{VcpuExit, VcpuFd};
use nix::errno::Errno;

use crate::exit::{ExitReason, ExitSlot, VmmError};
use crate::machine::bus::Bus;
use counters::Kind;
use gate::Gate;

/// Locks a mutex, poisoned or not: what the mutexes of this crate guard is consistent between any two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a vCPU may take to stop. It is microseconds unless the host is in trouble or a backend does not answer.
const REST_LIMIT: Duration = Duration::from_secs(5);

/// The vCPU threads of a machine.
#[derive(Debug)]
pub struct Vcpus {
    gate: Arc<Gate>,
    threads: Vec<JoinHandle<()>>,
}

impl Vcpus {
    /// Starts a thread for each vCPU.
    pub(crate) fn start(
        vcpus: Vec<VcpuFd>,
        bus: &Arc<Bus>,
        exit: &Arc<ExitSlot>,
    ) -> Result<Self, VmmError> {
        kick::block().map_err(VmmError::system("block a signal"))?;
        let gate = Arc::new(Gate::new(vcpus.len()));
        let mut threads = Vec::new();
        for (id, fd) in vcpus.into_iter().enumerate() {
            let runner = Runner {
                fd,
                bus: bus.clone(),
                gate: gate.clone(),
                exit: exit.clone(),
            };
            let thread = std::thread::Builder::new()
                .name(format!("vcpu{id}"))
                .stack_size(256 << 10)
                .spawn(move || runner.main())
                .map_err(VmmError::system("start a vCPU thread"))?;
            threads.push(thread);
        }
        Ok(Self { gate, threads })
    }

    /// Stops all vCPUs between two guest instructions. False if one does not stop in time.
    pub fn pause(&self) -> bool {
        self.gate.close();
        self.kick();
        self.gate.wait_for_rest(REST_LIMIT)
    }

    /// Lets all vCPUs go on.
    pub fn resume(&self) {
        self.gate.open();
    }

    /// Ends all vCPU threads. One that does not end in time is left to the end of the process.
    pub fn stop(&mut self) {
        self.gate.stop();
        self.kick();
        if self.gate.wait_for_rest(REST_LIMIT) {
            for thread in self.threads.drain(..) {
                if thread.join().is_err() {
                    tracing::error!("a vCPU thread panicked");
                }
            }
        }
    }

    /// CPU time of each vCPU thread in nanoseconds: in the guest, in KVM and in this process together.
    pub fn cpu_time(&self) -> io::Result<Vec<u64>> {
        self.threads.iter().map(thread_time).collect()
    }

    fn kick(&self) {
        self.threads.iter().for_each(kick::kick);
    }
}

fn thread_time(thread: &JoinHandle<()>) -> io::Result<u64> {
    let mut clock = 0;
    // SAFETY: the handle is of a thread that was not joined, so its pthread_t is valid; `clock` is a place for the result.
    let result = unsafe { libc::pthread_getcpuclockid(thread.as_pthread_t(), &raw mut clock) };
    if result != 0 {
        return Err(io::Error::from_raw_os_error(result));
    }
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a place for the result; a clock of a thread that has ended is refused by the kernel.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Ok(seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// One vCPU thread.
struct Runner {
    fd: VcpuFd,
    bus: Arc<Bus>,
    gate: Arc<Gate>,
    exit: Arc<ExitSlot>,
}

impl Runner {
    fn main(mut self) {
        if let Some(reason) = self.run() {
            self.exit.report(reason);
        }
        self.gate.leave();
    }

    /// Runs the guest until the machine has to end. None if it was told to end.
    fn run(&mut self) -> Option<ExitReason> {
        if let Err(error) = kick::prepare(&self.fd) {
            return Some(ExitReason::Internal(format!(
                "KVM takes no signal mask: {error}"
            )));
        }
        loop {
            match self.step() {
                Ok(Step::Continue) => {}
                Ok(Step::Kicked) => {
                    if let Err(error) = kick::acknowledge() {
                        return Some(ExitReason::Internal(format!("signals: {error}")));
                    }
                    if !self.gate.pass() {
                        return None;
                    }
                    self.tell_guest_of_pause();
                }
                Err(reason) => return Some(reason),
            }
        }
    }

    /// Keeps the guest's watchdog from taking the pause for a lockup. A guest without kvm-clock refuses, and needs it not.
    fn tell_guest_of_pause(&self) {
        self.fd.kvmclock_ctrl().ok();
    }

    /// Enters the guest once and serves the exit.
    fn step(&mut self) -> Result<Step, ExitReason> {
        let bus = &self.bus;
        match self.fd.run() {
            Ok(VcpuExit::IoOut(port, data)) => bus.port_write(port, data)?,
            Ok(VcpuExit::IoIn(port, data)) => bus.port_read(port, data),
            Ok(VcpuExit::MmioWrite(address, data)) => bus.mmio_write(address, data)?,
            Ok(VcpuExit::MmioRead(_, data)) => bus.mmio_read(data),
            Ok(VcpuExit::Hlt) => bus.counters().count(Kind::Halt),
            Ok(VcpuExit::Intr) => bus.counters().count(Kind::Kick),
            Ok(VcpuExit::Shutdown) => return Err(ExitReason::TripleFault),
            Ok(VcpuExit::InternalError) => return Err(self.internal_error()),
            Ok(VcpuExit::FailEntry(reason, _)) => {
                let text = format!("the CPU refused the guest's state ({reason:#x})");
                return Err(ExitReason::Internal(text));
            }
            Ok(other) => {
                let text = format!("KVM left the guest with an unexpected exit {other:?}");
                return Err(ExitReason::Internal(text));
            }
            Err(error) => return self.run_failed(error),
        }
        Ok(Step::Continue)
    }

    fn run_failed(&self, error: kvm_ioctls::Error) -> Result<Step, ExitReason> {
        match Errno::from_raw(error.errno()) {
            Errno::EINTR => {
                self.bus.counters().count(Kind::Kick);
                Ok(Step::Kicked)
            }
            Errno::EAGAIN => Ok(Step::Continue),
            _ => Err(ExitReason::Internal(format!("KVM_RUN failed: {error}"))),
        }
    }

    fn internal_error(&mut self) -> ExitReason {
        let at = self.fd.get_regs().map_or(0, |regs| regs.rip);
        let run = self.fd.get_kvm_run();
        // SAFETY: KVM fills this member of the union for the exit reason that brought us here; it is plain data.
        let suberror = unsafe { run.__bindgen_anon_1.internal }.suberror;
        ExitReason::Internal(format!(
            "KVM could not run the guest's instruction at {at:#x} (suberror {suberror}); see `nexus-vmm probe`"
        ))
    }
}

enum Step {
    Continue,
    Kicked,
}
