// SPDX-License-Identifier: Apache-2.0
//! One socket of a guest: a fixed record, its state machine (docs/virtio-nexus.md, section 3) and its credit.
//!
//! Three parties meet here, each for the length of a lock: the request queue (what the guest wants), the event queue
//! (what the guest is told), and whoever moves the bytes: a TCP task or a service's stream. What the guest shall learn
//! is noted as news and goes out as one status however many things happened.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use nexus_proto::wire::{Address, Event, Family, Progress, SocketId, Status};
use tokio::sync::Notify;
use vm_memory::VolatileSlice;

use super::rings::Rings;

/// Where a socket's news go, and where its bytes are counted.
pub(crate) trait Outbox: Send + Sync {
    /// The guest is to be told the state of `socket`, as soon as it has room for an event.
    fn announce(&self, socket: &Arc<Socket>);
    /// Bytes went from the guest to the peer.
    fn sent(&self, bytes: u64);
    /// Bytes went from the peer to the guest.
    fn received(&self, bytes: u64);
}

/// What a guest did to one of its sockets that no honest driver does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SocketViolation {
    #[error("a second connect")]
    Reconnect,
    #[error("a request after close")]
    Closed,
    #[error("tx_produced {produced} with {reported} reported as consumed of a ring of {size} bytes")]
    TxOverrun { produced: u64, reported: u64, size: u32 },
    #[error("tx_produced went back from {from} to {to}")]
    TxBack { from: u64, to: u64 },
    #[error("tx_produced moved from {from} to {to} after the shutdown that made it final")]
    TxAfterShutdown { from: u64, to: u64 },
    #[error("rx_consumed {consumed} exceeds rx_produced {produced}")]
    RxOverrun { consumed: u64, produced: u64 },
    #[error("rx_consumed went back from {from} to {to}")]
    RxBack { from: u64, to: u64 },
}

/// What became of an attempt to move bytes.
#[derive(Debug)]
pub(super) enum Moved {
    /// So many.
    Bytes,
    /// None now: the ring offers nothing.
    Idle,
    /// None now: the peer would block.
    Blocked,
    /// This direction is over and its last byte has moved.
    Finished,
    /// The guest takes nothing more: what the peer sends is to be dropped.
    Discard,
    /// The connection broke.
    Failed(io::Error),
    /// The socket is to be reset: the guest wants it, or the device is gone. There are no rings any more.
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    Connecting,
    Connected,
    Failed(u16),
}

/// Who moves the bytes of a socket and so releases it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mover {
    /// Nobody: never connected, or over.
    Nobody,
    /// A TCP task, which releases when it has closed the connection.
    Tcp,
    /// A service, which cannot be relied on to come back; the socket is released without it.
    Service,
}

#[derive(Debug)]
pub(super) struct State {
    /// Gone when the socket is released or its device reset: see `rings`.
    pub(super) rings: Option<Rings>,
    phase: Phase,
    mover: Mover,
    connected: bool,
    local: Address,
    tx_produced: u64,
    tx_consumed: u64,
    tx_reported: u64,
    rx_produced: u64,
    rx_consumed: u64,
    rx_eof: bool,
    shut_wr: bool,
    shut_rd: bool,
    /// `Some(abort)` once the guest closed.
    close: Option<bool>,
    released: bool,
    news: bool,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

/// One socket of a guest.
pub(crate) struct Socket {
    id: SocketId,
    family: Family,
    outbox: Arc<dyn Outbox>,
    /// Whether the socket waits in the outbox; kept by the outbox.
    pub(crate) marked: AtomicBool,
    wake: Notify,
    state: Mutex<State>,
}

impl Socket {
    pub(crate) fn new(id: SocketId, family: Family, rings: Rings, outbox: Arc<dyn Outbox>) -> Arc<Self> {
        Arc::new(Self {
            id,
            family,
            outbox,
            marked: AtomicBool::new(false),
            wake: Notify::new(),
            state: Mutex::new(State {
                rings: Some(rings),
                phase: Phase::Open,
                mover: Mover::Nobody,
                connected: false,
                local: Address::unspecified(family),
                tx_produced: 0,
                tx_consumed: 0,
                tx_reported: 0,
                rx_produced: 0,
                rx_consumed: 0,
                rx_eof: false,
                shut_wr: false,
                shut_rd: false,
                close: None,
                released: false,
                news: false,
                reader: None,
                writer: None,
            }),
        })
    }

