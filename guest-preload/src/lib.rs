// SPDX-License-Identifier: Apache-2.0
//! `libnexus_preload.so`: name resolution for the programs of a Nexus guest, by libc interposition.
//!
//! `/etc/ld.so.preload` of the composed root loads it into every dynamically linked program. It answers `getaddrinfo` and
//! its kin by asking nexusd, in DNS over TCP, at the guest's own resolver address: an answer of any length comes in one
//! exchange, and the resolvers of libc are many. Sockets need no help in a guest, where the driver is the socket family; in
//! local mode, outside a VM, `connect` asks nexusd for what the program's network namespace does not reach.
//!
//! It is a guest in images of any age. So it takes little from libc, all of it older than glibc 2.17; has no runtime
//! and no static constructors; makes system calls by itself, and leaves `errno` alone. Where there is no Nexus it passes
//! every call on.
//!
//! | module | concept |
//! |---|---|
//! | `entry` | the exported functions: arguments in, results out |
//! | `lookup` | names to addresses: literal, localhost, `/etc/hosts`, DNS |
//! | `dns` | messages and the exchange with nexusd |
//! | `local` | sockets of the host, in local mode |
//! | `numeric`, `hosts`, `services` | parsers |
//! | `platform`, `next` | whether this is a Nexus guest or local mode, and libc's own functions |
//! | `libc`, `sys` | what is taken from libc, and the system calls |
// Releases abort on panic and need no standard library. Builds that unwind, as tests do, link it for its unwinder.
#![cfg_attr(panic = "abort", no_std)]

pub mod address;
pub mod dns;
mod entry;
pub mod hosts;
pub mod libc;
mod lines;
mod local;
mod lookup;
mod next;
pub mod numeric;
mod platform;
pub mod services;
mod sys;

/// No code here is meant to panic. If it does, the program must not go on with a broken library.
#[cfg(panic = "abort")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: an undefined instruction; the kernel ends the process by SIGILL.
    unsafe { core::arch::asm!("ud2", options(noreturn)) }
}

// The compiled core library names it in tables for unwinding, which never happens here. Hidden, as other libraries
// of the program have their own.
#[cfg(panic = "abort")]
core::arch::global_asm!(
    ".globl rust_eh_personality",
    ".hidden rust_eh_personality",
    "rust_eh_personality: ud2",
);
