// SPDX-License-Identifier: Apache-2.0
//! The probe's guest: a page of 64-bit code that does what kernels do and hypervisors that are not complete fail at.
//!
//! It starts in long mode at CPL 0. Before each step it writes the step's number to [`PORT_STEP`], so that a failure is
//! known by the last number seen; at the end it writes [`DONE`].

use std::arch::global_asm;

/// Port that takes the number of the step that begins.
pub(super) const PORT_STEP: u16 = 0x10;
/// Written to [`PORT_STEP`] after the last step.
pub(super) const DONE: u8 = 0xff;

/// Names of the steps, in the order of their numbers.
pub(super) const STEPS: [&str; 7] = [
    "port output",
    "popcnt",
    "cmpxchg16b",
    "ldmxcsr",
    "int3 through an interrupt gate",
    "sysret to user mode",
    "syscall from user mode",
];

/// Guest address of the code; offsets below are from here.
pub(super) const CODE: u64 = 0x8000;
/// Selectors in the order that `syscall` and `sysret` ask for.
pub(super) const KERNEL_CODE: u16 = 0x08;
/// Base from which `sysret` computes its selectors: data at +8, 64-bit code at +16.
pub(super) const SYSRET_BASE: u16 = 0x10;

global_asm!(
    r#"
    .pushsection .rodata.nexus_probe, "a"
    .global nexus_probe_start, nexus_probe_breakpoint, nexus_probe_syscall, nexus_probe_end
    .balign 16
nexus_probe_start:
    mov al, 0
    out 0x10, al

    mov al, 1
    out 0x10, al
    mov ecx, 0xff
    popcnt edx, ecx
    cmp edx, 8
    jne 9f

    mov al, 2
    out 0x10, al
    sub rsp, 32
    and rsp, -16
    mov qword ptr [rsp], 5
    mov qword ptr [rsp + 8], 6
    mov eax, 5
    mov edx, 6
    mov ebx, 7
    mov ecx, 8
    lock cmpxchg16b xmmword ptr [rsp]
    jne 9f
    cmp qword ptr [rsp], 7
    jne 9f

    mov al, 3
    out 0x10, al
    mov dword ptr [rsp], 0x1f80
    ldmxcsr dword ptr [rsp]

    mov al, 4
    out 0x10, al
    xor esi, esi
    int3
    cmp esi, 0x33
    jne 9f

    mov al, 5
    out 0x10, al
    lea rcx, [rip + 2f]
    mov r11d, 2
    mov rdi, rsp
    sysretq
2:  mov esi, 0x77
    syscall
9:  hlt
    jmp 9b

nexus_probe_breakpoint:
    mov esi, 0x33
    iretq

nexus_probe_syscall:
    mov al, 6
    out 0x10, al
    cmp esi, 0x77
    jne 9b
    mov al, 0xff
    out 0x10, al
    hlt
nexus_probe_end:
    .popsection
"#
);

unsafe extern "C" {
    static nexus_probe_start: u8;
    static nexus_probe_breakpoint: u8;
    static nexus_probe_syscall: u8;
    static nexus_probe_end: u8;
}

/// The code, and where its entry points are in guest memory.
pub(super) struct Code {
    pub(super) bytes: &'static [u8],
    pub(super) breakpoint: u64,
    pub(super) syscall: u64,
}

/// The guest's code. It uses relative addresses only, so it runs where it is put.
pub(super) fn code() -> Code {
    let start = &raw const nexus_probe_start;
    let offset = |symbol: *const u8| symbol as usize - start as usize;
    let length = offset(&raw const nexus_probe_end);
    // SAFETY: the symbols are labels of one block in a read-only section, in this order, so what lies between them is
    // `length` initialised bytes that never change.
    let bytes = unsafe { std::slice::from_raw_parts(start, length) };
    Code {
        bytes,
        breakpoint: CODE + offset(&raw const nexus_probe_breakpoint) as u64,
        syscall: CODE + offset(&raw const nexus_probe_syscall) as u64,
    }
}
