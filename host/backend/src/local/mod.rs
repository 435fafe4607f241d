// SPDX-License-Identifier: Apache-2.0
//! Local mode: a function's program outside a VM, in a network namespace of its own.
//!
//! The namespace has loopback and nothing else. Who makes it (`nexus local`) also makes the sockets that a [`Plan`] lists, inside
//! it, and hands them over; so services answer there at the addresses that a guest knows them by, for every program. What is
//! outside the namespace, the preload library asks for.
//!
//! - `services`: services behind the namespace's sockets.
//! - `connector`: sockets of the host for the preload library, where policy allows ([`nexus_proto::local`]).

mod connector;
mod services;

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{SockType, SockaddrStorage, getsockname, getsockopt, sockopt};
use serde::Serialize;
use tokio::task::JoinSet;

use self::connector::Connector;
use crate::file;
use crate::service::Services;
use crate::sockets::EndpointPolicy;

/// Pause after a failed accept or receive: its usual cause, too many open files, does not go away at once.
const PAUSE: Duration = Duration::from_millis(100);

/// The sockets that a namespace needs: these, in this order, and the listener at [`nexus_proto::local::SOCKET`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Where streams are accepted.
    pub streams: Vec<SocketAddr>,
    /// Where datagrams are received.
    pub datagrams: Vec<SocketAddr>,
}

/// Why a namespace cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// Too few sockets, or too many.
    #[error(
        "{given} sockets came from the namespace, {planned} were asked for; are nexus and nexusd from the same build?"
    )]
    Count {
        /// How many came.
        given: usize,
        /// How many were asked for.
        planned: usize,
    },
    /// A socket is none of those asked for.
    #[error("the socket for {what} is not one; are nexus and nexusd from the same build?")]
    Unfit {
        /// What it was asked for.
        what: String,
    },
    /// A socket cannot be used.
    #[error("cannot use the socket for {what}")]
    Socket {
        /// What it was asked for.
        what: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl Plan {
    /// What the namespace of a program with these services needs.
    pub fn new(services: &Services) -> Self {
        let mut streams: Vec<_> = services.stream_addresses().collect();
        let mut datagrams: Vec<_> = services.datagram_addresses().collect();
        streams.sort_unstable();
        datagrams.sort_unstable();
        Self { streams, datagrams }
    }

    /// How many sockets that are.
    pub fn sockets(&self) -> usize {
        self.streams.len() + self.datagrams.len() + 1
    }
}

/// A namespace that is served.
#[derive(Debug)]
pub struct Namespace {
    /// Ended when dropped.
    _tasks: JoinSet<()>,
}

impl Namespace {
    /// Starts to serve a namespace, whose `sockets` are those of the [`Plan`]; until it is dropped. Spawns on the current
    /// runtime.
    ///
    /// # Errors
    /// If a socket is not what the plan says.
    pub fn start(
        services: &Services,
        policy: &Arc<EndpointPolicy>,
        sockets: Vec<OwnedFd>,
    ) -> Result<Self, LocalError> {
        let plan = Plan::new(services);
        let (given, planned) = (sockets.len(), plan.sockets());
        if given != planned {
            return Err(LocalError::Count { given, planned });
        }
        let mut sockets = sockets.into_iter();
        let mut tasks = JoinSet::new();
        for (address, socket) in plan.streams.iter().zip(&mut sockets) {
            if let Some(service) = services.get(address) {
                let listener = listener(socket, *address)?;
                tasks.spawn(services::accept(listener, service));
            }
        }
        for (address, socket) in plan.datagrams.iter().zip(&mut sockets) {
            if let Some(responder) = services.responder(address) {
                let socket = datagrams(socket, *address)?;
                tasks.spawn(services::respond(socket, responder));
            }
        }
        for socket in sockets {
            let connector = Connector::new(socket, Arc::clone(policy))
                .map_err(failed("the preload library"))?;
            tasks.spawn(connector.run());
        }
        Ok(Self { _tasks: tasks })
    }
}

fn listener(socket: OwnedFd, address: SocketAddr) -> Result<tokio::net::TcpListener, LocalError> {
    let what = || format!("streams at {address}");
    let socket = TcpListener::from(planned(socket, SockType::Stream, address, what)?);
    tokio::net::TcpListener::from_std(socket).map_err(failed(what()))
}

fn datagrams(socket: OwnedFd, address: SocketAddr) -> Result<tokio::net::UdpSocket, LocalError> {
    let what = || format!("datagrams at {address}");
    let socket = UdpSocket::from(planned(socket, SockType::Datagram, address, what)?);
    tokio::net::UdpSocket::from_std(socket).map_err(failed(what()))
}

/// The socket, which does not block any more, if it is of the kind and at the address that were planned.
fn planned(
    socket: OwnedFd,
    kind: SockType,
    address: SocketAddr,
    what: impl Fn() -> String,
) -> Result<OwnedFd, LocalError> {
    match getsockopt(&socket, sockopt::SockType) {
        Ok(found) if found == kind => {}
        Ok(_) => return Err(LocalError::Unfit { what: what() }),
        Err(error) => return Err(failed(what())(error.into())),
    }
    // A socket of another family has no address of this one's form.
    let bound = getsockname::<SockaddrStorage>(socket.as_raw_fd());
    if !bound.is_ok_and(|bound| bound == SockaddrStorage::from(address)) {
        return Err(LocalError::Unfit { what: what() });
    }
    file::set_nonblocking(&socket).map_err(failed(what()))?;
    Ok(socket)
}

fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> LocalError {
    let what = what.into();
    move |source| LocalError::Socket { what, source }
}
