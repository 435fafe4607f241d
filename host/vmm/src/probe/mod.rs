// SPDX-License-Identifier: Apache-2.0
//! Finds out whether this host's KVM can run a Linux guest, by running a guest of a few instructions.
//!
//! The device file alone says little: there are hypervisors behind /dev/kvm that run paravirtualised kernels only, and
//! fail an ordinary one at its first system call.

mod guest;
mod machine;

use std::fmt;
use std::sync::mpsc;
use std::time::Duration;

use kvm_ioctls::VcpuExit;
use serde::Serialize;

use self::guest::{DONE, PORT_STEP, STEPS};
use self::machine::ProbeMachine;
use crate::exit::VmmError;
use crate::machine::open_kvm;
use crate::vcpu::kick;

/// How long the guest may take; it needs well under a millisecond on a CPU, and far less than this in an emulator.
const LIMIT: Duration = Duration::from_secs(2);

/// What this host's KVM is good for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kvm", rename_all = "snake_case")]
pub enum KvmSupport {
    /// It runs Linux guests.
    Complete,
    /// It runs guests, but not this.
    Crippled {
        /// The first thing that failed.
        what: String,
    },
    /// There is no KVM device.
    NoDevice,
    /// The KVM device may not be opened.
    NoPermission,
    /// It is too old, or refuses to make a machine.
    Unusable {
        /// Why.
        why: String,
    },
}

impl KvmSupport {
    /// It runs Linux guests.
    pub fn is_complete(&self) -> bool {
        *self == Self::Complete
    }
}

impl fmt::Display for KvmSupport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete => f.write_str("KVM is complete: it runs Linux guests"),
            Self::Crippled { what } => write!(
                f,
                "KVM is there, but cannot run a Linux guest: {what} failed. Use a host with VT-x or AMD-V, or run in the lab (`cargo xtask lab`)"
            ),
            Self::NoDevice => write!(f, "{}", VmmError::NoKvm),
            Self::NoPermission => write!(f, "{}", VmmError::NoPermission),
            Self::Unusable { why } => write!(f, "KVM cannot be used: {why}"),
        }
    }
}

/// Tries what this host's KVM can do. Takes two seconds at most.
pub fn probe_kvm() -> KvmSupport {
    let machine = open_kvm().and_then(|kvm| {
        kick::block().map_err(VmmError::system("block a signal"))?;
        machine::build(&kvm)
    });
    match machine {
        Ok(machine) => try_guest(machine),
        Err(VmmError::NoKvm) => KvmSupport::NoDevice,
        Err(VmmError::NoPermission) => KvmSupport::NoPermission,
        Err(error) => KvmSupport::Unusable {
            why: error.to_string(),
        },
    }
}

/// Runs the guest in a thread of its own, which a kick can end.
fn try_guest(machine: ProbeMachine) -> KvmSupport {
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        // The receiver waits until this thread has ended, so the message always arrives.
        sender.send(run(machine)).ok();
    });
    let in_time = receiver.recv_timeout(LIMIT);
    kick::kick(&thread);
    let result = in_time.or_else(|_| receiver.recv());
    if thread.join().is_err() {
        tracing::error!("the probe's thread panicked");
    }
    result.unwrap_or(KvmSupport::Unusable {
        why: "the probe gave no result".into(),
    })
}

fn run(mut machine: ProbeMachine) -> KvmSupport {
    if let Err(error) = kick::prepare(&machine.vcpu) {
        return KvmSupport::Unusable {
            why: format!("it takes no signal mask: {error}"),
        };
    }
    let mut step = 0;
    loop {
        let how = match machine.vcpu.run() {
            Ok(VcpuExit::IoOut(PORT_STEP, [DONE])) => return KvmSupport::Complete,
            Ok(VcpuExit::IoOut(PORT_STEP, [number])) => {
                step = usize::from(*number);
                continue;
            }
            Ok(VcpuExit::Hlt) => "gave a wrong result".into(),
            Ok(exit) => format!("ended in {exit:?}"),
            Err(error) if error.errno() == libc::EINTR => "did not end in time".into(),
            Err(error) => format!("ended in `{error}`"),
        };
        let name = STEPS.get(step).copied().unwrap_or("a stray port output");
        return KvmSupport::Crippled {
            what: format!("{name} ({how})"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_fits_where_its_gate_can_point() {
        let code = guest::code();
        let end = guest::CODE + code.bytes.len() as u64;
        assert!(code.breakpoint > guest::CODE && code.breakpoint < code.syscall);
        assert!(code.syscall < end && end < 0x1_0000);
    }

    #[test]
    fn json_names_the_kind() -> Result<(), serde_json::Error> {
        let text = serde_json::to_string(&KvmSupport::Crippled { what: "x".into() })?;
        assert_eq!(text, r#"{"kvm":"crippled","what":"x"}"#);
        assert_eq!(
            serde_json::to_string(&KvmSupport::NoDevice)?,
            r#"{"kvm":"no_device"}"#
        );
        Ok(())
    }

    /// On whatever host the test runs: an answer, and the same one twice.
    #[test]
    fn probe_answers_and_is_repeatable() {
        let first = probe_kvm();
        assert_eq!(first, probe_kvm());
        let no_device = !std::path::Path::new("/dev/kvm").exists();
        assert_eq!(first == KvmSupport::NoDevice, no_device);
    }
}
