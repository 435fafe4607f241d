// SPDX-License-Identifier: Apache-2.0
//! Kicking a vCPU thread out of `KVM_RUN` without a lost wake-up.
//!
//! The signal is blocked in the thread, from before its start, and unblocked by KVM for the time of `KVM_RUN` alone. A kick
//! that comes while the thread is elsewhere stays pending and ends the next `KVM_RUN` at once, so no handler and no shared
//! flag are needed.

use std::io;
use std::os::fd::AsRawFd;
use std::thread::JoinHandle;

use kvm_ioctls::VcpuFd;
use vmm_sys_util::signal::{Error as SignalError, Killable, SIGRTMIN, block_signal, clear_signal};
use vmm_sys_util::{ioctl, ioctl_iow_nr};

/// `KVMIO` of linux/kvm.h.
const KVM_IO: u32 = 0xae;
ioctl_iow_nr!(KVM_SET_SIGNAL_MASK, KVM_IO, 0x8b, [u8; 4]);

/// Bytes of a signal set as the kernel knows it; libc's is larger.
const KERNEL_SIGSET: usize = 8;

/// Argument of `KVM_SET_SIGNAL_MASK`.
#[repr(C)]
struct SignalMask {
    length: u32,
    set: [u8; KERNEL_SIGSET],
}

/// Blocks the signal in the calling thread and in those that it starts from then on. It has to come before the start of a
/// vCPU thread: a kick that finds the signal unblocked would end the process.
pub(crate) fn block() -> io::Result<()> {
    match block_signal(SIGRTMIN()) {
        Ok(()) | Err(SignalError::SignalAlreadyBlocked(_)) => Ok(()),
        Err(error) => Err(io::Error::other(format!("{error:?}"))),
    }
}

/// Prepares the calling thread's vCPU for [`kick`].
pub(crate) fn prepare(vcpu: &VcpuFd) -> io::Result<()> {
    let mask = SignalMask {
        length: 8,
        set: mask_without_kick()?.to_ne_bytes(),
    };
    // SAFETY: the ioctl reads `length` and then that many bytes; `mask` has both and lives through the call.
    let result = unsafe { ioctl::ioctl_with_ref(vcpu, KVM_SET_SIGNAL_MASK(), &mask) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    debug_assert!(vcpu.as_raw_fd() >= 0);
    Ok(())
}

/// Makes the thread leave `KVM_RUN`, or not stay in it when it enters next.
pub(crate) fn kick<T>(thread: &JoinHandle<T>) {
    // It fails only for a thread that has ended, which needs no kick.
    thread.kill(SIGRTMIN()).ok();
}

/// Takes a pending kick, so that the next `KVM_RUN` is not ended by it.
pub(crate) fn acknowledge() -> io::Result<()> {
    clear_signal(SIGRTMIN()).map_err(|e| io::Error::other(format!("{e:?}")))
}

/// The calling thread's signal mask as the kernel's bit set, the kick taken out.
fn mask_without_kick() -> io::Result<u64> {
    let mut mask = 0_u64;
    // SAFETY: a libc sigset_t is plain data for which zero is valid.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: a null `set` leaves the mask alone; `set` is a valid place for the old mask.
    let result = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &raw mut set) };
    if result != 0 {
        return Err(io::Error::from_raw_os_error(result));
    }
    for signal in 1..=64 {
        // SAFETY: `set` was filled in above and `signal` is in the range of signals.
        let member = unsafe { libc::sigismember(&raw const set, signal) };
        if member == 1 && signal != SIGRTMIN() {
            mask |= 1 << (signal - 1);
        }
    }
    Ok(mask)
}
