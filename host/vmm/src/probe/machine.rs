// SPDX-License-Identifier: Apache-2.0
//! The probe's machine: 2 MiB of memory, page tables, descriptor tables, one vCPU in long mode.

use kvm_bindings::{
    Msrs, kvm_dtable, kvm_fpu, kvm_msr_entry, kvm_regs, kvm_segment, kvm_userspace_memory_region,
};
use kvm_ioctls::{Kvm, VcpuFd, VmFd};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryRegion};

use super::guest::{self, CODE, KERNEL_CODE, SYSRET_BASE};
use crate::exit::VmmError;
use crate::machine::layout;
use crate::memory::Memory;
use crate::vcpu::{cpuid, registers};

const SIZE: usize = 2 << 20;
const GDT: u64 = 0x1000;
const IDT: u64 = 0x2000;
const TASK: u64 = 0x3000;
const PML4: u64 = 0x4000;
const PDPT: u64 = 0x5000;
const PAGE_DIRECTORY: u64 = 0x6000;
const STACK: u64 = 0x1_0000;

/// Present, writable, for user mode; and a page of 2 MiB.
const PAGE: u64 = 0x7;
const PAGE_LARGE: u64 = 0x87;

/// Descriptors: null, kernel code, kernel data, user data, user code.
const GDT_ENTRIES: [u64; 5] = [
    0,
    0x00af_9b00_0000_ffff,
    0x00cf_9300_0000_ffff,
    0x00cf_f300_0000_ffff,
    0x00af_fb00_0000_ffff,
];
const KERNEL_DATA: u16 = 0x10;
const VECTOR_BREAKPOINT: u64 = 3;
const GATE_INTERRUPT: u64 = 0x8e00 << 32;

const CR0: u64 = 0x8000_0033; // PG, NE, ET, MP, PE
const CR4: u64 = 0x620; // OSXMMEXCPT, OSFXSR, PAE
const EFER: u64 = 0x501; // LMA, LME, SCE

const MSR_STAR: u32 = 0xc000_0081;
const MSR_LSTAR: u32 = 0xc000_0082;
const MSR_FMASK: u32 = 0xc000_0084;

/// The machine; the memory outlives the vCPU by the order of the fields.
pub(super) struct ProbeMachine {
    pub(super) vcpu: VcpuFd,
    _vm: VmFd,
    _memory: Memory,
}

/// Builds the machine.
pub(super) fn build(kvm: &Kvm) -> Result<ProbeMachine, VmmError> {
    let vm = kvm
        .create_vm()
        .map_err(VmmError::kvm("create a virtual machine"))?;
    let memory =
        Memory::from_ranges(&[(GuestAddress(0), SIZE)]).map_err(|e| VmmError::NoMemory {
            mib: 2,
            why: e.to_string(),
        })?;
    write_tables(&memory).map_err(|e| VmmError::System {
        what: "write the probe's tables",
        error: std::io::Error::other(e),
    })?;
    for region in memory.iter() {
        let region = kvm_userspace_memory_region {
            memory_size: region.len(),
            userspace_addr: region.as_ptr() as u64,
            ..Default::default()
        };
        // SAFETY: the region is a whole mapping, which lives as long as the returned machine.
        unsafe { vm.set_user_memory_region(region) }.map_err(VmmError::kvm("add a memory slot"))?;
    }
    let tss = usize::try_from(layout::KVM_TSS).unwrap_or(0);
    vm.set_tss_address(tss)
        .map_err(VmmError::kvm("place the task state segment"))?;
    let vcpu = vm.create_vcpu(0).map_err(VmmError::kvm("create a vCPU"))?;
    vcpu.set_cpuid2(&cpuid::supported(kvm)?)
        .map_err(VmmError::kvm("set the CPU's features"))?;
    set_registers(&vcpu)?;
    Ok(ProbeMachine {
        vcpu,
        _vm: vm,
        _memory: memory,
    })
}

fn write_tables(memory: &Memory) -> Result<(), vm_memory::GuestMemoryError> {
    let code = guest::code();
    memory.write_slice(code.bytes, GuestAddress(CODE))?;
    for (index, entry) in (0..).zip(GDT_ENTRIES) {
        memory.write_obj(entry, GuestAddress(GDT + 8 * index))?;
    }
    // An interrupt gate's offset is split: bits 0-15 at bit 0, 16-31 at bit 48; the code lies below 64 KiB.
    let gate = code.breakpoint & 0xffff | u64::from(KERNEL_CODE) << 16 | GATE_INTERRUPT;
    memory.write_obj(gate, GuestAddress(IDT + 16 * VECTOR_BREAKPOINT))?;
    memory.write_obj(PDPT | PAGE, GuestAddress(PML4))?;
    memory.write_obj(PAGE_DIRECTORY | PAGE, GuestAddress(PDPT))?;
    memory.write_obj(PAGE_LARGE, GuestAddress(PAGE_DIRECTORY))
}

fn set_registers(vcpu: &VcpuFd) -> Result<(), VmmError> {
    let mut sregs = vcpu
        .get_sregs()
        .map_err(VmmError::kvm("read the CPU's state"))?;
    let data = registers::flat(3, KERNEL_DATA);
    sregs.cs = kvm_segment {
        l: 1,
        db: 0,
        ..registers::flat(0xb, KERNEL_CODE)
    };
    for segment in [
        &mut sregs.ds,
        &mut sregs.es,
        &mut sregs.fs,
        &mut sregs.gs,
        &mut sregs.ss,
    ] {
        *segment = data;
    }
    sregs.tr = kvm_segment {
        base: TASK,
        limit: 0x67,
        selector: 0x28,
        type_: 0xb,
        present: 1,
        ..Default::default()
    };
    let table = |base, limit| kvm_dtable {
        base,
        limit,
        ..Default::default()
    };
    sregs.gdt = table(GDT, 8 * 5 - 1);
    sregs.idt = table(IDT, 16 * 32 - 1);
    sregs.cr0 = CR0;
    sregs.cr3 = PML4;
    sregs.cr4 = CR4;
    sregs.efer = EFER;
    vcpu.set_sregs(&sregs)
        .map_err(VmmError::kvm("enter long mode"))?;
    let fpu = kvm_fpu {
        fcw: 0x37f,
        mxcsr: 0x1f80,
        ..Default::default()
    };
    vcpu.set_fpu(&fpu).map_err(VmmError::kvm("set the FPU"))?;
    set_syscall(vcpu)?;
    let regs = kvm_regs {
        rip: CODE,
        rsp: STACK,
        rflags: 2,
        ..Default::default()
    };
    vcpu.set_regs(&regs)
        .map_err(VmmError::kvm("set the CPU's registers"))
}

fn set_syscall(vcpu: &VcpuFd) -> Result<(), VmmError> {
    let entry = |index, data| kvm_msr_entry {
        index,
        data,
        ..Default::default()
    };
    let star = u64::from(KERNEL_CODE) << 32 | u64::from(SYSRET_BASE | 3) << 48;
    let entries = [
        entry(MSR_STAR, star),
        entry(MSR_LSTAR, guest::code().syscall),
        entry(MSR_FMASK, 0),
    ];
    let msrs = Msrs::from_entries(&entries)
        .map_err(|_| VmmError::KvmLacks("room for three MSRs".into()))?;
    let set = vcpu
        .set_msrs(&msrs)
        .map_err(VmmError::kvm("set the system call MSRs"))?;
    if set == entries.len() {
        Ok(())
    } else {
        Err(VmmError::KvmLacks("the MSRs of `syscall`".into()))
    }
}
