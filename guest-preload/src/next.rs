// SPDX-License-Identifier: Apache-2.0
//! libc's own functions, behind the ones of this library.

use core::arch::asm;
use core::ffi::{CStr, c_char, c_void};

/// The object after the caller's in the search order.
const RTLD_NEXT: *mut c_void = -1_isize as *mut c_void;

/// The address of libc's function of this name; `None` if it cannot be found.
pub(crate) fn find(name: &CStr) -> Option<*mut c_void> {
    type Dlsym = unsafe extern "C" fn(*mut c_void, *const c_char) -> *mut c_void;
    let dlsym: *const c_void;
    // Weak, because before glibc 2.34 it is in libdl, which a program need not have loaded. Without a version, as this
    // library has none of libc's at all: glibc then takes its default one, whatever its age.
    // SAFETY: reads an entry of the global offset table, which the linker made for the symbol and the loader filled.
    unsafe {
        asm!(
            ".weak dlsym",
            "mov {}, qword ptr [rip + dlsym@GOTPCREL]",
            out(reg) dlsym,
            options(nostack, preserves_flags, pure, nomem),
        );
    };
    if dlsym.is_null() {
        return None;
    }
    // SAFETY: the symbol is dlsym, whose type this is (POSIX, dlfcn.h).
    let dlsym: Dlsym = unsafe { core::mem::transmute(dlsym) };
    // SAFETY: RTLD_NEXT is a handle that dlsym accepts, and the name is a C string.
    let found = unsafe { dlsym(RTLD_NEXT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}
