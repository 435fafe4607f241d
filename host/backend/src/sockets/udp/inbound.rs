// SPDX-License-Identifier: Apache-2.0
//! Datagrams that arrive at published ports, and the answers to them.
//!
//! A peer that has sent something may be answered, whatever the policy says about connections of the guest's own.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::Poll;

use tokio::net::UdpSocket;

use super::host;
use crate::sockets::listener::shown;
use crate::sockets::publish::{PublishedPort, Transport};

/// Most peers of one socket that can be answered; the one that was heard of first gives way.
const PEERS_MAX: usize = 1024;

/// Where the answers to a peer go.
#[derive(Debug, Clone, Copy)]
struct Peer {
    address: SocketAddr,
    /// Index of the host's socket at which it was heard.
    socket: usize,
}

/// The host's sockets at published ports, and who was heard there.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    sockets: Vec<UdpSocket>,
    /// By the address that the guest sees.
    peers: HashMap<SocketAddr, Peer>,
    order: VecDeque<SocketAddr>,
}

impl Inbound {
    /// Opens the published ports that lead to `port` of the guest, of the families that its socket takes.
    pub(super) fn open(&mut self, published: &[PublishedPort], port: u16, takes_v6: bool) {
        if !self.sockets.is_empty() {
            return;
        }
        for published in published {
            let v4 = published.host().is_ipv4();
            if !published.leads_to(Transport::Udp, port) || !(v4 || takes_v6) {
                continue;
            }
            match published.open().and_then(|fd| host::watch(fd, v4)) {
                Ok(socket) => self.sockets.push(socket),
                Err(error) => {
                    tracing::warn!(port = %published, %error, "a published port cannot be opened");
                }
            }
        }
    }

    pub(super) fn sockets(&self) -> &[UdpSocket] {
        &self.sockets
    }

    /// Remembers who was heard at a socket.
    pub(super) fn hear(&mut self, from: SocketAddr, socket: usize) {
        let seen = shown(from);
        let peer = Peer {
            address: from,
            socket,
        };
        if self.peers.insert(seen, peer).is_none() {
            self.order.push_back(seen);
        }
        if self.order.len() > PEERS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.peers.remove(&oldest);
        }
    }

    /// The host's socket and the address for an answer to a peer that was heard.
    pub(super) fn route(&self, to: &SocketAddr) -> Option<(&UdpSocket, SocketAddr)> {
        let peer = self.peers.get(to)?;
        Some((self.sockets.get(peer.socket)?, peer.address))
    }

    /// Resolves when there is something to do with one of the sockets; never without one.
    pub(super) async fn ready(&self, write: bool) {
        let mut all: Vec<_> = self
            .sockets
            .iter()
            .map(|socket| Box::pin(host::ready(Some(socket), write)))
            .collect();
        poll_fn(|context| {
            let any = all
                .iter_mut()
                .any(|one| one.as_mut().poll(context).is_ready());
            if any { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}
