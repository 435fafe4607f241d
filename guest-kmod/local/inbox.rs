// SPDX-License-Identifier: GPL-2.0-only
//! Datagrams that wait for their receiver.
//!
//! The inbox's lock is taken within a socket's (2 in the order of `socket/stream/endpoint.rs`) and the table of ports',
//! and nothing within it. It is never taken in interrupts.

use kernel::{
    bindings, new_spinlock,
    prelude::*,
    sync::{Arc, SpinLock},
};

use super::groups::{Group, Groups};
use super::route::Spot;
use crate::ffi::Waker;
use crate::proto::{Family, Ip};
use crate::socket::datagram::control::Header;
use crate::socket::events;

/// What a datagram costs of the receiver's room beside its bytes: about as much as in Linux, so that as many fit.
const OVERHEAD: usize = 512;

/// A datagram within the guest.
pub(crate) struct Parcel {
    /// Who sent it.
    pub(crate) from: Spot,
    /// Whom it was sent to.
    pub(crate) to: Spot,
    /// What its header says beside that.
    pub(crate) header: Header,
    /// Its bytes.
    pub(crate) payload: KVVec<u8>,
    /// When it arrived, in nanoseconds since 1970.
    pub(crate) at: i64,
}

/// The time of arrival of what arrives now.
pub(crate) fn now() -> i64 {
    // SAFETY: No requirements.
    unsafe { bindings::ktime_get_with_offset(bindings::tk_offsets_TK_OFFS_REAL) }
}

impl Parcel {
    fn cost(&self) -> usize {
        self.payload.len() + OVERHEAD
    }
}

struct Queue {
    parcels: KVec<Arc<Parcel>>,
    cost: usize,
    /// Datagrams for which there was no room.
    dropped: u32,
    /// From whom alone datagrams are taken, if the socket is connected.
    peer: Option<Spot>,
    groups: Groups,
    /// Whom to wake. `None` when the socket is gone.
    waker: Option<Waker>,
}

/// The datagrams of one socket.
#[pin_data]
pub(crate) struct Inbox {
    #[pin]
    queue: SpinLock<Queue>,
}

impl Inbox {
    /// An empty inbox of nobody yet.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if memory is short.
    pub(crate) fn new(family: Family) -> Result<Arc<Self>> {
        let queue = Queue {
            parcels: KVec::new(),
            cost: 0,
            dropped: 0,
            peer: None,
            groups: Groups::new(family),
            waker: None,
        };
        Arc::pin_init(
            pin_init!(Self { queue <- new_spinlock!(queue, "nexus_inbox") }),
            GFP_KERNEL,
        )
    }

    /// Wakes this sock from now on.
    pub(crate) fn attach(&self, waker: Waker) {
        self.queue.lock().waker = Some(waker);
    }

    /// Forgets the sock, and all datagrams.
    pub(crate) fn close(&self) {
        let parcels = {
            let mut queue = self.queue.lock();
            queue.waker = None;
            queue.cost = 0;
            queue.groups.leave_all();
            core::mem::replace(&mut queue.parcels, KVec::new())
        };
        drop(parcels);
    }

    /// Takes datagrams from this one only, or from all.
    pub(crate) fn set_peer(&self, peer: Option<Spot>) {
        self.queue.lock().peer = peer;
    }

    /// How well a datagram from there fits: better if the socket is connected to its sender; `None`: not at all.
    pub(crate) fn fit(&self, from: Spot) -> Option<u8> {
        match self.queue.lock().peer {
            None => Some(0),
            Some(peer) if peer == from => Some(1),
            Some(_) => None,
        }
    }

    /// Does something with the socket's memberships, which must not sleep.
    pub(crate) fn with_groups<R>(&self, f: impl FnOnce(&mut Groups) -> R) -> R {
        f(&mut self.queue.lock().groups)
    }

    /// Whether the socket takes what `from` sends to a group.
    pub(crate) fn takes(&self, group: Group, from: Ip) -> bool {
        self.queue.lock().groups.takes(group, from)
    }

    /// Takes a datagram in, or drops it if the receiver has no room, as networks do.
    pub(crate) fn deliver(&self, parcel: Arc<Parcel>) {
        let mut queue = self.queue.lock();
        let cost = parcel.cost();
        let Some(waker) = &queue.waker else {
            return;
        };
        // The first one always fits.
        if queue.cost > 0 && queue.cost + cost > waker.receive_room() {
            queue.dropped = queue.dropped.wrapping_add(1);
            return;
        }
        if queue.parcels.push(parcel, GFP_ATOMIC).is_ok() {
            queue.cost += cost;
            if let Some(waker) = &queue.waker {
                waker.wake(events::READABLE);
            }
        }
    }

    /// Tells the sender of a datagram, whose inbox this is, that nobody took it.
    pub(crate) fn refuse(&self, error: Error) {
        let queue = self.queue.lock();
        if let Some(waker) = &queue.waker {
            waker.set_error(error);
            waker.wake(0);
        }
    }

    /// The oldest datagram, which stays.
    pub(crate) fn peek(&self) -> Option<Arc<Parcel>> {
        self.queue.lock().parcels.first().cloned()
    }

    /// Takes the oldest datagram out.
    pub(crate) fn pop(&self) -> Option<Arc<Parcel>> {
        let mut queue = self.queue.lock();
        let parcel = queue.parcels.remove(0).ok()?;
        queue.cost -= parcel.cost();
        Some(parcel)
    }

    /// How many datagrams there was no room for (`SO_RXQ_OVFL`).
    pub(crate) fn dropped(&self) -> u32 {
        self.queue.lock().dropped
    }

    /// Whether there is a datagram.
    pub(crate) fn has_parcel(&self) -> bool {
        !self.queue.lock().parcels.is_empty()
    }
}
