// SPDX-License-Identifier: Apache-2.0
//! The traits between the queue handling and what answers inside the process: one for streams, one for datagrams.

pub(crate) mod hosts;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

/// The link-local address at which a guest finds the services of its backend. One of the few that botocore accepts for
/// credentials over plain HTTP; nothing on the host's network is ever asked at it.
pub const SERVICE_IP: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 2);

/// Ports of the services at [`SERVICE_IP`].
pub mod port {
    /// Names, over TCP (RFC 7766) and UDP (RFC 1035).
    pub const DNS: u16 = 53;
    /// The gateway to AWS-style services, plain HTTP.
    pub const GATEWAY: u16 = 80;
    /// The gateway again, under the services' own names: HTTP over TLS.
    pub const GATEWAY_TLS: u16 = 443;
    /// What init asks for before it starts the function.
    pub const BOOT: u16 = 9000;
    /// AWS Lambda's runtime API.
    pub const RUNTIME_API: u16 = 9001;
    /// The gateway again, for SDK shims (`nexus_proto::call`).
    pub const CALLS: u16 = 9002;
}

/// A byte stream whose other end is a guest's socket.
pub trait Duplex: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}

/// The host's end of a guest's connection to a service. Dropping it closes the connection.
pub type ServiceStream = Pin<Box<dyn Duplex>>;

/// A future that ends when a connection has been served.
pub type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Answers connections inside the process. One value serves one VM.
pub trait Service: Send + Sync {
    /// Serves one connection to its end. The future is dropped if the VM goes away first.
    fn serve(self: Arc<Self>, stream: ServiceStream) -> Serving;
}

/// A future with the answer to a datagram, if there is one.
pub type Response = Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send>>;

/// Answers datagrams inside the process, each for itself. One value serves one VM.
pub trait Responder: Send + Sync {
    /// The answer to one datagram. The future is dropped if the guest's socket goes away first.
    fn respond(self: Arc<Self>, datagram: Vec<u8>) -> Response;
}

/// Which addresses are answered inside the process for one VM.
#[derive(Clone, Default)]
pub struct Services {
    by_address: HashMap<SocketAddr, Arc<dyn Service>>,
    responders: HashMap<SocketAddr, Arc<dyn Responder>>,
}

impl Services {
    /// Has `service` answer connections to `port` of [`SERVICE_IP`].
    pub fn register(&mut self, port: u16, service: Arc<dyn Service>) {
        self.by_address.insert((SERVICE_IP, port).into(), service);
    }

    /// Has `service` answer connections to an address that is no service's else.
    pub fn register_at(&mut self, address: SocketAddr, service: Arc<dyn Service>) {
        self.by_address.insert(address, service);
    }

    /// Has `responder` answer datagrams to `port` of [`SERVICE_IP`].
    pub fn register_responder(&mut self, port: u16, responder: Arc<dyn Responder>) {
        self.responders.insert((SERVICE_IP, port).into(), responder);
    }

    /// Where connections are answered, in no order.
    pub(crate) fn stream_addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.by_address.keys().copied()
    }

    /// Where datagrams are answered, in no order.
    pub(crate) fn datagram_addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.responders.keys().copied()
    }

    /// Who answers datagrams to `address`, if anybody does.
    pub fn responder(&self, address: &SocketAddr) -> Option<Arc<dyn Responder>> {
        self.responders.get(address).cloned()
    }

    /// The service at `address`, if there is one.
    pub fn get(&self, address: &SocketAddr) -> Option<Arc<dyn Service>> {
        self.by_address.get(address).cloned()
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.by_address.keys())
            .entries(self.responders.keys())
            .finish()
    }
}
