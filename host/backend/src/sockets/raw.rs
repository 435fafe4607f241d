// SPDX-License-Identifier: Apache-2.0
//! System calls that the libraries do not wrap.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use vm_memory::VolatileSlice;

/// Runs of guest memory as the kernel takes them.
pub(super) fn vectors(runs: &[VolatileSlice<'_>; 2]) -> [libc::iovec; 2] {
    runs.each_ref().map(|run| libc::iovec {
        iov_base: run.ptr_guard_mut().as_ptr().cast(),
        iov_len: run.len(),
    })
}

/// Makes a call again that a signal has interrupted.
pub(super) fn retry(mut call: impl FnMut() -> isize) -> io::Result<usize> {
    loop {
        if let Ok(bytes) = usize::try_from(call()) {
            return Ok(bytes);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// setsockopt(2) of a number.
pub(super) fn set_option(fd: BorrowedFd<'_>, level: u32, name: u32, value: i32) -> io::Result<()> {
    let number = |number: u32| i32::try_from(number).map_err(|_| io::ErrorKind::InvalidInput);
    let (level, name) = (number(level)?, number(name)?);
    let (from, length) = (&raw const value, size_of::<i32>());
    let length = libc::socklen_t::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the pointer is to a live value of exactly this length.
    let result = unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, from.cast(), length) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// An error number of Linux as it is on the wire.
pub(crate) const fn errno(code: i32) -> u16 {
    // Linux keeps error numbers below 4096 (include/linux/err.h, MAX_ERRNO).
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within 1 to 4095"
    )]
    let code = code as u16;
    code
}
