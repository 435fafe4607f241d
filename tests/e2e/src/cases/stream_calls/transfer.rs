// SPDX-License-Identifier: Apache-2.0
//! Flags of send and receive, ends of a stream, interruptions, inheritance.

use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;
use std::{io, mem, ptr};

use anyhow::{Result, ensure};

use super::calls::{self, errno};
use super::{Check, connect, script};

pub(crate) const CHECKS: &[Check] = &[
    ("MSG_PEEK", peek),
    ("MSG_WAITALL", wait_all),
    ("MSG_DONTWAIT", do_not_wait),
    ("MSG_TRUNC", truncate),
    ("MSG_OOB", urgent),
    ("vectors", vectors),
    ("half-close", half_close),
    ("end of stream", end),
    ("reset", reset),
    ("shutdown of reading", shutdown_read),
    ("close with data in flight", close_in_flight),
    ("receive timeout", timeout),
    ("interrupted by a signal", interrupted),
    ("inherited through fork", inherited),
    ("sendfile", sendfile),
];

fn peek(server: SocketAddr) -> Result<()> {
    let mut stream = connect(server, script::DRIP)?;
    let mut first = [0; 5];
    let peeked = calls::recv(stream.as_raw_fd(), &mut first, libc::MSG_PEEK)?;
    ensure!(
        peeked == 5 && &first == b"hello",
        "peeked {peeked} bytes: {first:?}"
    );
    let mut all = [0; 10];
    stream.read_exact(&mut all)?;
    ensure!(&all == b"helloworld", "read {all:?} after peeking");
    Ok(())
}

fn wait_all(server: SocketAddr) -> Result<()> {
    let stream = connect(server, script::DRIP)?;
    let mut all = [0; 10];
    let count = calls::recv(stream.as_raw_fd(), &mut all, libc::MSG_WAITALL)?;
    ensure!(
        count == 10 && &all == b"helloworld",
        "{count} bytes: {all:?}"
    );
    Ok(())
}

fn urgent(server: SocketAddr) -> Result<()> {
    let mut stream = connect(server, script::URGENT)?;
    stream.write_all(b"before")?;
    let sent = calls::send(stream.as_raw_fd(), b"+!", libc::MSG_OOB)?;
    ensure!(sent == 2, "sent {sent} bytes");
    stream.write_all(b"behind")?;
    stream.shutdown(Shutdown::Write)?;
    let mut all = Vec::new();
    stream.read_to_end(&mut all)?;
    ensure!(all == b"!before+behind", "the peer received {all:?}");
    Ok(())
}

fn do_not_wait(server: SocketAddr) -> Result<()> {
    let stream = connect(server, script::ECHO)?;
    let result = calls::recv(stream.as_raw_fd(), &mut [0], libc::MSG_DONTWAIT);
    ensure!(
        errno(&result) == libc::EAGAIN,
        "{result:?} instead of EAGAIN"
    );
    Ok(())
}

/// On a TCP socket MSG_TRUNC drops the bytes instead of copying them, see tcp(7).
fn truncate(server: SocketAddr) -> Result<()> {
    let mut stream = connect(server, script::ECHO)?;
    stream.write_all(b"abcdef")?;
    let mut place = *b"------";
    ensure!(
        calls::recv(
            stream.as_raw_fd(),
            &mut place[..3],
            libc::MSG_TRUNC | libc::MSG_WAITALL
        )? == 3,
        "wrong count"
    );
    ensure!(&place == b"------", "bytes were copied: {place:?}");
    stream.read_exact(&mut place[..3])?;
    ensure!(&place[..3] == b"def", "the rest is {place:?}");
    Ok(())
}

fn vectors(server: SocketAddr) -> Result<()> {
    let mut stream = connect(server, script::ECHO)?;
    let sent = stream.write_vectored(&[
        IoSlice::new(b"one"),
        IoSlice::new(b""),
        IoSlice::new(b"three"),
    ])?;
    ensure!(sent == 8, "{sent} bytes sent");
    while calls::readable(stream.as_raw_fd())? < 8 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let (mut left, mut right) = ([0; 2], [0; 6]);
    let received =
        stream.read_vectored(&mut [IoSliceMut::new(&mut left), IoSliceMut::new(&mut right)])?;
    ensure!(
        received == 8 && &left == b"on" && &right == b"ethree",
        "received {received}: {left:?} {right:?}"
    );
    Ok(())
}

fn half_close(server: SocketAddr) -> Result<()> {
    let mut stream = connect(server, script::COUNT)?;
    stream.write_all(&vec![7; 100_000])?;
    stream.shutdown(Shutdown::Write)?;
    let mut count = [0; 8];
    stream.read_exact(&mut count)?;
    ensure!(
        u64::from_le_bytes(count) == 100_000,
        "the peer counted {}",
        u64::from_le_bytes(count)
    );
    ensure!(stream.read(&mut [0])? == 0, "bytes behind the end");
    let result = calls::send(stream.as_raw_fd(), b"x", libc::MSG_NOSIGNAL);
    ensure!(
        errno(&result) == libc::EPIPE,
        "sending after shutdown: {result:?}"
    );
    Ok(())
}

