// SPDX-License-Identifier: Apache-2.0
//! `connect`.

use core::ffi::{c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::libc::{AF_INET, AF_INET6, set_errno};
use crate::sys::socket;
use crate::{local, next, platform};

/// The type of `connect`.
type Next = unsafe extern "C" fn(c_int, *const c_void, u32) -> c_int;

/// libc's own function; null until it is needed. Looked up once, as programs connect often.
static NEXT: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// Connects a socket. In local mode also to what the network namespace does not reach.
///
/// # Safety
/// As libc's function of this name.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn connect(fd: c_int, address: *const c_void, length: u32) -> c_int {
    // SAFETY: passed on to the caller.
    if unsafe { is_internet(address, length) } && platform::is_local() {
        // SAFETY: passed on to the caller.
        return finish(unsafe { local::connect(fd, address.cast(), length) });
    }
    let mut next = NEXT.load(Ordering::Relaxed);
    if next.is_null() {
        next = next::find(c"connect").unwrap_or(ptr::null_mut());
        NEXT.store(next, Ordering::Relaxed);
    }
    if next.is_null() {
        // SAFETY: passed on to the caller.
        return finish(unsafe { socket::connect(fd, address.cast(), length) });
    }
    // SAFETY: libc's function of this name has this type.
    let next: Next = unsafe { core::mem::transmute(next) };
    // SAFETY: passed on to the caller.
    unsafe { next(fd, address, length) }
}

fn finish(outcome: Result<(), c_int>) -> c_int {
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            set_errno(error);
            -1
        }
    }
}

/// Whether an address is of a family that local mode looks after. Whatever else it is, the kernel judges it.
///
/// # Safety
/// The address has this length.
unsafe fn is_internet(address: *const c_void, length: u32) -> bool {
    if address.is_null() || (length as usize) < size_of::<u16>() {
        return false;
    }
    // SAFETY: not null, and long enough for the family, with which every address begins.
    let family = unsafe { address.cast::<u16>().read_unaligned() };
    matches!(c_int::from(family), AF_INET | AF_INET6)
}
