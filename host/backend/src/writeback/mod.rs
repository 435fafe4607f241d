// SPDX-License-Identifier: Apache-2.0
//! Writes that a guest is told of as done before they are, and everything that has to wait for them: external synchrony.
//!
//! A deferred write is answered once its bytes are here. From then on nothing leaves the host for that VM that was asked for
//! after the answer: no other call, no byte on a socket, no response. So nobody outside can tell a deferred write from a slow
//! one, not even by the order in which writes appear: a later one goes out when the earlier ones are durable. Writes that the
//! guest has under way at the same time stay independent of each other, as they were.
//!
//! Each answer to a deferred write has a number. A [`Point`] is how many there were when something was asked for, and so what
//! it has to wait for. A write that fails can't be taken back from the guest, which acts on it; nothing of that VM goes out any
//! more, and whoever runs it ends it.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// What room for bytes is counted in.
const GRAIN: u64 = 1024;

/// A place in the order of a VM's doings: after so many answers to deferred writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point(u64);

/// A write of which the guest was told that it was done was not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a write that the function was told of as done has failed: {0}")]
pub struct WriteFailed(pub Arc<str>);

/// Room for the bytes of a write, until it is durable or given up.
#[derive(Debug)]
pub struct Room(#[expect(dead_code, reason = "held for its end")] OwnedSemaphorePermit);

/// The deferred writes of one VM.
pub struct Writeback {
    room: Arc<Semaphore>,
    /// How much room there is in all, in [`GRAIN`]s.
    grains: u32,
    /// Whether nothing has to wait: a look that costs nothing.
    clear: AtomicBool,
    /// How many wait until nothing has to.
    waiting: AtomicUsize,
    order: Mutex<Order>,
    /// A write has ended.
    progress: Notify,
}

#[derive(Debug, Default)]
struct Order {
    answered: u64,
    /// Those of them that are not durable yet.
    pending: BTreeSet<u64>,
    failure: Option<WriteFailed>,
}

impl Order {
    /// Whether what stands at a point may leave the host, or never may; None if nobody knows yet.
    fn verdict(&self, point: Point) -> Option<Result<(), WriteFailed>> {
        if let Some(failure) = &self.failure {
            return Some(Err(failure.clone()));
        }
        let waits = self.pending.first().is_some_and(|first| *first < point.0);
        (!waits).then_some(Ok(()))
    }
}

impl Writeback {
    /// Lets writes be deferred while all that are under way hold at most `bytes`. With zero, none is.
    pub fn new(bytes: u64) -> Arc<Self> {
        let grains = u32::try_from(bytes / GRAIN).unwrap_or(u32::MAX >> 4);
        Arc::new(Self {
            room: Arc::new(Semaphore::new(grains as usize)),
            grains,
            clear: AtomicBool::new(true),
            waiting: AtomicUsize::new(0),
            order: Mutex::default(),
            progress: Notify::new(),
        })
    }

    /// Defers nothing.
    pub fn off() -> Arc<Self> {
        Self::new(0)
    }

    /// Room for a write of `bytes`; none if it has to be done while the guest waits.
    pub fn room(&self, bytes: u64) -> Option<Room> {
        let grains = u32::try_from(bytes / GRAIN + 1).ok()?;
        let held_up = self.waiting.load(Ordering::Acquire) > 0;
        if grains > self.grains || held_up || self.order().failure.is_some() {
            return None;
        }
        let room = Arc::clone(&self.room).try_acquire_many_owned(grains);
        room.ok().map(Room)
    }

    /// Where a doing of the guest stands that is asked for now.
    pub fn point(&self) -> Point {
        Point(self.order().answered)
    }

    /// Whether nothing has to wait.
    pub fn is_clear(&self) -> bool {
        self.clear.load(Ordering::Acquire)
    }

    /// Resolves when what stands at `point` may leave the host.
    ///
    /// # Errors
    /// If it never may, since a write has failed.
    pub async fn settled(&self, point: Point) -> Result<(), WriteFailed> {
        if self.is_clear() {
            return Ok(());
        }
        self.until(|order| order.verdict(point)).await
    }

    /// Resolves when nothing has to wait any more; never, if a write has failed. Meanwhile no other write is deferred, so that
    /// it comes to that.
    pub async fn cleared(&self) {
        if self.is_clear() {
            return;
        }
        let _waiting = Waiting::new(&self.waiting);
        self.until(|_| self.is_clear().then_some(())).await;
    }

    /// Resolves when a write has failed.
    pub async fn failed(&self) -> WriteFailed {
        self.until(|order| order.failure.clone()).await
    }

    /// Counts a write, which was asked for at `point`, as answered from now on, and does it when its turn comes. `write` ends
    /// when the write is durable, or with the reason why it never will be. The task goes on when the VM is gone.
    pub fn defer<W>(self: &Arc<Self>, room: Room, point: Point, write: W)
    where
        W: Future<Output = Result<(), String>> + Send + 'static,
    {
        let number = {
            let mut order = self.order();
            let number = order.answered;
            order.answered += 1;
            order.pending.insert(number);
            self.clear.store(false, Ordering::Release);
            number
        };
        let pending = Pending {
            writeback: Arc::clone(self),
            number,
            _room: room,
        };
        tokio::spawn(async move {
            let outcome = match pending.writeback.settled(point).await {
                Ok(()) => write.await,
                Err(WriteFailed(earlier)) => Err(format!("not begun, since before it: {earlier}")),
            };
            pending.end(outcome);
        });
    }

    /// Waits for `look` to see something.
    async fn until<T>(&self, mut look: impl FnMut(&Order) -> Option<T>) -> T {
        loop {
            let ended = self.progress.notified();
            // A write that ends from here on is noticed: `notified` counts from its making.
            if let Some(seen) = look(&self.order()) {
                return seen;
            }
            ended.await;
        }
    }

    fn order(&self) -> MutexGuard<'_, Order> {
        // No change can stop half way.
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Writeback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writeback")
            .field("order", &*self.order())
            .finish_non_exhaustive()
    }
}

/// Counts somebody who waits, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::AcqRel);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A write that was answered.
struct Pending {
    writeback: Arc<Writeback>,
    number: u64,
    _room: Room,
}

impl Pending {
    fn end(&self, outcome: Result<(), String>) {
        let writeback = &self.writeback;
        let mut order = writeback.order();
        order.pending.remove(&self.number);
        if let (Err(reason), None) = (outcome, &order.failure) {
            order.failure = Some(WriteFailed(reason.into()));
        }
        // Under the lock: a write that is answered meanwhile must not be taken for durable.
        if order.pending.is_empty() && order.failure.is_none() {
            writeback.clear.store(true, Ordering::Release);
        }
        drop(order);
        writeback.progress.notify_waiters();
    }
}

impl Drop for Pending {
    /// Nobody does it any more: the process is ending, or the write's code has panicked.
    fn drop(&mut self) {
        if self.writeback.order().pending.contains(&self.number) {
            self.end(Err("it was given up".into()));
        }
    }
}