fn end(server: SocketAddr) -> Result<()> {
    let mut stream = connect(server, script::HELLO)?;
    let mut all = Vec::new();
    stream.read_to_end(&mut all)?;
    ensure!(all == b"hello", "received {all:?}");
    ensure!(
        stream.read(&mut [0])? == 0,
        "the end is not the end the second time"
    );
    Ok(())
}

fn reset(server: SocketAddr) -> Result<()> {
    let stream = connect(server, script::RESET)?;
    let result = calls::recv(stream.as_raw_fd(), &mut [0], 0);
    ensure!(
        errno(&result) == libc::ECONNRESET,
        "{result:?} instead of ECONNRESET"
    );
    ensure!(
        calls::recv(stream.as_raw_fd(), &mut [0], 0)? == 0,
        "the error is reported twice"
    );
    let result = calls::send(stream.as_raw_fd(), b"x", libc::MSG_NOSIGNAL);
    ensure!(
        errno(&result) == libc::EPIPE,
        "sending after a reset: {result:?}"
    );
    Ok(())
}

fn shutdown_read(server: SocketAddr) -> Result<()> {
    let mut stream = connect(server, script::ECHO)?;
    stream.shutdown(Shutdown::Read)?;
    ensure!(stream.read(&mut [0])? == 0, "no end after shutdown");
    stream.write_all(b"still writes")?;
    Ok(())
}

fn close_in_flight(server: SocketAddr) -> Result<()> {
    // The server's count comes over a connection of its own, since this one is closed at once: what arrives is seen by
    // the bulk case; here only that closing with a full ring neither blocks nor fails.
    let mut stream = connect(server, script::COUNT)?;
    stream.write_all(&vec![7; 60_000])?;
    drop(stream);
    Ok(())
}

fn timeout(server: SocketAddr) -> Result<()> {
    let mut stream = connect(server, script::ECHO)?;
    stream.set_read_timeout(Some(Duration::from_millis(50)))?;
    let result = stream.read(&mut [0]);
    ensure!(
        errno(&result) == libc::EAGAIN,
        "{result:?} instead of EAGAIN"
    );
    Ok(())
}

extern "C" fn nothing(_signal: i32) {}

fn interrupted(server: SocketAddr) -> Result<()> {
    let stream = connect(server, script::ECHO)?;
    // SAFETY: all zeroes is a valid sigaction: no flags (so no restart), an empty mask.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = nothing as *const () as usize;
    // SAFETY: the handler is a function that touches nothing; the old action is not asked for.
    let result = unsafe { libc::sigaction(libc::SIGALRM, &raw const action, ptr::null_mut()) };
    ensure!(result == 0, "sigaction: {}", io::Error::last_os_error());
    // SAFETY: no memory is involved.
    unsafe { libc::alarm(1) };
    let result = calls::recv(stream.as_raw_fd(), &mut [0], 0);
    ensure!(errno(&result) == libc::EINTR, "{result:?} instead of EINTR");
    Ok(())
}

fn inherited(server: SocketAddr) -> Result<()> {
    let mut stream = connect(server, script::ECHO)?;
    // SAFETY: the child only makes two system calls before it ends; this program has one thread here.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let sent = calls::send(stream.as_raw_fd(), b"child", libc::MSG_NOSIGNAL);
        // SAFETY: ends the child without running what belongs to the parent.
        unsafe { libc::_exit(i32::from(sent.is_err())) };
    }
    let mut status = 0;
    // SAFETY: the pointer is to a live int, the child is ours.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    ensure!(status == 0, "the child's send failed");
    let mut echo = [0; 5];
    stream.read_exact(&mut echo)?;
    ensure!(&echo == b"child", "echo {echo:?}");
    Ok(())
}

fn sendfile(server: SocketAddr) -> Result<()> {
    let file = std::fs::File::open("/agent")?;
    let length = usize::try_from(file.metadata()?.len().min(300_000))?;
    let mut stream = connect(server, script::COUNT)?;
    let mut sent = 0;
    while sent < length {
        // SAFETY: both descriptors are open; the offset pointer may be null, then the file's own position moves.
        let result = unsafe {
            libc::sendfile(
                stream.as_raw_fd(),
                file.as_raw_fd(),
                ptr::null_mut(),
                length - sent,
            )
        };
        ensure!(result > 0, "sendfile: {}", io::Error::last_os_error());
        sent += usize::try_from(result)?;
    }
    stream.shutdown(Shutdown::Write)?;
    let mut count = [0; 8];
    stream.read_exact(&mut count)?;
    ensure!(
        u64::from_le_bytes(count) == length as u64,
        "the peer counted {}",
        u64::from_le_bytes(count)
    );
    Ok(())
}
