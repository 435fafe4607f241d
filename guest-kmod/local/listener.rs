// SPDX-License-Identifier: GPL-2.0-only
//! A listener: connections that wait for `accept()`.
//!
//! As many as the backlog says are established without it; more wait unestablished, as if their SYN were being
//! repeated, until there is room.
//!
//! The listener's lock is taken within a socket's (2 in the order of `socket/stream/endpoint.rs`), and a pair's within it.

use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc, SpinLock,
    },
};

use super::pair::Pair;
use crate::ffi::{Shares, Waker};
use crate::proto::Family;
use crate::socket::events;
use crate::socket::stream::endpoint::Endpoint;

/// A connection at a listener.
pub(crate) struct Incoming {
    /// The listener's end.
    pub(crate) endpoint: Arc<Endpoint>,
    /// What joins it with the client's.
    pair: Arc<Pair>,
}

struct Queue {
    /// Established, to be accepted.
    ready: KVec<Incoming>,
    /// To be established when there is room.
    waiting: KVec<Incoming>,
    /// As many may be ready, and one more, as in Linux.
    backlog: u32,
    /// Whom to wake. `None` when it no longer listens.
    waker: Option<Waker>,
}

/// The queue of a listening socket.
#[pin_data]
pub(crate) struct Listener {
    family: Family,
    /// What it wants at most in a segment (`TCP_MAXSEG`), or zero.
    segment_limit: Atomic<u32>,
    #[pin]
    queue: SpinLock<Queue>,
}

impl Listener {
    /// A listener that wakes through `waker`.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if memory is short.
    pub(crate) fn new(
        family: Family,
        backlog: u32,
        waker: Waker,
    ) -> Result<Arc<Self>> {
        let queue = Queue {
            ready: KVec::new(),
            waiting: KVec::new(),
            backlog,
            waker: Some(waker),
        };
        Arc::pin_init(
            pin_init!(Self {
                family,
                segment_limit: Atomic::new(0),
                queue <- new_spinlock!(queue, "nexus_listener"),
            }),
            GFP_KERNEL,
        )
    }

    /// Family of the sockets that it accepts.
    pub(crate) fn family(&self) -> Family {
        self.family
    }

    /// What a socket that it accepts gives to the room of a connection; `None` if it no longer listens.
    pub(crate) fn shares(&self) -> Option<Shares> {
        self.queue.lock().waker.as_ref().map(Waker::shares)
    }

    /// Sets what it wants at most in a segment.
    pub(crate) fn limit_segments(&self, most: u32) {
        self.segment_limit.store(most, Relaxed);
    }

    /// What it wants at most in a segment, or zero.
    pub(crate) fn segment_limit(&self) -> u32 {
        self.segment_limit.load(Relaxed)
    }

    /// Changes the backlog.
    pub(crate) fn set_backlog(&self, backlog: u32) {
        let mut queue = self.queue.lock();
        queue.backlog = backlog;
        queue.establish();
    }

    /// Takes a connection in, and establishes it if there is room.
    ///
    /// # Errors
    ///
    /// `ECONNREFUSED` if it no longer listens, `ENOBUFS` if memory is short.
    pub(crate) fn offer(&self, endpoint: Arc<Endpoint>, pair: Arc<Pair>) -> Result {
        let mut queue = self.queue.lock();
        if queue.waker.is_none() {
            return Err(ECONNREFUSED);
        }
        queue
            .waiting
            .push(Incoming { endpoint, pair }, GFP_ATOMIC)
            .map_err(|_| ENOBUFS)?;
        queue.establish();
        Ok(())
    }

    /// Takes the oldest established connection out.
    ///
    /// # Errors
    ///
    /// `EAGAIN` if there is none, `EINVAL` if it no longer listens.
    pub(crate) fn accept(&self) -> Result<Arc<Endpoint>> {
        let mut queue = self.queue.lock();
        if queue.waker.is_none() {
            return Err(EINVAL);
        }
        let incoming = queue.ready.remove(0).map_err(|_| EAGAIN)?;
        queue.establish();
        drop(queue);
        Ok(incoming.endpoint)
    }

    /// Whether a connection can be accepted.
    pub(crate) fn has_ready(&self) -> bool {
        !self.queue.lock().ready.is_empty()
    }

    /// Whether [`Self::accept`] would say something else than to wait.
    pub(crate) fn is_settled(&self) -> bool {
        let queue = self.queue.lock();
        !queue.ready.is_empty() || queue.waker.is_none()
    }

    /// Stops: resets what nobody accepted, refuses what was not established.
    pub(crate) fn close(&self) {
        let (ready, waiting) = {
            let mut queue = self.queue.lock();
            queue.waker = None;
            (
                core::mem::replace(&mut queue.ready, KVec::new()),
                core::mem::replace(&mut queue.waiting, KVec::new()),
            )
        };
        for incoming in waiting {
            incoming.pair.refuse();
        }
        for incoming in ready {
            incoming.endpoint.close(true);
        }
    }
}

impl Queue {
    /// Establishes those that wait, as far as there is room.
    fn establish(&mut self) {
        while self.ready.len() as u64 <= u64::from(self.backlog) {
            let Ok(incoming) = self.waiting.remove(0) else {
                return;
            };
            let has_place = self.ready.reserve(1, GFP_ATOMIC).is_ok();
            if !has_place || !incoming.pair.establish() {
                // The client has given up, or finds the connection reset for want of memory.
                incoming.endpoint.close(true);
                continue;
            }
            // Within the capacity.
            let _ = self.ready.push(incoming, GFP_ATOMIC);
            if let Some(waker) = &self.waker {
                waker.wake(events::READABLE);
            }
        }
    }
}
