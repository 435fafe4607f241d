// SPDX-License-Identifier: Apache-2.0
//! The device: requests in, events out, the table of sockets and listeners, reset.
//!
//! Locks are taken in this order, any of them may be skipped: requests, events, then either the table or a socket's own and
//! then marks.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nexus_proto::wire::config::feature;
use nexus_proto::wire::request::op;
use nexus_proto::wire::{Address, Config, DecodeError, Event, Kind, Request, Ring, SocketId};
use tokio_util::sync::CancellationToken;

use super::Limits;
use super::statistics::{Counters, Statistics};
use super::virtqueue::{QueueError, Virtqueue};
use crate::sockets::{
    GUEST_V4, GUEST_V6, Listener, Outbox, RingError, Rings, Socket, SocketViolation, Speaker,
    Targets, accept, connect, exchange, own_address,
};

/// Most requests handled before other VMs get their turn.
const REQUESTS_PER_TURN: usize = 256;

/// How often a lingering socket is looked at.
const LINGER_CHECKS: u32 = 12;

/// What a guest did that no honest driver does (specification, section 9).
#[derive(Debug, thiserror::Error)]
pub(super) enum Violation {
    #[error("request queue: {0}")]
    Request(#[source] QueueError),
    #[error("event queue: {0}")]
    Event(#[source] QueueError),
    #[error("request that cannot be understood: {0}")]
    Decode(#[from] DecodeError),
    #[error("open of socket {0}, which is in use")]
    InUse(SocketId),
    #[error("open of socket {id}; ids are below {max}")]
    Id { id: SocketId, max: u32 },
    #[error("open of socket {id} with a ring of {size} bytes; at most {max} are offered")]
    RingSize { id: SocketId, size: u32, max: u32 },
    #[error("open of socket {id}: {source}")]
    Ring { id: SocketId, source: RingError },
    #[error("request for socket {0}, which is free")]
    Free(SocketId),
    #[error("request for socket {0} that no listener takes")]
    Listener(SocketId),
    #[error("socket {id}: {source}")]
    Socket {
        id: SocketId,
        source: SocketViolation,
    },
}

/// What an id stands for.
#[derive(Debug, Clone)]
enum Entry {
    Socket(Arc<Socket>),
    Listener(Arc<Listener>),
}

/// The device that one VM sees.
#[derive(Debug)]
pub(super) struct Device {
    name: String,
    limits: Limits,
    targets: Targets,
    requests: Mutex<Option<Virtqueue>>,
    events: Mutex<Option<Virtqueue>>,
    table: Mutex<HashMap<SocketId, Entry>>,
    /// Who has news for the guest, each at most once.
    marks: Mutex<VecDeque<Arc<dyn Speaker>>>,
    counters: Counters,
    /// Features that the guest accepted.
    features: AtomicU64,
    violation: OnceLock<String>,
    violated: CancellationToken,
}

impl Device {
    pub(super) fn new(name: String, targets: Targets, limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            name,
            limits,
            targets,
            requests: Mutex::default(),
            events: Mutex::default(),
            table: Mutex::default(),
            marks: Mutex::default(),
            counters: Counters::default(),
            features: AtomicU64::new(0),
            violation: OnceLock::new(),
            violated: CancellationToken::new(),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn config(&self) -> Config {
        Config {
            max_sockets: self.limits.max_sockets,
            max_ring: self.limits.max_ring,
            address_v4: GUEST_V4.octets(),
            address_v6: GUEST_V6.octets(),
            ports: self.targets.reachable_ports(),
        }
    }

    /// The guest accepted these features.
    pub(super) fn set_features(&self, features: u64) {
        self.features.store(features, Ordering::Relaxed);
    }

    fn negotiated(&self, feature: u64) -> bool {
        self.features.load(Ordering::Relaxed) & feature != 0
    }

    pub(super) fn statistics(&self) -> Statistics {
        self.counters.snapshot(lock(&self.table).len())
    }

    pub(super) fn kicked(&self) {
        self.counters.kicks.add(1);
    }

    /// The queue of requests while it runs.
    pub(super) fn requests(&self) -> MutexGuard<'_, Option<Virtqueue>> {
        lock(&self.requests)
    }

    /// The queue of events while it runs.
    pub(super) fn events(&self) -> MutexGuard<'_, Option<Virtqueue>> {
        lock(&self.events)
    }

    /// Handles what is in the request queue, up to a bound; says whether there is more.
    pub(super) fn handle_requests(self: &Arc<Self>) -> Result<bool, Violation> {
        let mut requests = self.requests();
        let Some(queue) = requests.as_mut() else {
            return Ok(false);
        };
        let mut more = true;
        let mut count = 0;
        while more && count < REQUESTS_PER_TURN {
            while count < REQUESTS_PER_TURN
                && let Some(message) = queue.receive().map_err(Violation::Request)?
            {
                count += 1;
                self.handle(Request::decode(&message)?, queue)?;
            }
            more = count == REQUESTS_PER_TURN || queue.rearm().map_err(Violation::Request)?;
        }
        self.counters.requests.add(count as u64);
        if count > 0 && queue.interrupt().map_err(Violation::Request)? {
            self.counters.interrupts.add(1);
        }
        Ok(more)
    }

    /// Tells the guest all news for which it offers buffers.
    pub(super) fn send_events(&self) {
        let mut events = self.events();
        let Some(queue) = events.as_mut() else {
            return;
        };
        let sent = self.send_marked(queue).and_then(|sent| {
            if sent > 0 && queue.interrupt()? {
                self.counters.interrupts.add(1);
            }
            Ok(sent)
        });
        match sent {
            Ok(sent) => self.counters.events.add(sent),
            Err(error) => {
                // No more of this queue; the session ends for it.
                *events = None;
                drop(events);
                self.violate(&Violation::Event(error));
            }
        }
    }

    /// Stops both queues, resets all peers, forgets all ids. Afterwards no guest memory is touched.
    pub(super) fn reset(&self) {
        // The queues go first: requests would open sockets, and an event could only be about a socket that is gone.
        *self.requests() = None;
        *self.events() = None;
        let table = std::mem::take(&mut *lock(&self.table));
        for entry in table.values() {
            match entry {
                Entry::Socket(socket) => socket.detach(),
                Entry::Listener(listener) => listener.detach(),
            }
        }
        // For good: a detached socket has no news. One left here would hold the device, and the device it, for ever.
        lock(&self.marks).clear();
    }

    /// Resets for good: services are done as well, also those whose sockets are released.
    pub(super) fn end(&self) {
        self.reset();
        self.targets.end();
    }

    /// Notes a violation, which ends the session.
    pub(super) fn violate(&self, violation: &Violation) {
        // The first one says what happened; what follows may be its consequence.
        if self.violation.set(violation.to_string()).is_ok() {
            // One line for each session at most, so this needs no limit of its own.
            tracing::warn!(instance = %self.name, %violation, "the guest violated virtio-nexus, its session ends");
            self.violated.cancel();
        }
    }

    /// Resolves with the first violation.
    pub(super) async fn violated(&self) -> String {
        self.violated.cancelled().await;
        self.violation.get().cloned().unwrap_or_default()
    }

    /// The first violation, if there was one.
    pub(super) fn violation(&self) -> Option<String> {
        self.violation.get().cloned()
    }

    fn handle(self: &Arc<Self>, request: Request, queue: &Virtqueue) -> Result<(), Violation> {
        let id = request.socket();
        let wrong = |source| Violation::Socket { id, source };
        match request {
            Request::Open { .. } => self.open(&request, queue)?,
            Request::Connect {
                peer, source_port, ..
            } => {
                let socket = self.socket(id)?;
                socket.begin_connect().map_err(wrong)?;
                let source_port = if self.negotiated(feature::BIND) {
                    source_port
                } else {
                    0
                };
                connect(&socket, &peer, source_port, &self.targets);
            }
            Request::Option { option, value, .. } => {
                if !self.negotiated(feature::OPTIONS) {
                    let (level, name) = (option.level(), option.name());
                    return Err(DecodeError::Option { level, name }.into());
                }
                let socket = self.socket(id)?;
                socket.set_option(option, value).map_err(wrong)?;
            }
            Request::Update { progress, .. } => {
                let socket = self.socket(id)?;
                socket.update(progress).map_err(wrong)?;
                socket.flush();
            }
            Request::Listen {
                local,
                only_v6,
                backlog,
                ..
            } => self.listen(id, &local, only_v6, backlog)?,
            Request::Close {
                tx_produced, abort, ..
            } => {
                let socket = match self.entry(id) {
                    Some(Entry::Listener(listener)) => {
                        listener.close();
                        return Ok(());
                    }
                    _ => self.socket(id)?,
                };
                if socket.close(tx_produced, abort).map_err(wrong)? {
                    let watch =
                        tokio::spawn(watch_linger(Arc::clone(&socket), self.limits.close_timeout));
                    socket.watch(watch.abort_handle());
                }
                socket.flush();
            }
        }
        Ok(())
    }

    fn open(self: &Arc<Self>, request: &Request, queue: &Virtqueue) -> Result<(), Violation> {
        let Request::Open {
            socket: id,
            family,
            kind,
            connection,
            tx,
            rx,
        } = *request
        else {
            return Ok(());
        };
        if kind == Kind::Datagram && !self.negotiated(feature::DATAGRAM) {
            return Err(DecodeError::Kind(kind.code()).into());
        }
        self.check_rings(id, tx, rx)?;
        let mut table = self.table_for_new(id)?;
        let rings = Rings::new(Arc::clone(queue.memory()), tx, rx)
            .map_err(|source| Violation::Ring { id, source })?;
        let outbox = self.outbox();
        let mut accepted = None;
        let socket = match kind {
            Kind::Datagram => Socket::datagram(id, own_address(family), rings, outbox),
            Kind::Stream if connection != 0 && self.negotiated(feature::LISTEN) => {
                let (socket, stream) = accept(id, family, connection, rings, outbox, &self.targets);
                accepted = Some(stream);
                socket
            }
            Kind::Stream => Socket::new(id, family, rings, outbox),
        };
        table.insert(id, Entry::Socket(Arc::clone(&socket)));
        // Events about it may be sent from here on, for which the table must not be locked.
        drop(table);
        self.counters.sockets_opened.add(1);
        match (kind, accepted) {
            (Kind::Datagram, _) => exchange(&socket, &self.targets),
            (Kind::Stream, Some(accepted)) => accepted.start(&socket),
            (Kind::Stream, None) => {}
        }
        Ok(())
    }

    fn check_rings(&self, id: SocketId, tx: Ring, rx: Ring) -> Result<(), Violation> {
        let max = self.limits.max_ring;
        let mut sizes = [tx.size(), rx.size()].into_iter();
        match sizes.find(|size| *size > max) {
            Some(size) => Err(Violation::RingSize { id, size, max }),
            None => Ok(()),
        }
    }

    /// The table, once it is known to have room for a new entry.
    fn table_for_new(
        &self,
        id: SocketId,
    ) -> Result<MutexGuard<'_, HashMap<SocketId, Entry>>, Violation> {
        let max = self.limits.max_sockets;
        if id >= max {
            return Err(Violation::Id { id, max });
        }
        let table = lock(&self.table);
        if table.contains_key(&id) {
            return Err(Violation::InUse(id));
        }
        Ok(table)
    }

    fn listen(
        self: &Arc<Self>,
        id: SocketId,
        local: &Address,
        only_v6: bool,
        backlog: u32,
    ) -> Result<(), Violation> {
        if !self.negotiated(feature::LISTEN) {
            return Err(DecodeError::Operation(op::LISTEN).into());
        }
        match self.entry(id) {
            Some(Entry::Socket(socket)) => socket
                .publish(local.port)
                .map_err(|source| Violation::Socket { id, source })?,
            Some(Entry::Listener(listener)) => listener.set_backlog(backlog),
            None => {
                let mut table = self.table_for_new(id)?;
                let (targets, outbox) = (&self.targets, self.outbox());
                let listener = Listener::start(id, local, only_v6, backlog, targets, outbox);
                table.insert(id, Entry::Listener(listener));
            }
        }
        Ok(())
    }

    fn outbox(self: &Arc<Self>) -> Arc<dyn Outbox> {
        Arc::clone(self) as Arc<dyn Outbox>
    }

    fn entry(&self, id: SocketId) -> Option<Entry> {
        lock(&self.table).get(&id).cloned()
    }

    fn socket(&self, id: SocketId) -> Result<Arc<Socket>, Violation> {
        match self.entry(id) {
            Some(Entry::Socket(socket)) => Ok(socket),
            Some(Entry::Listener(_)) => Err(Violation::Listener(id)),
            None => Err(Violation::Free(id)),
        }
    }

    fn send_marked(&self, queue: &mut Virtqueue) -> Result<u64, QueueError> {
        let mut sent = 0;
        while !lock(&self.marks).is_empty() && queue.offers()? {
            let Some(speaker) = lock(&self.marks).pop_front() else {
                break;
            };
            speaker.marked().store(false, Ordering::Release);
            let Some((event, more)) = speaker.event() else {
                continue;
            };
            if more && !speaker.marked().swap(true, Ordering::AcqRel) {
                lock(&self.marks).push_back(speaker);
            }
            if let Event::Released { socket } = event {
                // The guest may use the id again as soon as it sees the event.
                lock(&self.table).remove(&socket);
            }
            queue.send(&event.encode())?;
            sent += 1;
        }
        Ok(sent)
    }
}

impl Outbox for Device {
    fn add(&self, speaker: Arc<dyn Speaker>) {
        lock(&self.marks).push_back(speaker);
    }

    fn send(&self) {
        self.send_events();
    }

    fn sent(&self, bytes: u64) {
        self.counters.bytes_sent.add(bytes);
    }

    fn received(&self, bytes: u64) {
        self.counters.bytes_received.add(bytes);
    }

    fn violate(&self, id: SocketId, source: SocketViolation) {
        Device::violate(self, &Violation::Socket { id, source });
    }
}

/// Resets a closed socket whose peer takes nothing for `timeout`.
async fn watch_linger(socket: Arc<Socket>, timeout: Duration) {
    let mut seen = None;
    let mut since = Instant::now();
    while let Some(taken) = socket.lingering() {
        if seen != Some(taken) || socket.lingers_behind_writes() {
            seen = Some(taken);
            since = Instant::now();
        } else if since.elapsed() >= timeout {
            socket.abort();
            socket.flush();
            return;
        }
        tokio::time::sleep(timeout / LINGER_CHECKS).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that these locks guard is left half-changed by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