    pub(crate) fn family(&self) -> Family {
        self.family
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // The state is sound between any two statements, so a panic elsewhere under the lock does no harm to it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- The guest's side -------------------------------------------------------------------------------------

    /// The guest asks to connect. The caller then starts the connection.
    pub(crate) fn begin_connect(&self) -> Result<(), SocketViolation> {
        let mut state = self.lock();
        if state.close.is_some() {
            return Err(SocketViolation::Closed);
        }
        if state.phase != Phase::Open {
            return Err(SocketViolation::Reconnect);
        }
        state.phase = Phase::Connecting;
        Ok(())
    }

    /// The guest reports progress.
    pub(crate) fn update(&self, progress: Progress) -> Result<(), SocketViolation> {
        let mut state = self.lock();
        if state.close.is_some() {
            return Err(SocketViolation::Closed);
        }
        state.produce(progress.tx_produced)?;
        state.consume(progress.rx_consumed)?;
        state.shut_wr |= progress.shut_wr;
        state.shut_rd |= progress.shut_rd;
        self.stir(&mut state);
        Ok(())
    }

    /// The guest closes. Returns whether bytes are left that the peer has yet to take.
    pub(crate) fn close(&self, tx_produced: u64, abort: bool) -> Result<bool, SocketViolation> {
        let mut state = self.lock();
        if state.close.is_some() {
            return Err(SocketViolation::Closed);
        }
        state.produce(tx_produced)?;
        state.close = Some(abort);
        state.release_if_over();
        self.stir(&mut state);
        Ok(!abort && !state.released && state.pending() > 0)
    }

    /// Position up to which the peer took the guest's bytes while the socket lingers, `None` when it no longer does.
    pub(crate) fn lingering(&self) -> Option<u64> {
        let state = self.lock();
        let lingers = state.close == Some(false) && state.rings.is_some();
        lingers.then_some(state.tx_consumed)
    }

    /// Turns a close that waits for the peer into a reset.
    pub(crate) fn abort(&self) {
        let mut state = self.lock();
        state.close = Some(true);
        state.release_if_over();
        self.stir(&mut state);
    }

    /// Takes the rings away for good: the device is reset or ends. No guest memory is touched on behalf of this socket
    /// after this returns, and no event is sent.
    pub(crate) fn detach(&self) {
        let mut state = self.lock();
        state.rings = None;
        state.news = false;
        self.stir(&mut state);
    }

    /// What the guest is to be told now, if anything. What it says counts as reported.
    pub(crate) fn event(&self) -> Option<Event> {
        let mut state = self.lock();
        let socket = self.id;
        if state.released {
            // Exactly once: `news` was set once by the release.
            return std::mem::take(&mut state.news).then_some(Event::Released { socket });
        }
        state.news = false;
        if state.close.is_some() || state.rings.is_none() {
            return None;
        }
        state.tx_reported = state.tx_consumed;
        let status = Status {
            connected: state.connected,
            rx_eof: state.rx_eof,
            error: match state.phase {
                Phase::Failed(error) => Some(error),
                _ => None,
            },
            rx_produced: state.rx_produced,
            tx_consumed: state.tx_consumed,
            local: state.local,
        };
        Some(Event::Status { socket, status })
    }

    /// Passes on what the guest should know. To be called after each bout of changes, without the lock.
    pub(crate) fn flush(self: &Arc<Self>) {
        if self.lock().news {
            self.outbox.announce(self);
        }
    }

    // ---- The mover's side -------------------------------------------------------------------------------------

    /// `mover` takes charge of the socket.
    pub(super) fn attach(&self, mover: Mover) {
        self.lock().mover = mover;
    }

    /// The connection stands.
    pub(super) fn established(&self, local: Address) {
        let mut state = self.lock();
        if state.phase == Phase::Connecting {
            state.phase = Phase::Connected;
            state.connected = true;
            state.local = local;
            state.news = true;
        }
    }

    /// The mover is done, with an error if the connection broke, and holds nothing of it any more.
    pub(super) fn finish(self: &Arc<Self>, error: Option<u16>) {
        {
            let mut state = self.lock();
            state.mover = Mover::Nobody;
            if let (Some(error), None) = (error, state.close) {
                state.fail(error);
            }
            state.release_if_over();
        }
        self.flush();
    }

    /// A service dropped its stream: end of file for the guest, and a reset if it left bytes unread, as Linux does.
    pub(super) fn hang_up(self: &Arc<Self>) {
        {
            let mut state = self.lock();
            state.eof();
            if state.pending() > 0 && state.close.is_none() {
                state.fail(errno(libc::ECONNRESET));
            }
        }
        self.finish(None);
    }

    /// Has `io` take bytes from the tx ring, at most `limit`.
    pub(super) fn transmit(
        &self,
        limit: u32,
        io: impl FnOnce([VolatileSlice<'_>; 2]) -> io::Result<usize>,
    ) -> Moved {
        let mut state = self.lock();
        let moved = state.transmit(limit, io);
        if let Ok(bytes) = moved {
            self.outbox.sent(bytes);
        }
        moved.map_or_else(|moved| moved, |_| Moved::Bytes)
    }

    /// Has `io` put bytes into the rx ring, at most `limit`. No bytes mean end of file.
    pub(super) fn receive(
        &self,
        limit: u32,
        io: impl FnOnce([VolatileSlice<'_>; 2]) -> io::Result<usize>,
    ) -> Moved {
        let mut state = self.lock();
        let moved = state.receive(limit, io);
        if let Ok(bytes) = moved {
            self.outbox.received(bytes);
        }
        moved.map_or_else(|moved| moved, |_| Moved::Bytes)
    }

    /// The peer sends nothing more.
    pub(super) fn eof(&self) {
        self.lock().eof();
    }

    /// Whether the guest closed the socket or it is gone, so that a connection attempt is of use to nobody.
    pub(super) fn abandoned(&self) -> bool {
        let state = self.lock();
        match state.close {
            _ if state.rings.is_none() => true,
            Some(abort) => abort || state.pending() == 0,
            None => false,
        }
    }

    /// Whether the guest closed the socket.
    pub(super) fn closing(&self) -> bool {
        self.lock().close.is_some()
    }

    /// Whether the device is gone, as opposed to the socket released.
    fn detached(&self) -> bool {
        let state = self.lock();
        state.rings.is_none() && !state.released
    }

    /// Resolves after the guest's side changed something since the last call. For one waiter.
    pub(super) async fn changed(&self) {
        self.wake.notified().await;
    }

    /// Resolves when the device is gone.
    pub(super) async fn lost(&self) {
        while !self.detached() {
            self.changed().await;
        }
    }

    fn stir(&self, state: &mut State) {
        self.wake.notify_one();
        for waker in [state.reader.take(), state.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket")
            .field("id", &self.id)
            .field("marked", &self.marked.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

impl State {
    /// Bytes that the guest gave and the peer has not taken.
    pub(super) fn pending(&self) -> u64 {
        self.tx_produced - self.tx_consumed
    }

    /// Whether [`State::transmit`] would have something to say.
    pub(super) fn readable(&self) -> bool {
        self.rings.is_none() || self.pending() > 0 || self.tx_final()
    }

    /// Whether [`State::receive`] would have something to say.
    pub(super) fn writable(&self) -> bool {
        match &self.rings {
            Some(rings) if !self.shut_rd && !self.rx_eof && self.close.is_none() => {
                rings.rx.credit(self.rx_produced, self.rx_consumed) != Some(0)
            }
            _ => true,
        }
    }

    /// Whether the guest's last byte is in the tx ring, or taken.
    fn tx_final(&self) -> bool {
        self.shut_wr || self.close.is_some()
    }

    fn produce(&mut self, to: u64) -> Result<(), SocketViolation> {
        let from = self.tx_produced;
        if to < from {
            return Err(SocketViolation::TxBack { from, to });
        }
        if to > from && self.shut_wr {
            return Err(SocketViolation::TxAfterShutdown { from, to });
        }
        let Some(rings) = &self.rings else {
            return Ok(());
        };
        if rings.tx.used(to, self.tx_reported).is_none() {
            return Err(SocketViolation::TxOverrun {
                produced: to,
                reported: self.tx_reported,
                size: rings.tx.size(),
            });
        }
        self.tx_produced = to;
        if to > from && self.phase == Phase::Connected && self.mover == Mover::Nobody {
            // Whoever took the guest's bytes is gone, as after a peer's reset.
            self.fail(errno(libc::EPIPE));
        }
        Ok(())
    }

    fn consume(&mut self, to: u64) -> Result<(), SocketViolation> {
        if to < self.rx_consumed {
            let from = self.rx_consumed;
            return Err(SocketViolation::RxBack { from, to });
        }
        if to > self.rx_produced {
            return Err(SocketViolation::RxOverrun {
                consumed: to,
                produced: self.rx_produced,
            });
        }
        self.rx_consumed = to;
        Ok(())
    }

    fn fail(&mut self, error: u16) {
        if !matches!(self.phase, Phase::Failed(_)) {
            self.phase = Phase::Failed(error);
            self.news = true;
        }
    }

    fn eof(&mut self) {
        if !self.rx_eof && self.rings.is_some() {
            self.rx_eof = true;
            self.news = true;
        }
    }

    /// Releases a closed socket for which there is nothing left to do or to wait for.
    pub(super) fn release_if_over(&mut self) {
        let over = match (self.close, self.mover) {
            (None, _) | (_, Mover::Tcp) => false,
            (_, Mover::Nobody) | (Some(true), Mover::Service) => true,
            (Some(false), Mover::Service) => self.pending() == 0,
        };
        if over && self.rings.take().is_some() {
            self.released = true;
            self.news = true;
        }
    }

    /// See [`Socket::transmit`]; `Ok` says how many bytes moved.
    pub(super) fn transmit(
        &mut self,
        limit: u32,
        io: impl FnOnce([VolatileSlice<'_>; 2]) -> io::Result<usize>,
    ) -> Result<u64, Moved> {
        let rings = match &self.rings {
            Some(rings) if self.close != Some(true) => rings,
            // Only a service outlives the release, and has taken every byte then.
            None if self.released && self.close == Some(false) => return Err(Moved::Finished),
            _ => return Err(Moved::Gone),
        };
        let used = rings.tx.used(self.tx_produced, self.tx_consumed).unwrap_or(0);
        if used == 0 {
            return Err(if self.tx_final() { Moved::Finished } else { Moved::Idle });
        }
        let length = used.min(limit);
        let bytes = classify(io(rings.tx_runs(self.tx_consumed, length)))?.min(u64::from(length));
        self.tx_consumed += bytes;
        self.news |= rings.tx.report_due(self.tx_consumed, self.tx_reported);
        self.release_if_over();
        Ok(bytes)
    }

    /// See [`Socket::receive`]; `Ok` says how many bytes moved.
    pub(super) fn receive(
        &mut self,
        limit: u32,
        io: impl FnOnce([VolatileSlice<'_>; 2]) -> io::Result<usize>,
    ) -> Result<u64, Moved> {
        let rings = match &self.rings {
            Some(rings) if self.close != Some(true) => rings,
            _ => return Err(Moved::Gone),
        };
        if self.rx_eof {
            return Err(Moved::Finished);
        }
        if self.shut_rd || self.close.is_some() {
            return Err(Moved::Discard);
        }
        let credit = rings.rx.credit(self.rx_produced, self.rx_consumed).unwrap_or(0);
        if credit == 0 {
            return Err(Moved::Idle);
        }
        let length = credit.min(limit);
        let bytes = classify(io(rings.rx_runs(self.rx_produced, length)))?.min(u64::from(length));
        if bytes == 0 {
            self.eof();
            return Err(Moved::Finished);
        }
        self.rx_produced += bytes;
        self.news = true;
        Ok(bytes)
    }
}

fn classify(result: io::Result<usize>) -> Result<u64, Moved> {
    match result {
        Ok(bytes) => Ok(bytes as u64),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(Moved::Blocked),
        Err(error) => Err(Moved::Failed(error)),
    }
}

/// An error number of Linux as it is on the wire.
pub(super) const fn errno(code: i32) -> u16 {
    // Linux keeps error numbers below 4096 (include/linux/err.h, MAX_ERRNO).
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 1 to 4095")]
    let code = code as u16;
    code
}
