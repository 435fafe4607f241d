// SPDX-License-Identifier: Apache-2.0
//! File descriptors that the caller left open for us.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{AddressFamily, SockaddrLike, SockaddrStorage, getsockname};

use crate::cli::SerialTarget;
use crate::exit::VmmError;

/// First descriptor that is not a standard stream.
const FIRST: RawFd = 3;

/// The Unix stream socket that option `option` names.
pub(crate) fn unix_stream(option: &str, fd: RawFd) -> Result<UnixStream, VmmError> {
    let owned = take(option, fd)?;
    let address: SockaddrStorage = getsockname(fd).map_err(|e| bad(option, fd, &e.to_string()))?;
    if address.family() != Some(AddressFamily::Unix) {
        return Err(bad(option, fd, "it is no Unix socket"));
    }
    Ok(UnixStream::from(owned))
}

/// Where the serial console writes to.
pub(crate) fn serial(target: &SerialTarget) -> Result<File, VmmError> {
    match target {
        SerialTarget::Stderr => std::io::stderr()
            .as_fd()
            .try_clone_to_owned()
            .map(File::from)
            .map_err(VmmError::system("duplicate standard error")),
        SerialTarget::Fd(fd) => Ok(File::from(take("--serial", *fd)?)),
        SerialTarget::Path(path) => OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|e| VmmError::BadConfiguration(format!("--serial {}: {e}", path.display()))),
    }
}

/// Takes possession of `fd`, and keeps it from programs that we might start.
fn take(option: &str, fd: RawFd) -> Result<OwnedFd, VmmError> {
    if fd < FIRST {
        return Err(bad(
            option,
            fd,
            "descriptors 0 to 2 are the standard streams",
        ));
    }
    // SAFETY: `fd` is not negative; the borrow ends with the next statement, and a closed descriptor is only refused.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))
        .map_err(|e| bad(option, fd, &format!("{e}; the caller has to leave it open")))?;
    // SAFETY: the descriptor is open, as F_SETFD has shown, and the caller gave it to this process by naming it. Each
    // option is taken once, before anything else is opened that could have got the same number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn bad(option: &str, fd: RawFd, why: &str) -> VmmError {
    VmmError::BadConfiguration(format!("{option} {fd}: {why}"))
}
