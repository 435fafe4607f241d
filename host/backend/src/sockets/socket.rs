// SPDX-License-Identifier: Apache-2.0
//! One socket of a guest: a fixed record, and the lock around its state.
//!
//! Three parties meet here, each for the length of a lock: the request queue (what the guest wants), the event queue
//! (what the guest is told), and whoever moves the bytes: a TCP task or a service's stream. What the guest shall learn
//! is noted as news and goes out as one status however many things happened.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nexus_proto::wire::{Address, Event, Family, Progress, Record, SocketId, SocketOption};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use vm_memory::VolatileSlice;

use super::rings::Rings;
use super::state::{Moved, Mover, SocketViolation, State, Step, Urgency};
use crate::writeback::Writeback;

/// Whoever has news for the guest.
pub(crate) trait Speaker: Send + Sync + std::fmt::Debug {
    /// Whether it waits in the outbox. Cleared before its event is asked for, so that later news mark it again.
    fn marked(&self) -> &AtomicBool;
    /// What the guest is to be told now, if anything, and whether there is more. What it says counts as reported.
    fn event(&self) -> Option<(Event, bool)>;
}

/// Where a socket's news go, and where its bytes are counted.
pub(crate) trait Outbox: Send + Sync {
    /// Takes in somebody that has news and has just marked itself, so that it is there only once.
    fn add(&self, speaker: Arc<dyn Speaker>);
    /// Tells the guest what is noted, as far as it has room for events.
    fn send(&self);
    /// Bytes went from the guest to the peer.
    fn sent(&self, bytes: u64);
    /// Bytes went from the peer to the guest.
    fn received(&self, bytes: u64);
    /// The guest broke the protocol with what it wrote into a ring.
    fn violate(&self, socket: SocketId, violation: SocketViolation);
}

/// One socket of a guest.
pub(crate) struct Socket {
    id: SocketId,
    family: Family,
    outbox: Arc<dyn Outbox>,
    /// Whether the socket waits in the outbox.
    marked: AtomicBool,
    wake: Notify,
    state: Mutex<State>,
}

impl Socket {
    pub(crate) fn new(
        id: SocketId,
        family: Family,
        rings: Rings,
        outbox: Arc<dyn Outbox>,
    ) -> Arc<Self> {
        Self::with(id, family, outbox, State::new(rings, family))
    }

    /// A datagram socket, whose own address the guest shall see as `local`.
    pub(crate) fn datagram(
        id: SocketId,
        local: Address,
        rings: Rings,
        outbox: Arc<dyn Outbox>,
    ) -> Arc<Self> {
        Self::with(id, local.family(), outbox, State::datagram(rings, local))
    }

    /// A socket for a connection that has arrived, at the guest's address `local`.
    pub(crate) fn accepted(
        id: SocketId,
        local: Address,
        rings: Rings,
        outbox: Arc<dyn Outbox>,
    ) -> Arc<Self> {
        let family = local.family();
        Self::with(id, family, outbox, State::accepted(rings, local))
    }

