// SPDX-License-Identifier: Apache-2.0
//! A guest's listener: connections that arrive at published ports and wait for the guest to take them.
//!
//! As many wait here as the guest's backlog says, one more as in Linux; further ones wait in the host kernel's own queue, of
//! the same length, until there is room.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nexus_proto::wire::{Address, Event, Family, SocketId};
use nix::sys::socket::{Backlog, listen};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::connect::{Targets, wire_address};
use super::publish::{PublishedPort, Transport};
use super::socket::{Outbox, Speaker};
use super::tcp;
use crate::service::SERVICE_IP;

/// Most connections that wait for one guest socket, whatever backlog it asks for: each is a descriptor of the host.
const BACKLOG_MAX: u32 = 128;

/// How long to wait after the host could not accept.
const ERROR_PAUSE: Duration = Duration::from_millis(50);

/// A connection that waits to be taken.
#[derive(Debug)]
pub(super) struct Arrival {
    listener: Arc<Listener>,
    /// The connection.
    pub(super) stream: TcpStream,
    /// Who has connected, as the guest shall see it.
    pub(super) peer: SocketAddr,
    /// The guest's port.
    pub(super) port: u16,
}

/// The connections of one guest that wait to be taken, by number.
#[derive(Debug, Default)]
pub(crate) struct Arrivals(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    last: u32,
    by_number: HashMap<u32, Arrival>,
}

impl Arrivals {
    fn add(&self, arrival: Arrival) -> u32 {
        let mut waiting = lock(&self.0);
        loop {
            waiting.last = waiting.last.wrapping_add(1);
            let number = waiting.last;
            if number != 0 && !waiting.by_number.contains_key(&number) {
                waiting.by_number.insert(number, arrival);
                return number;
            }
        }
    }

    /// The connection with this number, which waits no more.
    pub(super) fn take(&self, number: u32) -> Option<Arrival> {
        let arrival = lock(&self.0).by_number.remove(&number)?;
        arrival.listener.taken();
        Some(arrival)
    }

    /// Resets the connections that wait at a listener.
    fn drop_of(&self, listener: &Arc<Listener>) {
        let dropped: Vec<Arrival> = lock(&self.0)
            .by_number
            .extract_if(|_, arrival| Arc::ptr_eq(&arrival.listener, listener))
            .map(|(_, arrival)| arrival)
            .collect();
        for arrival in &dropped {
            tcp::reset_on_close(&arrival.stream);
        }
    }
}

/// A listener of a guest.
pub(crate) struct Listener {
    id: SocketId,
    family: Family,
    only_v6: bool,
    port: u16,
    outbox: Arc<dyn Outbox>,
    marked: AtomicBool,
    changed: Notify,
    closed: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    backlog: u32,
    /// Connections that the guest has not taken.
    waiting: u32,
    /// Those of which it has not heard.
    unheard: VecDeque<(u32, Address)>,
    /// Nothing of it is left on the host, and the guest has closed it.
    released: bool,
    /// The device is gone: there is nobody to tell.
    detached: bool,
}

impl Listener {
    /// Starts to listen for a guest whose socket is bound to `local`. Spawns on the current runtime.
    pub(crate) fn start(
        id: SocketId,
        local: &Address,
        only_v6: bool,
        backlog: u32,
        targets: &Targets,
        outbox: Arc<dyn Outbox>,
    ) -> Arc<Self> {
        let backlog = backlog.min(BACKLOG_MAX);
        let listener = Arc::new(Self {
            id,
            family: local.family(),
            only_v6,
            port: local.port,
            outbox,
            marked: AtomicBool::new(false),
            changed: Notify::new(),
            closed: CancellationToken::new(),
            state: Mutex::new(State {
                backlog,
                waiting: 0,
                unheard: VecDeque::new(),
                released: false,
                detached: false,
            }),
        });
        let mut ports: Vec<PublishedPort> = targets
            .published()
            .iter()
            .filter(|port| {
                port.leads_to(Transport::Tcp, local.port) && listener.serves(port.host().ip())
            })
            .copied()
            .collect();
        let (arrivals, gate) = (Arc::clone(targets.arrivals()), targets.gate());
        let listening = Arc::clone(&listener);
        tokio::spawn(async move {
            // An open port can be seen, and a closed one.
            tokio::select! {
                () = gate.cleared() => {}
                () = listening.closed.cancelled() => ports.clear(),
            }
            listening.run(ports, arrivals).await;
        });
        listener
    }

    /// Takes in a new backlog.
    pub(crate) fn set_backlog(&self, backlog: u32) {
        lock(&self.state).backlog = backlog.min(BACKLOG_MAX);
        self.changed.notify_waiters();
    }

