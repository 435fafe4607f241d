// SPDX-License-Identifier: Apache-2.0
//! Counters of one session.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a VM did since its session started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Statistics {
    /// Sockets open now.
    pub sockets_open: u64,
    /// Sockets opened.
    pub sockets_opened: u64,
    /// Bytes from the guest to its peers.
    pub bytes_sent: u64,
    /// Bytes from peers to the guest.
    pub bytes_received: u64,
    /// Requests handled.
    pub requests: u64,
    /// Events sent.
    pub events: u64,
    /// Notifications by the guest.
    pub kicks: u64,
    /// Notifications to the guest.
    pub interrupts: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) sockets_opened: Counter,
    pub(super) bytes_sent: Counter,
    pub(super) bytes_received: Counter,
    pub(super) requests: Counter,
    pub(super) events: Counter,
    pub(super) kicks: Counter,
    pub(super) interrupts: Counter,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(super) fn snapshot(&self, sockets_open: usize) -> Statistics {
        Statistics {
            sockets_open: sockets_open as u64,
            sockets_opened: self.sockets_opened.get(),
            bytes_sent: self.bytes_sent.get(),
            bytes_received: self.bytes_received.get(),
            requests: self.requests.get(),
            events: self.events.get(),
            kicks: self.kicks.get(),
            interrupts: self.interrupts.get(),
        }
    }
}
