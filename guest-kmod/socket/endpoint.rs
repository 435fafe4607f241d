// SPDX-License-Identifier: GPL-2.0-only
//! An endpoint: what user and device share of one connection, from OPEN to RELEASED.
//!
//! It joins the state machine, the rings and the sock to wake. The socket holds it while it is connected, the device's
//! table until the device has released it; the rings are freed when both let go.
//!
//! # Locks
//!
//! Taken in this order, each within the one before:
//!
//! 1. `send_turn`, `receive_turn` (sleeping): one copy at a time in each direction. Never held while waiting, so that a
//!    blocked call blocks nobody else. `Socket::connect_turn` (sleeping) likewise: one `connect()` opens at a time.
//! 2. The socket's own state (`Socket::state`).
//! 3. The device's state (`Device::inner`).
//! 4. The endpoint's state (`Endpoint::state`).
//!
//! 3 and 4 are taken in interrupts. Wait queues are woken under 3 and 4, and take none of these.

use kernel::{
    new_mutex, new_spinlock_irq,
    prelude::*,
    sync::{Arc, Mutex, SpinLockIrq},
};

use super::conn::{Changes, Connection, Phase};
use super::poll::events;
use crate::error;
use crate::ffi::Waker;
use crate::proto::{Address, SocketId, Status};
use crate::ring_memory::RingMemory;
use crate::virtio::Device;

/// What changes under the endpoint's lock.
pub(crate) struct State {
    pub(crate) conn: Connection,
    /// Set once, when the table has given it.
    pub(crate) id: SocketId,
    /// The request queue was full when there was news.
    pub(crate) queued: bool,
    /// Whom to wake. `None` when the socket is gone.
    waker: Option<Waker>,
}

/// One connection of one socket.
#[pin_data]
pub(crate) struct Endpoint {
    device: Arc<Device>,
    pub(crate) tx: RingMemory,
    pub(crate) rx: RingMemory,
    #[pin]
    pub(crate) send_turn: Mutex<()>,
    #[pin]
    pub(crate) receive_turn: Mutex<()>,
    #[pin]
    pub(crate) state: SpinLockIrq<State>,
}

impl Endpoint {
    /// Opens a socket on the device and starts to connect it.
    ///
    /// # Errors
    ///
    /// `ENOBUFS` or `ENOMEM` if memory is short, `EADDRNOTAVAIL` if the device's ids are used up, `ENETUNREACH` if the
    /// device is gone.
    pub(crate) fn connect(device: Arc<Device>, peer: Address, waker: Waker) -> Result<Arc<Self>> {
        let (tx, rx) = device.new_rings()?;
        let state = State {
            conn: Connection::new(peer, *tx.ring(), *rx.ring()),
            id: 0,
            queued: false,
            waker: Some(waker),
        };
        let endpoint = Arc::pin_init(
            pin_init!(Self {
                device,
                tx,
                rx,
                send_turn <- new_mutex!((), "nexus_send"),
                receive_turn <- new_mutex!((), "nexus_receive"),
                state <- new_spinlock_irq!(state, "nexus_endpoint"),
            }),
            GFP_KERNEL,
        )?;
        endpoint.device.open(&endpoint)?;
        Ok(endpoint)
    }

    /// Tells the device the news, if there are any.
    pub(crate) fn submit(&self) {
        self.device.submit(self);
    }

    /// Ends the connection; see [`Connection::close`].
    pub(crate) fn close(&self, abort: bool) {
        {
            let mut state = self.state.lock();
            state.conn.close(abort);
            state.wake(0);
        }
        self.submit();
    }

    /// Forgets the sock. Nothing wakes it afterwards.
    pub(crate) fn detach(&self) {
        self.state.lock().waker = None;
    }

    /// Where the connection is in its life.
    pub(crate) fn phase(&self) -> Phase {
        self.state.lock().conn.phase()
    }

    /// Takes in a status event. Called by the device, in interrupts.
    ///
    /// # Errors
    ///
    /// `EPROTO` for a violation; the socket has failed with it.
    pub(crate) fn on_status(&self, status: &Status) -> Result {
        let mut state = self.state.lock();
        match state.conn.apply(status) {
            Ok(changes) => {
                state.announce(changes);
                Ok(())
            }
            Err(violation) => {
                pr_err!(
                    "socket {}: device violates the protocol: {violation:?}\n",
                    state.id
                );
                state.fail(EPROTO);
                Err(EPROTO)
            }
        }
    }

    /// Takes in a released event. Called by the device, in interrupts.
    ///
    /// # Errors
    ///
    /// `EPROTO` if it was not asked for.
    pub(crate) fn on_released(&self) -> Result {
        let mut state = self.state.lock();
        let asked = state.conn.released();
        if asked.is_err() {
            state.set_error(EPROTO);
        }
        state.wake(0);
        asked.map_err(|_| EPROTO)
    }

    /// Fails the socket, as the device cannot be believed any more.
    pub(crate) fn on_violation(&self) {
        self.state.lock().fail(EPROTO);
    }

    /// Fails the socket, as the device was reset.
    pub(crate) fn on_reset(&self) {
        let mut state = self.state.lock();
        if !state.conn.is_over() {
            state.set_error(ECONNRESET);
        }
        state.conn.reset();
        state.queued = false;
        state.wake(0);
    }
}

impl State {
    fn announce(&mut self, changes: Changes) {
        if let Some(error) = changes.error {
            self.set_error(error::from_wire(error));
        }
        if changes.state {
            self.wake(0);
            return;
        }
        let mut mask = 0;
        if changes.readable {
            mask |= events::READABLE;
        }
        if changes.writable {
            mask |= events::WRITABLE;
        }
        if mask != 0 {
            self.wake(mask);
        }
    }

    fn fail(&mut self, error: Error) {
        if self.conn.fail() {
            self.set_error(error);
            self.wake(0);
        }
    }

    fn set_error(&self, error: Error) {
        if let Some(waker) = &self.waker {
            waker.set_error(error);
        }
    }

    fn wake(&self, mask: u32) {
        if let Some(waker) = &self.waker {
            waker.wake(mask);
        }
    }
}
