// SPDX-License-Identifier: Apache-2.0
//! Bytes between a TCP connection and guest memory: one system call each, none that blocks, none that only finds out that
//! there is nothing.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use tokio::io::Interest;
use tokio::net::TcpStream;
use vm_memory::VolatileSlice;

use crate::sockets::raw::{self, retry, vectors};
use crate::sockets::state::Urgency;

/// Level of TCP's options.
const SOL_TCP: u32 = 6;

/// `TCP_INQ` and `TCP_CM_INQ` (include/uapi/linux/tcp.h): each receive tells how many bytes are left.
const TCP_INQ: u32 = 36;

/// Has receives tell what is left.
pub(super) fn prepare(fd: BorrowedFd<'_>) -> io::Result<()> {
    raw::set_option(fd, SOL_TCP, TCP_INQ, 1)
}

/// Sends out of guest memory.
pub(in crate::sockets) fn send(
    stream: &TcpStream,
    runs: &[VolatileSlice<'_>; 2],
    urgency: Urgency,
) -> io::Result<usize> {
    let flags = match urgency {
        Urgency::Regular => 0,
        Urgency::Urgent => libc::MSG_OOB,
    };
    stream.try_io(Interest::WRITABLE, || sendmsg(stream.as_fd(), runs, flags))
}

/// Receives into guest memory. Having emptied the connection counts for the runtime as having found it empty, which saves
/// the call that would.
pub(super) fn receive(stream: &TcpStream, runs: &[VolatileSlice<'_>; 2]) -> io::Result<usize> {
    let mut last = None;
    let received = stream.try_io(Interest::READABLE, || {
        let received = recvmsg(stream.as_fd(), runs)?;
        if received.bytes > 0 && received.left == Some(0) {
            last = Some(received.bytes);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(received.bytes)
    });
    match last {
        Some(bytes) => Ok(bytes),
        None => received,
    }
}

/// Drops received bytes, up to `limit`. With MSG_TRUNC the kernel copies none of them (tcp(7)).
pub(super) fn discard(stream: &TcpStream, limit: u32) -> io::Result<usize> {
    let flags = libc::MSG_TRUNC | libc::MSG_DONTWAIT;
    stream.try_io(Interest::READABLE, || {
        retry(|| {
            let nowhere = std::ptr::null_mut();
            // SAFETY: with MSG_TRUNC a TCP socket writes nothing to the buffer, so none is needed.
            unsafe { libc::recv(stream.as_raw_fd(), nowhere, limit as usize, flags) }
        })
    })
}

/// sendmsg(2) straight out of guest memory, without SIGPIPE.
fn sendmsg(
    fd: BorrowedFd<'_>,
    runs: &[VolatileSlice<'_>; 2],
    flags: libc::c_int,
) -> io::Result<usize> {
    let mut vectors = vectors(runs);
    // SAFETY: msghdr is plain data, for which zeroes mean no address, no vectors and no control data.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = vectors.as_mut_ptr();
    message.msg_iovlen = vectors.len();
    retry(|| {
        // SAFETY: `message` refers to `vectors`, which refer to mappings that `runs` borrows; the kernel only reads
        // them, and copes with a guest that writes there meanwhile.
        unsafe {
            libc::sendmsg(
                fd.as_raw_fd(),
                &raw const message,
                libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT | flags,
            )
        }
    })
}

struct Received {
    bytes: usize,
    /// Bytes that are left; at the end of the stream one is. `None` if the kernel does not say.
    left: Option<i32>,
}

/// A control message with a number (cmsg(3)).
#[repr(C, align(8))]
struct Inquiry {
    header: libc::cmsghdr,
    left: i32,
}

/// recvmsg(2) straight into guest memory.
fn recvmsg(fd: BorrowedFd<'_>, runs: &[VolatileSlice<'_>; 2]) -> io::Result<Received> {
    let mut vectors = vectors(runs);
    // SAFETY: plain data, for which zeroes mean a control message of no length.
    let mut inquiry: Inquiry = unsafe { std::mem::zeroed() };
    // SAFETY: as above, for a msghdr.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = vectors.as_mut_ptr();
    message.msg_iovlen = vectors.len();
    message.msg_control = (&raw mut inquiry).cast();
    message.msg_controllen = size_of::<Inquiry>();
    let bytes = retry(|| {
        // SAFETY: `message` refers to `inquiry`, and to `vectors`, which refer to mappings that `runs` borrows and that hold
        // nothing but the guest's bytes: no reference to them exists in this process.
        unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) }
    })?;
    let told = message.msg_controllen > 0
        && u32::try_from(inquiry.header.cmsg_level) == Ok(SOL_TCP)
        && u32::try_from(inquiry.header.cmsg_type) == Ok(TCP_INQ);
    Ok(Received {
        bytes,
        left: told.then_some(inquiry.left),
    })
}
