// SPDX-License-Identifier: Apache-2.0
//! System calls with flags that the standard library does not offer.

#![expect(
    clippy::cast_possible_truncation,
    reason = "lengths and families are small constants of libc"
)]

use std::io;
use std::mem::size_of;
use std::net::SocketAddr;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

fn checked(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// `socket(2)`.
pub(crate) fn socket(family: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
    // SAFETY: no memory is involved.
    let fd = unsafe { libc::socket(family, kind, protocol) };
    checked(fd as isize)?;
    // SAFETY: the call just returned this descriptor, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `connect(2)` to an IPv4 address.
pub(crate) fn connect(fd: RawFd, to: SocketAddr) -> io::Result<()> {
    let SocketAddr::V4(to) = to else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: to.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from_ne_bytes(to.ip().octets()),
        },
        sin_zero: [0; 8],
    };
    // SAFETY: the pointer is to a live sockaddr_in of exactly this length.
    let result = unsafe {
        libc::connect(
            fd,
            (&raw const address).cast(),
            size_of::<libc::sockaddr_in>() as libc::socklen_t,
        )
    };
    checked(result as isize).map(drop)
}

/// `recv(2)`.
pub(crate) fn recv(fd: RawFd, buffer: &mut [u8], flags: i32) -> io::Result<usize> {
    // SAFETY: the buffer is valid for writes of its length.
    checked(unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), flags) })
}

/// `send(2)`.
pub(crate) fn send(fd: RawFd, buffer: &[u8], flags: i32) -> io::Result<usize> {
    // SAFETY: the buffer is valid for reads of its length.
    checked(unsafe { libc::send(fd, buffer.as_ptr().cast(), buffer.len(), flags) })
}

/// `poll(2)` for one descriptor; returns `revents`.
pub(crate) fn poll(fd: RawFd, events: i16, timeout_ms: i32) -> io::Result<i16> {
    let mut entry = libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    // SAFETY: the pointer is to one live pollfd.
    let result = unsafe { libc::poll(&raw mut entry, 1, timeout_ms) };
    checked(result as isize)?;
    Ok(entry.revents)
}

/// `setsockopt(2)`.
pub(crate) fn set_option<T>(fd: RawFd, level: i32, name: i32, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the pointer is to a live value of exactly this length.
    let result =
        unsafe { libc::setsockopt(fd, level, name, std::ptr::from_ref(value).cast(), length) };
    checked(result as isize).map(drop)
}

/// `getsockopt(2)` for an integer.
pub(crate) fn option(fd: RawFd, level: i32, name: i32) -> io::Result<i32> {
    let mut value = 0;
    let mut length = size_of::<i32>() as libc::socklen_t;
    // SAFETY: both pointers are to live values, and the length is the first one's.
    let result =
        unsafe { libc::getsockopt(fd, level, name, (&raw mut value).cast(), &raw mut length) };
    checked(result as isize)?;
    Ok(value)
}

/// `ioctl(FIONREAD)`.
pub(crate) fn readable(fd: RawFd) -> io::Result<i32> {
    let mut count = 0;
    // SAFETY: FIONREAD writes one int, which the pointer is to.
    let result = unsafe { libc::ioctl(fd, libc::FIONREAD, &raw mut count) };
    checked(result as isize)?;
    Ok(count)
}

/// The errno of a result, 0 if it is no error.
pub(crate) fn errno<T>(result: &io::Result<T>) -> i32 {
    result
        .as_ref()
        .err()
        .and_then(io::Error::raw_os_error)
        .unwrap_or(0)
}