    /// The guest closes it. It is released when the host's sockets are closed.
    pub(crate) fn close(&self) {
        self.closed.cancel();
    }

    /// The device is reset or ends: nobody is told anything any more.
    pub(crate) fn detach(&self) {
        lock(&self.state).detached = true;
        self.closed.cancel();
    }

    /// Whether peers of this family can be shown to the guest's socket.
    fn serves(&self, peer: IpAddr) -> bool {
        match (self.family, peer) {
            (Family::V4, IpAddr::V4(_)) | (Family::V6, IpAddr::V6(_)) => true,
            (Family::V6, IpAddr::V4(_)) => !self.only_v6,
            (Family::V4, IpAddr::V6(_)) => false,
        }
    }

    async fn run(self: Arc<Self>, ports: Vec<PublishedPort>, arrivals: Arc<Arrivals>) {
        let mut accepting = JoinSet::new();
        for port in ports {
            match self.open(port) {
                Ok(host) => {
                    accepting.spawn(Arc::clone(&self).accept(host, Arc::clone(&arrivals)));
                }
                Err(error) => {
                    tracing::warn!(%port, %error, "a published port cannot be opened");
                }
            }
        }
        self.closed.cancelled().await;
        while accepting.join_next().await.is_some() {}
        arrivals.drop_of(&self);
        self.tell(|state| {
            state.unheard.clear();
            state.released = true;
        });
    }

    fn open(&self, port: PublishedPort) -> io::Result<TcpListener> {
        let fd = port.open()?;
        let backlog = lock(&self.state).backlog;
        let backlog = Backlog::new(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        listen(&fd, backlog)?;
        TcpListener::from_std(fd.into())
    }

    async fn accept(self: Arc<Self>, host: TcpListener, arrivals: Arc<Arrivals>) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.closed.cancelled() => return,
                accepted = self.next(&host) => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.announce(stream, peer, &arrivals),
                // Of one connection (accept(2)), or of descriptors that are short now, for which it is no use to ask at once.
                Err(error) => {
                    tracing::debug!(port = self.port, %error, "accept");
                    tokio::time::sleep(ERROR_PAUSE).await;
                }
            }
        }
    }

    /// The next connection, once there is room for it.
    async fn next(&self, host: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
        loop {
            let changed = self.changed.notified();
            let has_room = {
                let state = lock(&self.state);
                state.waiting <= state.backlog
            };
            if has_room {
                return host.accept().await;
            }
            changed.await;
        }
    }

    fn announce(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, arrivals: &Arrivals) {
        if let Err(error) = tcp::prepare(stream.as_fd()) {
            // It is gone already.
            tracing::debug!(%peer, %error, "an incoming connection");
            return;
        }
        let peer = shown(peer);
        let number = arrivals.add(Arrival {
            listener: Arc::clone(self),
            stream,
            peer,
            port: self.port,
        });
        self.tell(|state| {
            state.waiting += 1;
            let peer = wire_address(peer, self.family);
            state.unheard.push_back((number, peer));
        });
    }

    fn taken(&self) {
        lock(&self.state).waiting -= 1;
        self.changed.notify_waiters();
    }

    /// Changes the state, and tells the guest.
    fn tell(self: &Arc<Self>, change: impl FnOnce(&mut State)) {
        let mut state = lock(&self.state);
        change(&mut state);
        if state.detached {
            return;
        }
        // Under the lock, so that nobody is marked after a detach.
        if !self.marked.swap(true, Ordering::AcqRel) {
            self.outbox.add(Arc::clone(self) as Arc<dyn Speaker>);
        }
        drop(state);
        self.outbox.send();
    }
}

impl Speaker for Listener {
    fn marked(&self) -> &AtomicBool {
        &self.marked
    }

    fn event(&self) -> Option<(Event, bool)> {
        let socket = self.id;
        let mut state = lock(&self.state);
        if state.detached {
            return None;
        }
        if let Some((connection, peer)) = state.unheard.pop_front() {
            let event = Event::Incoming {
                socket,
                connection,
                peer,
            };
            return Some((event, state.released || !state.unheard.is_empty()));
        }
        std::mem::take(&mut state.released).then_some((Event::Released { socket }, false))
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener")
            .field("id", &self.id)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// A peer's address as a guest sees it. One on the host's loopback must not look like one on the guest's own.
pub(super) fn shown(peer: SocketAddr) -> SocketAddr {
    if peer.ip().to_canonical().is_loopback() {
        (SERVICE_IP, peer.port()).into()
    } else {
        SocketAddr::new(peer.ip().to_canonical(), peer.port())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that these locks guard is left half-changed by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
