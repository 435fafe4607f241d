// SPDX-License-Identifier: Apache-2.0
//! Sockets of the host for the preload library: asked for by a peer's address, given where policy allows.
//!
//! The socket is not connected yet: the library gives it the options of the program's own and connects it, so that blocking,
//! signals, readiness and errors are the kernel's own.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use nexus_proto::local::{REQUEST_SIZE, Reply, Request, RequestMessage};
use nexus_proto::wire::{Family, Kind};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, SockaddrStorage, accept4, bind,
    recv, sendmsg, setsockopt, socket, sockopt,
};
use tokio::io::unix::AsyncFd;
use tokio::task::JoinSet;

use super::PAUSE;
use crate::file;
use crate::sockets::{self, EndpointPolicy};

/// Requests under way at once; more wait to be accepted.
const REQUESTS: usize = 64;

/// How long a connection may take to bring its request.
const PATIENCE: Duration = Duration::from_secs(5);

/// A listening socket of a namespace, where requests come in.
#[derive(Debug)]
pub(super) struct Connector {
    listener: AsyncFd<OwnedFd>,
    policy: Arc<EndpointPolicy>,
}

impl Connector {
    pub(super) fn new(listener: OwnedFd, policy: Arc<EndpointPolicy>) -> io::Result<Self> {
        Ok(Self {
            listener: watch(listener)?,
            policy,
        })
    }

    /// Answers requests.
    pub(super) async fn run(self) {
        let mut requests = JoinSet::new();
        loop {
            while requests.try_join_next().is_some() {}
            if requests.len() >= REQUESTS {
                requests.join_next().await;
            }
            match self.accept().await {
                Ok(connection) => {
                    requests.spawn(serve(connection, Arc::clone(&self.policy)));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a request of local mode");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn accept(&self) -> io::Result<AsyncFd<OwnedFd>> {
        let connection = wait(&self.listener, |listener| {
            let connection = accept4(listener, SockFlag::SOCK_CLOEXEC)?;
            // SAFETY: accept4 has just made this descriptor, and nobody else knows it.
            Ok(unsafe { OwnedFd::from_raw_fd(connection) })
        });
        watch(connection.await?)
    }
}

async fn serve(connection: AsyncFd<OwnedFd>, policy: Arc<EndpointPolicy>) {
    let answered = async {
        let mut message: RequestMessage = [0; REQUEST_SIZE];
        let read = |connection: i32| recv(connection, &mut message, MsgFlags::MSG_TRUNC);
        let length = tokio::time::timeout(PATIENCE, wait(&connection, read)).await??;
        if length == 0 {
            // The library only asked whether anybody is here.
            return Ok(());
        }
        if length != REQUEST_SIZE {
            let reason = format!("a request of {length} bytes instead of {REQUEST_SIZE}");
            return Err(io::Error::other(reason));
        }
        let request = Request::decode(&message).map_err(io::Error::other)?;
        reply(&connection, open(&request, &policy).as_ref())
    };
    if let Err(error) = answered.await {
        tracing::debug!(%error, "a request of local mode has no answer");
    }
}

/// The host's socket for a request, or what `connect()` fails with.
fn open(request: &Request, policy: &EndpointPolicy) -> Result<OwnedFd, u16> {
    sockets::permit(&request.peer, request.source_port, policy)?;
    host_socket(request).map_err(|error| sockets::errno(error as i32))
}

fn host_socket(request: &Request) -> nix::Result<OwnedFd> {
    let (family, any) = match request.family() {
        Family::V4 => (AddressFamily::Inet, Ipv4Addr::UNSPECIFIED.into()),
        Family::V6 => (AddressFamily::Inet6, Ipv6Addr::UNSPECIFIED.into()),
    };
    let kind = match request.kind {
        Kind::Stream => SockType::Stream,
        Kind::Datagram => SockType::Datagram,
    };
    let host = socket(family, kind, SockFlag::SOCK_CLOEXEC, None)?;
    if request.source_port != 0 {
        // As for a guest's own sockets, an earlier connection from there that is over is no obstacle.
        setsockopt(&host, sockopt::ReuseAddr, &true)?;
        let source = SockaddrStorage::from(SocketAddr::new(any, request.source_port));
        bind(host.as_raw_fd(), &source).map_err(|_| Errno::EADDRNOTAVAIL)?;
    }
    Ok(host)
}

fn reply(connection: &AsyncFd<OwnedFd>, outcome: Result<&OwnedFd, &u16>) -> io::Result<()> {
    let error = outcome.err().copied().unwrap_or(0);
    let message = Reply { error }.encode();
    let host = outcome.ok().map(AsRawFd::as_raw_fd);
    let rights = host.as_slice();
    let control = [ControlMessage::ScmRights(rights)];
    let control = if rights.is_empty() { &[] } else { &control[..] };
    sendmsg::<()>(
        connection.as_raw_fd(),
        &[io::IoSlice::new(&message)],
        control,
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    Ok(())
}

/// A descriptor that does not block, watched by the runtime.
fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    file::set_nonblocking(&descriptor)?;
    // SAFETY: an OwnedFd names one open descriptor for as long as it lives, and AsyncFd keeps it until it has deregistered.
    Ok(unsafe { AsyncFd::register(descriptor) }?)
}

/// Makes a call as soon as the descriptor is readable.
async fn wait<T>(
    descriptor: &AsyncFd<OwnedFd>,
    mut call: impl FnMut(i32) -> nix::Result<T>,
) -> io::Result<T> {
    loop {
        let mut ready = descriptor.readable().await?;
        if let Ok(result) = ready.try_io(|inner| Ok(call(inner.as_raw_fd())?)) {
            return result;
        }
    }
}
