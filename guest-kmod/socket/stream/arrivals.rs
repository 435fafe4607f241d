// SPDX-License-Identifier: GPL-2.0-only
//! Connections from outside the guest that wait for `accept()`: a listener as the device sees it.
//!
//! The device announces a connection by a number; `accept()` opens it by that number, with rings of its own. So one that
//! nobody accepts costs the guest an entry here.

use kernel::{
    new_spinlock_irq,
    prelude::*,
    sync::{Arc, SpinLockIrq},
};

use crate::ffi::Waker;
use crate::proto::{Address, Request, SocketId, Status};
use crate::socket::events;
use crate::virtio::{Device, Member, News, Place, RequestQueue, Waits};

/// More than any device has wait: an honest one keeps to the backlog, which generic code limits.
const WAITING_MAX: usize = 8192;

/// A connection that waits.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    /// The device's number for it.
    pub(super) connection: u32,
    /// Who has connected.
    pub(super) peer: Address,
}

/// What the device has yet to be told, and what it is told.
struct Listen {
    local: Address,
    only_v6: bool,
    backlog: u32,
    /// Address or backlog are news.
    is_news: bool,
    /// The end is news.
    close: bool,
}

impl News for Listen {
    fn has_news(&self) -> bool {
        self.is_news || self.close
    }

    fn next_request(&mut self, socket: SocketId) -> Option<Request> {
        if core::mem::take(&mut self.is_news) {
            return Some(Request::Listen {
                socket,
                local: self.local,
                only_v6: self.only_v6,
                backlog: self.backlog,
            });
        }
        core::mem::take(&mut self.close).then_some(Request::Close {
            socket,
            tx_produced: 0,
            abort: false,
        })
    }
}

struct State {
    place: Place,
    listen: Listen,
    waiting: KVec<Arrival>,
    /// Whom to wake. `None` when the socket listens no more.
    waker: Option<Waker>,
}

/// The connections from outside of one listening socket.
#[pin_data]
pub(super) struct Arrivals {
    device: Arc<Device>,
    #[pin]
    state: SpinLockIrq<State>,
}

impl Arrivals {
    /// Has the device lead connections here from now on.
    ///
    /// # Errors
    ///
    /// As [`Device::enter`], and `ENOMEM`.
    pub(super) fn open(
        device: Arc<Device>,
        local: Address,
        only_v6: bool,
        backlog: u32,
        waker: Waker,
    ) -> Result<Arc<Self>> {
        let state = State {
            place: Place::default(),
            listen: Listen {
                local,
                only_v6,
                backlog,
                is_news: true,
                close: false,
            },
            waiting: KVec::new(),
            waker: Some(waker),
        };
        let arrivals = Arc::pin_init(
            pin_init!(Self {
                device,
                state <- new_spinlock_irq!(state, "nexus_arrivals"),
            }),
            GFP_KERNEL,
        )?;
        arrivals.device.enter(arrivals.clone())?;
        Ok(arrivals)
    }

    /// The device that the connections come from.
    pub(super) fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// Changes the backlog.
    pub(super) fn set_backlog(&self, backlog: u32) {
        {
            let mut state = self.state.lock();
            state.listen.backlog = backlog;
            state.listen.is_news = true;
        }
        self.device.flush(self);
    }

    /// Takes the oldest connection out.
    pub(super) fn take(&self) -> Option<Arrival> {
        self.state.lock().waiting.remove(0).ok()
    }

    /// Puts a connection back, for which there was no memory.
    pub(super) fn put_back(&self, arrival: Arrival) {
        let mut state = self.state.lock();
        if state.waker.is_some() {
            // Without memory it waits at the device, until the listener is closed.
            let _ = state.waiting.push(arrival, GFP_ATOMIC);
        }
    }

    /// Whether a connection waits.
    pub(super) fn has_one(&self) -> bool {
        !self.state.lock().waiting.is_empty()
    }

    /// Ends it. The device resets what nobody has accepted.
    pub(super) fn close(&self) {
        let forgotten = {
            let mut state = self.state.lock();
            state.waker = None;
            state.listen.close = true;
            core::mem::replace(&mut state.waiting, KVec::new())
        };
        drop(forgotten);
        self.device.flush(self);
    }
}

impl Member for Arrivals {
    fn set_id(&self, id: SocketId) {
        self.state.lock().place.id = id;
    }

    fn tell(&self, requests: &mut RequestQueue) -> Waits {
        let State { place, listen, .. } = &mut *self.state.lock();
        place.tell(listen, requests)
    }

    fn waits(&self) -> bool {
        self.state.lock().place.waits()
    }

    fn stop_waiting(&self) -> bool {
        self.state.lock().place.stop_waiting()
    }

    fn on_status(&self, _status: &Status) -> Result {
        let id = self.state.lock().place.id;
        pr_err!("socket {id}: device violates the protocol: a status of a listener\n");
        Err(EPROTO)
    }

    fn on_incoming(&self, connection: u32, peer: Address) -> Result {
        let mut state = self.state.lock();
        let Some(waker) = &state.waker else {
            // Sent before the device knew.
            return Ok(());
        };
        if peer.family() != state.listen.local.family() || state.waiting.len() >= WAITING_MAX {
            let id = state.place.id;
            pr_err!("socket {id}: device violates the protocol: {connection} is no connection of its\n");
            return Err(EPROTO);
        }
        waker.wake(events::READABLE);
        // Without memory it waits at the device, until the listener is closed.
        let _ = state
            .waiting
            .push(Arrival { connection, peer }, GFP_ATOMIC);
        Ok(())
    }

    fn on_released(&self) -> Result {
        let state = self.state.lock();
        // It was asked for when the socket listens no more.
        match state.waker {
            None => Ok(()),
            Some(_) => Err(EPROTO),
        }
    }

    fn on_violation(&self) {
        // Connections within the guest go on.
    }

    fn on_reset(&self) {
        let mut state = self.state.lock();
        state.place.stop_waiting();
        state.listen.is_news = false;
        state.listen.close = false;
        // What waited is gone with the device. No allocation, so this may happen in interrupts.
        while state.waiting.pop().is_some() {}
    }
}
