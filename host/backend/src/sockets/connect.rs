// SPDX-License-Identifier: Apache-2.0
//! Who answers a connect request: a service inside the process, a TCP connection, or the policy with an error.
//!
//! The local address that a guest is told is an address of its own, never the host's: the host's would tell a tenant
//! about the machine it runs on, and no use of it by the guest (to bind it, to hand it to a peer) could work. The port
//! of a TCP connection is the real one, so that a guest's log can be matched with its peer's.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use nexus_proto::wire::{Address, Family, Ip, SocketId, limits};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::listener::Arrivals;
use super::publish::PublishedPort;
use super::raw::errno;
use super::rings::Rings;
use super::socket::{Outbox, Socket};
use super::state::Mover;
use super::stream::RingStream;
use super::{EndpointPolicy, tcp, udp};
use crate::service::{Service, Services};
use crate::writeback::Writeback;

/// The guest's own address, as its sockets show it: beside [`crate::service::SERVICE_IP`] in the link-local network.
pub(crate) const GUEST_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 1);

/// The same for IPv6 peers; a unique local address (RFC 4193).
pub(crate) const GUEST_V6: Ipv6Addr = Ipv6Addr::new(0xfd6e, 0x6578, 0x7573, 0, 0, 0, 0, 1);

/// First of the ports that connections to services appear to come from (RFC 6335, dynamic ports).
const FIRST_PORT: u16 = 49152;

/// First port that needs no privilege (ip(7)).
const FIRST_USER_PORT: u16 = 1024;

/// What the sockets of one guest can be connected to.
#[derive(Debug)]
pub(crate) struct Targets {
    services: Services,
    policy: Arc<EndpointPolicy>,
    published: Vec<PublishedPort>,
    writeback: Arc<Writeback>,
    arrivals: Arc<Arrivals>,
    connect_timeout: Duration,
    ports: AtomicU16,
    /// Services at work for the guest at a time: one may go on after its socket is released.
    serving: Arc<Semaphore>,
    /// Cancelled with the VM's end, for services that no socket tells of it any more.
    ended: CancellationToken,
}

impl Targets {
    pub(crate) fn new(
        services: Services,
        policy: Arc<EndpointPolicy>,
        published: Vec<PublishedPort>,
        writeback: Arc<Writeback>,
        connect_timeout: Duration,
        max_sockets: u32,
    ) -> Self {
        Self {
            services,
            policy,
            published,
            writeback,
            arrivals: Arc::default(),
            connect_timeout,
            ports: AtomicU16::new(0),
            serving: Arc::new(Semaphore::new(max_sockets as usize)),
            ended: CancellationToken::new(),
        }
    }

    /// Has all services drop what they do for this guest: its VM is gone.
    pub(crate) fn end(&self) {
        self.ended.cancel();
    }

    /// Ports of the host that lead into the guest.
    pub(crate) fn published(&self) -> &[PublishedPort] {
        &self.published
    }

    /// Ports of the guest that are published, as the configuration space lists them: if there are too many, all that fit.
    pub(crate) fn reachable_ports(&self) -> [u16; limits::PORTS] {
        let mut listed = [0; limits::PORTS];
        let ports: BTreeSet<u16> = self.published.iter().map(PublishedPort::guest).collect();
        for (place, port) in listed.iter_mut().zip(ports) {
            *place = port;
        }
        listed
    }

    /// What has to be durable before anything leaves the host.
    pub(crate) fn gate(&self) -> Arc<Writeback> {
        Arc::clone(&self.writeback)
    }

    /// Connections that wait for the guest to take them.
    pub(crate) fn arrivals(&self) -> &Arc<Arrivals> {
        &self.arrivals
    }

    fn service_port(&self) -> u16 {
        FIRST_PORT + self.ports.fetch_add(1, Ordering::Relaxed) % (u16::MAX - FIRST_PORT)
    }
}

/// Starts to connect `socket`, whose guest asked for `peer`, from a port unless that is zero. Spawns on the current runtime.
pub(crate) fn connect(socket: &Arc<Socket>, peer: &Address, source_port: u16, targets: &Targets) {
    let Some(address) = socket_address(peer, socket.family()) else {
        return socket.finish(Some(errno(libc::EAFNOSUPPORT)));
    };
    if let Some(service) = targets.services.get(&address) {
        let Ok(permit) = Arc::clone(&targets.serving).try_acquire_owned() else {
            return socket.finish(Some(errno(libc::ECONNREFUSED)));
        };
        let local = local_address(socket.family(), address.ip(), targets.service_port());
        return serve(socket, service, local, permit, targets.ended.clone());
    }
    if let Err(error) = allow(address, source_port, &targets.policy) {
        return socket.finish(Some(error));
    }
    socket.attach(Mover::Host);
    socket.put_behind(Arc::clone(&targets.writeback));
    tokio::spawn(tcp::run(
        Arc::clone(socket),
        Arc::clone(&targets.writeback),
        address,
        source_port,
        targets.connect_timeout,
    ));
}

/// Whether `policy` allows a connection to `peer`, from a port unless that is zero; else the error number.
pub(crate) fn permit(peer: &Address, source_port: u16, policy: &EndpointPolicy) -> Result<(), u16> {
    let address = socket_address(peer, peer.family()).ok_or(errno(libc::EAFNOSUPPORT))?;
    allow(address, source_port, policy)
}

