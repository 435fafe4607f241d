// SPDX-License-Identifier: Apache-2.0
//! Lines and descriptors over a Unix socket.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;

/// Most descriptors that one message carries (`SCM_MAX_FD`, include/net/scm.h).
const DESCRIPTORS_MAX: usize = 253;

/// Sends a value as a line of JSON.
pub(super) async fn send_line(stream: &mut UnixStream, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line).await
}

/// Receives a byte and the descriptors that came with it.
pub(super) async fn receive_sockets(stream: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    stream
        .async_io(Interest::READABLE, || receive(stream.as_raw_fd()))
        .await
}

fn receive(stream: RawFd) -> io::Result<Vec<OwnedFd>> {
    let mut byte = [0];
    let mut vectors = [io::IoSliceMut::new(&mut byte)];
    let mut control = nix::cmsg_space!([RawFd; DESCRIPTORS_MAX]);
    let message = recvmsg::<()>(
        stream,
        &mut vectors,
        Some(&mut control),
        MsgFlags::MSG_CMSG_CLOEXEC,
    )?;
    let mut received = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(descriptors) = control {
            // SAFETY: the kernel has just made these descriptors for this process, and nobody else knows them.
            let owned = descriptors
                .into_iter()
                .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
            received.extend(owned);
        }
    }
    if message.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(received)
}

/// Resolves when the other side has closed the connection. What it sends until then is dropped.
pub(super) async fn hung_up(stream: &mut UnixStream) -> io::Result<()> {
    let mut dropped = [0; 64];
    while stream.read(&mut dropped).await? > 0 {}
    Ok(())
}