    fn with(id: SocketId, family: Family, outbox: Arc<dyn Outbox>, state: State) -> Arc<Self> {
        Arc::new(Self {
            id,
            family,
            outbox,
            marked: AtomicBool::new(false),
            wake: Notify::new(),
            state: Mutex::new(state),
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
        self.lock().begin_connect()
    }

    /// The guest reports progress.
    pub(crate) fn update(&self, progress: Progress) -> Result<(), SocketViolation> {
        let mut state = self.lock();
        state.update(progress)?;
        let sent = state.transmit_at_once();
        if sent > 0 {
            self.outbox.sent(sent);
        }
        if state.concerns_mover() {
            self.stir(&mut state);
        }
        Ok(())
    }

    /// The guest sets an option of the host's socket.
    pub(crate) fn set_option(
        &self,
        option: SocketOption,
        value: i32,
    ) -> Result<(), SocketViolation> {
        let mut state = self.lock();
        state.set_option(option, value)?;
        self.stir(&mut state);
        Ok(())
    }

    /// The guest has a datagram socket receive at its port.
    pub(crate) fn publish(&self, port: u16) -> Result<(), SocketViolation> {
        let mut state = self.lock();
        state.publish(port)?;
        self.stir(&mut state);
        Ok(())
    }

    /// The guest closes. Returns whether bytes are left that the peer has yet to take.
    pub(crate) fn close(&self, tx_produced: u64, abort: bool) -> Result<bool, SocketViolation> {
        let mut state = self.lock();
        state.close(tx_produced, abort)?;
        self.stir(&mut state);
        Ok(state.lingering().is_some())
    }

    /// Position up to which the peer took the guest's bytes while a close waits for it, `None` when none does.
    pub(crate) fn lingering(&self) -> Option<u64> {
        self.lock().lingering()
    }

    /// Whether a close waits for the guest's own deferred writes, and not for the peer.
    pub(crate) fn lingers_behind_writes(&self) -> bool {
        self.lock().lingers_behind_writes()
    }

    /// Has `watch` end with the wait, so that no task outlives the socket that it looks after.
    pub(crate) fn watch(&self, watch: AbortHandle) {
        self.lock().watch(watch);
    }

    /// Turns a close that waits for the peer into a reset.
    pub(crate) fn abort(&self) {
        let mut state = self.lock();
        state.abort();
        self.stir(&mut state);
    }

    /// Takes the rings away for good: the device is reset or ends. No guest memory is touched on behalf of this socket
    /// after this returns, and no event is sent.
    pub(crate) fn detach(&self) {
        let mut state = self.lock();
        state.detach();
        self.stir(&mut state);
    }

    /// Passes on what the guest should know. To be called after each bout of changes, without the lock.
    pub(crate) fn flush(self: &Arc<Self>) {
        let state = self.lock();
        if state.has_news() {
            // Under the lock, so that nobody is marked after a detach.
            if !self.marked.swap(true, Ordering::AcqRel) {
                self.outbox.add(Arc::clone(self) as Arc<dyn Speaker>);
            }
            drop(state);
            self.outbox.send();
        }
    }

    // ---- The mover's side -------------------------------------------------------------------------------------

    /// `mover` takes charge of the socket.
    pub(super) fn attach(&self, mover: Mover) {
        self.lock().attach(mover);
    }

    /// Has what the guest sends wait at `gate`.
    pub(super) fn put_behind(&self, gate: Arc<Writeback>) {
        self.lock().put_behind(gate);
    }

    /// Where small writes of the guest go at once; nowhere any more, if it is none.
    pub(super) fn set_shortcut(&self, shortcut: Option<Arc<TcpStream>>) {
        self.lock().set_shortcut(shortcut);
    }

    /// Options that were set since the last call, each with its last value.
    pub(super) fn take_options(&self) -> Vec<(SocketOption, i32)> {
        self.lock().take_options()
    }

    /// The port at which the guest wants to receive, once.
    pub(super) fn take_published(&self) -> Option<u16> {
        self.lock().take_published()
    }

    /// The connection stands.
    pub(super) fn established(&self, local: Address) {
        self.lock().established(local);
    }

    /// The mover is done, with an error if the connection broke, and holds nothing of it any more.
    pub(super) fn finish(self: &Arc<Self>, error: Option<u16>) {
        self.lock().finish(error);
        self.flush();
    }

    /// A service dropped its stream: end of file for the guest, and a reset if it left bytes unread, as Linux does.
    pub(super) fn hang_up(self: &Arc<Self>) {
        self.lock().hang_up();
        self.flush();
    }

    /// Has `io` take bytes from the tx ring, at most `limit`, all of them urgent or none.
    pub(super) fn transmit(
        &self,
        limit: u32,
        io: impl FnOnce([VolatileSlice<'_>; 2], Urgency) -> io::Result<usize>,
    ) -> Moved {
        let moved = self.lock().transmit(limit, io);
        counted(moved, |bytes| self.outbox.sent(bytes), Moved::Bytes)
    }

    /// Has `io` put bytes into the rx ring, at most `limit`. No bytes mean end of file.
    pub(super) fn receive(
        &self,
        limit: u32,
        io: impl FnOnce([VolatileSlice<'_>; 2]) -> io::Result<usize>,
    ) -> Moved {
        let moved = self.lock().receive(limit, io);
        counted(moved, |bytes| self.outbox.received(bytes), Moved::Bytes)
    }

    /// Has `send` take the next datagram of the tx ring, whatever becomes of it, unless it would block.
    pub(super) fn send_record(
        &self,
        send: impl FnOnce(&Record, [VolatileSlice<'_>; 2]) -> io::Result<()>,
    ) -> Step {
        let moved = self.lock().send_record(send);
        counted(moved, |bytes| self.outbox.sent(bytes), Step::Done)
    }

    /// Has `fill` put up to `length` bytes of a datagram into the rx ring, or drop it by giving none.
    pub(super) fn receive_record(
        &self,
        length: u32,
        fill: impl FnOnce([VolatileSlice<'_>; 2]) -> io::Result<Option<Record>>,
    ) -> Step {
        let moved = self.lock().receive_record(length, fill);
        counted(moved, |bytes| self.outbox.received(bytes), Step::Done)
    }

    /// The guest broke the protocol with what it wrote into a ring.
    pub(super) fn violate(&self, violation: SocketViolation) {
        self.outbox.violate(self.id, violation);
    }

    /// The peer sends nothing more.
    pub(super) fn eof(&self) {
        self.lock().eof();
    }

    /// Whether the guest closed the socket or it is gone, so that a connection attempt is of use to nobody.
    pub(super) fn abandoned(&self) -> bool {
        self.lock().abandoned()
    }

    /// Whether the guest closed the socket.
    pub(super) fn closing(&self) -> bool {
        self.lock().closing()
    }

    /// Resolves after the guest's side changed something since the last call. For one waiter.
    pub(super) async fn changed(&self) {
        self.wake.notified().await;
    }

    /// Resolves when the device is gone.
    pub(super) async fn lost(&self) {
        while !self.lock().detached() {
            self.changed().await;
        }
    }

    fn stir(&self, state: &mut State) {
        self.wake.notify_one();
        state.wake();
    }
}

/// Counts the bytes that moved, if any did, and says what became of the attempt.
fn counted<T>(moved: Result<u64, T>, count: impl FnOnce(u64), done: T) -> T {
    match moved {
        Ok(bytes) => {
            count(bytes);
            done
        }
        Err(otherwise) => otherwise,
    }
}

impl Speaker for Socket {
    fn marked(&self) -> &AtomicBool {
        &self.marked
    }

    fn event(&self) -> Option<(Event, bool)> {
        let event = self.lock().event(self.id)?;
        // One status says all.
        Some((event, false))
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