fn allow(peer: SocketAddr, source_port: u16, policy: &EndpointPolicy) -> Result<(), u16> {
    policy.check(peer).map_err(|refusal| {
        tracing::debug!(%peer, %refusal, "connection refused by policy");
        refusal.errno()
    })?;
    if (1..FIRST_USER_PORT).contains(&source_port) {
        // Some peers still trust who comes from there (rcmd(3)), and only this host's root may.
        return Err(errno(libc::EACCES));
    }
    Ok(())
}

/// A socket for a connection that has arrived, and what starts to move its bytes.
pub(crate) fn accept(
    id: SocketId,
    family: Family,
    connection: u32,
    rings: Rings,
    outbox: Arc<dyn Outbox>,
    targets: &Targets,
) -> (Arc<Socket>, Accepted) {
    match targets.arrivals.take(connection) {
        Some(arrival) => {
            let local = local_address(family, arrival.peer.ip(), arrival.port);
            let socket = Socket::accepted(id, local, rings, outbox);
            let gate = Arc::clone(&targets.writeback);
            socket.put_behind(Arc::clone(&gate));
            (socket, Accepted(Some((arrival.stream, gate))))
        }
        None => (Socket::new(id, family, rings, outbox), Accepted(None)),
    }
}

/// The host's side of a connection that has arrived; none if the guest's listener was closed meanwhile.
#[derive(Debug)]
pub(crate) struct Accepted(Option<(TcpStream, Arc<Writeback>)>);

impl Accepted {
    /// Starts to move bytes. Spawns on the current runtime.
    pub(crate) fn start(self, socket: &Arc<Socket>) {
        match self.0 {
            Some((stream, gate)) => {
                socket.flush();
                tokio::spawn(tcp::serve(Arc::clone(socket), gate, stream));
            }
            None => socket.finish(Some(errno(libc::ECONNABORTED))),
        }
    }
}

/// Starts to move the datagrams of `socket`. Spawns on the current runtime.
pub(crate) fn exchange(socket: &Arc<Socket>, targets: &Targets) {
    socket.put_behind(Arc::clone(&targets.writeback));
    tokio::spawn(udp::run(
        Arc::clone(socket),
        Arc::clone(&targets.writeback),
        targets.services.clone(),
        Arc::clone(&targets.policy),
        targets.published.clone(),
        targets.ended.clone(),
    ));
}

fn serve(
    socket: &Arc<Socket>,
    service: Arc<dyn Service>,
    local: Address,
    permit: OwnedSemaphorePermit,
    ended: CancellationToken,
) {
    socket.attach(Mover::Service);
    socket.established(local);
    socket.flush();
    let socket = Arc::clone(socket);
    tokio::spawn(async move {
        let _permit = permit;
        let stream = Box::pin(RingStream::new(Arc::clone(&socket)));
        tokio::select! {
            () = socket.lost() => {}
            () = ended.cancelled() => {}
            () = service.serve(stream) => {}
        }
    });
}

/// The address to connect to, a v4-mapped one as IPv4; `None` if a socket of `family` cannot have such a peer.
pub(super) fn socket_address(peer: &Address, family: Family) -> Option<SocketAddr> {
    if peer.family() != family {
        return None;
    }
    Some(match peer.ip {
        Ip::V4(ip) => SocketAddr::V4(SocketAddrV4::new(ip.into(), peer.port)),
        Ip::V6(ip) => {
            let ip = Ipv6Addr::from(ip);
            match ip.to_ipv4_mapped() {
                Some(ip) => SocketAddr::V4(SocketAddrV4::new(ip, peer.port)),
                None => SocketAddr::V6(SocketAddrV6::new(ip, peer.port, peer.flow, peer.scope)),
            }
        }
    })
}

/// An address of the network as a socket of `family` shows it.
pub(super) fn wire_address(address: SocketAddr, family: Family) -> Address {
    let ip = match (family, address.ip()) {
        (Family::V6, IpAddr::V4(ip)) => Ip::V6(ip.to_ipv6_mapped().octets()),
        (_, IpAddr::V4(ip)) => Ip::V4(ip.octets()),
        (_, IpAddr::V6(ip)) => Ip::V6(ip.octets()),
    };
    Address {
        ip,
        port: address.port(),
        flow: 0,
        scope: 0,
    }
}

/// The guest's own address, as a datagram socket of `family` shows it.
pub(crate) fn own_address(family: Family) -> Address {
    let peer = match family {
        Family::V4 => IpAddr::V4(GUEST_V4),
        Family::V6 => IpAddr::V6(GUEST_V6),
    };
    local_address(family, peer, 0)
}

/// The guest's own address towards `peer`, for a socket of `family`.
pub(super) fn local_address(family: Family, peer: IpAddr, port: u16) -> Address {
    let ip = match (family, peer) {
        (Family::V4, _) => Ip::V4(GUEST_V4.octets()),
        (Family::V6, IpAddr::V4(_)) => Ip::V6(GUEST_V4.to_ipv6_mapped().octets()),
        (Family::V6, IpAddr::V6(_)) => Ip::V6(GUEST_V6.octets()),
    };
    Address {
        ip,
        port,
        flow: 0,
        scope: 0,
    }
}
