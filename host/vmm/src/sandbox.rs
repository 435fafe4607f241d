// SPDX-License-Identifier: Apache-2.0
//! What the process gives up before the guest's first exit is served: core dumps (they would hold guest memory), and every
//! system call that a running machine does not need. A call outside the list kills the process by SIGSYS.
//!
//! Namespaces, user and cgroup are the business of whoever starts the process.

use std::collections::BTreeMap;

use nix::sys::resource::{Resource, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::exit::VmmError;

/// Calls that are allowed whatever their arguments. None opens, creates, connects or executes anything.
const CALLS: [i64; 38] = [
    // Event loop and eventfds.
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    // Disks, and the size of guest memory.
    libc::SYS_preadv,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    // Control channel and backend.
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_shutdown,
    // Threads, kicks, time.
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_tgkill,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_clock_gettime,
    libc::SYS_getrandom,
    // Heap.
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_munmap,
    // End.
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Requests of ioctl that a running machine makes (linux/kvm.h): `KVM_RUN`, `KVM_GET_REGS`, `KVM_SET_SIGNAL_MASK`,
/// `KVM_KVMCLOCK_CTRL`.
const IOCTLS: [u64; 4] = [0xae80, 0x8090_ae81, 0x4004_ae8b, 0xaead];

/// Forbids core dumps.
///
/// # Errors
/// [`VmmError::System`] if the system refuses, which it does not for lowering a limit.
pub(crate) fn forbid_core_dumps() -> Result<(), VmmError> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)
        .map_err(|e| VmmError::system("forbid core dumps")(e.into()))
}

/// Confines all threads of the process to the calls of a running machine, for ever.
///
/// # Errors
/// [`VmmError::System`] if the kernel has no seccomp filters.
pub(crate) fn enter() -> Result<(), VmmError> {
    let refused = |e: &dyn std::fmt::Display| {
        let why = format!("{e}; the kernel needs CONFIG_SECCOMP_FILTER, or say --no-sandbox");
        VmmError::system("confine the process")(std::io::Error::other(why))
    };
    let program = filter().map_err(|e| refused(&e))?;
    seccompiler::apply_filter_all_threads(&program).map_err(|e| refused(&e))
}

fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        CALLS.iter().map(|call| (*call, Vec::new())).collect();
    let ioctls = IOCTLS
        .iter()
        .map(|request| one_argument(1, SeccompCmpOp::Eq, *request))
        .collect::<Result<_, _>>()?;
    rules.insert(libc::SYS_ioctl, ioctls);
    // A vCPU thread that is just starting sets its name.
    let set_name = u64::from(libc::PR_SET_NAME.unsigned_abs());
    let rule = one_argument(0, SeccompCmpOp::Eq, set_name)?;
    rules.insert(libc::SYS_prctl, vec![rule]);
    if cfg!(debug_assertions) {
        // The standard library looks whether a descriptor is open before it closes it.
        let get_flags = u64::from(libc::F_GETFD.unsigned_abs());
        let rule = one_argument(1, SeccompCmpOp::Eq, get_flags)?;
        rules.insert(libc::SYS_fcntl, vec![rule]);
    }
    // Memory may be had, but not made executable.
    let executable = u64::from(libc::PROT_EXEC.unsigned_abs());
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        let rule = one_argument(2, SeccompCmpOp::MaskedEq(executable), 0)?;
        rules.insert(call, vec![rule]);
    }
    SeccompFilter::new(
        rules,
        SeccompAction::KillProcess,
        SeccompAction::Allow,
        TargetArch::x86_64,
    )?
    .try_into()
}

fn one_argument(
    index: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompRule, seccompiler::BackendError> {
    let condition = SeccompCondition::new(index, SeccompCmpArgLen::Dword, operator, value)?;
    SeccompRule::new(vec![condition])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_compiles_and_no_call_is_listed_twice() {
        assert!(filter().is_ok_and(|program| !program.is_empty()));
        let distinct: std::collections::BTreeSet<_> = CALLS.iter().collect();
        assert_eq!(distinct.len(), CALLS.len());
    }
}
