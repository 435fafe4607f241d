// SPDX-License-Identifier: Apache-2.0
//! State in which the boot CPU enters the kernel (PVH boot protocol: 32-bit protected mode, flat segments, no paging).

use kvm_bindings::{Msrs, kvm_fpu, kvm_msr_entry, kvm_regs, kvm_segment};
use kvm_ioctls::VcpuFd;

use crate::exit::VmmError;
use crate::machine::layout;

const CR0_PE: u64 = 1;
const CR0_ET: u64 = 1 << 4;
const SEGMENT_CODE: u8 = 0xb;
const SEGMENT_DATA: u8 = 0x3;
const SEGMENT_TASK: u8 = 0xb;

const MSR_IA32_MISC_ENABLE: u32 = 0x1a0;
/// Without this bit a kernel on an Intel CPU believes that string moves are slow.
const MISC_ENABLE_FAST_STRING: u64 = 1;
const MSR_MTRR_DEFAULT_TYPE: u32 = 0x2ff;
const MTRR_ENABLE_WRITE_BACK: u64 = 1 << 11 | 6;

/// FPU control word and SSE control register after a reset (Intel SDM volume 3, table 10-1).
const FPU_CONTROL: u16 = 0x37f;
const SSE_CONTROL: u32 = 0x1f80;

/// Sets the boot CPU up to start at the PVH entry point `entry`.
pub(crate) fn set_up_boot(vcpu: &VcpuFd, entry: u64) -> Result<(), VmmError> {
    let mut sregs = vcpu
        .get_sregs()
        .map_err(VmmError::kvm("read the CPU's state"))?;
    sregs.cr0 = CR0_PE | CR0_ET;
    sregs.cr4 = 0;
    sregs.cs = flat(SEGMENT_CODE, 0x8);
    let data = flat(SEGMENT_DATA, 0x10);
    sregs.ds = data;
    sregs.es = data;
    sregs.fs = data;
    sregs.gs = data;
    sregs.ss = data;
    sregs.tr = task();
    vcpu.set_sregs(&sregs)
        .map_err(VmmError::kvm("set the CPU's segments"))?;
    let regs = kvm_regs {
        rflags: 2,
        rip: entry,
        rbx: layout::PVH_START_INFO,
        ..Default::default()
    };
    vcpu.set_regs(&regs)
        .map_err(VmmError::kvm("set the CPU's registers"))
}

/// State that every vCPU starts with.
pub(crate) fn set_up_common(vcpu: &VcpuFd) -> Result<(), VmmError> {
    let fpu = kvm_fpu {
        fcw: FPU_CONTROL,
        mxcsr: SSE_CONTROL,
        ..Default::default()
    };
    vcpu.set_fpu(&fpu).map_err(VmmError::kvm("set the FPU"))?;
    let entry = |index, data| kvm_msr_entry {
        index,
        data,
        ..Default::default()
    };
    let msrs = Msrs::from_entries(&[
        entry(MSR_IA32_MISC_ENABLE, MISC_ENABLE_FAST_STRING),
        entry(MSR_MTRR_DEFAULT_TYPE, MTRR_ENABLE_WRITE_BACK),
    ])
    .map_err(|_| VmmError::KvmLacks("room for two MSRs".into()))?;
    // KVM stops at the first one that it does not know. Both are hints: a guest without them is slower, not wrong.
    vcpu.set_msrs(&msrs)
        .map_err(VmmError::kvm("set the CPU's MSRs"))?;
    Ok(())
}

/// A 32-bit segment over all 4 GiB.
pub(crate) fn flat(type_: u8, selector: u16) -> kvm_segment {
    kvm_segment {
        base: 0,
        limit: u32::MAX,
        selector,
        type_,
        present: 1,
        db: 1,
        s: 1,
        g: 1,
        ..Default::default()
    }
}

fn task() -> kvm_segment {
    kvm_segment {
        limit: 0x67,
        selector: 0x18,
        type_: SEGMENT_TASK,
        present: 1,
        ..Default::default()
    }
}
