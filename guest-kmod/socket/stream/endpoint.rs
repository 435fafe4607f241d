// SPDX-License-Identifier: GPL-2.0-only
//! An endpoint: what a user and the other side share of one connection, from OPEN to RELEASED.
//!
//! It joins the state machine, the buffers and the sock to wake. The other side, its [`Link`], is the device or another
//! socket of the guest. The socket holds the endpoint while it is connected, the link until it has released it; the
//! buffers are freed when both let go.
//!
//! # Locks
//!
//! Taken in this order, each within the one before:
//!
//! 1. `send_turn`, `receive_turn` (sleeping): one copy at a time in each direction. Never held while waiting, so that a
//!    blocked call blocks nobody else. `Socket::connect_turn` (sleeping) likewise: one `connect()` opens at a time.
//! 2. The socket's own state (`Stream::state`). Within it, one at a time: the table of ports, a listener's queue.
//! 3. The link's state (`Device::inner`, `Pair::sides`).
//! 4. The endpoint's state (`Endpoint::state`), or a listener's connections from outside (`Arrivals::state`).
//!
//! The device's 3, and 4, are taken in interrupts. Wait queues are woken under 3 and 4, and take none of these.

use kernel::{
    new_mutex, new_spinlock_irq,
    prelude::*,
    sync::{Arc, Mutex, SpinLockIrq},
};

use super::buffer::Buffer;
use super::conn::{Changes, Connection, Phase};
use crate::error;
use crate::ffi::Waker;
use crate::proto::{Address, SocketId, SocketOption, Status};
use crate::socket::events;
use crate::virtio::{Member, Place, RequestQueue, Waits};

/// What carries an endpoint's news to the other side, and the other side's to it.
pub(crate) trait Link: Send + Sync {
    /// Tells the other side the endpoint's news, if there are any.
    fn submit(&self, endpoint: &Endpoint);

    /// Whether the other side has what was written as soon as it is written.
    fn delivers_at_once(&self) -> bool;

    /// Whether urgent bytes reach the other side as such.
    fn carries_urgent(&self) -> bool;

    /// Whether the other side takes socket options.
    fn takes_options(&self) -> bool;
}

/// What changes under the endpoint's lock.
pub(crate) struct State {
    pub(crate) conn: Connection,
    place: Place,
    /// Whom to wake. `None` before the connection is accepted, and when the socket is gone.
    waker: Option<Waker>,
    /// An error from before there was somebody to tell.
    unheard: Option<Error>,
}

/// One connection of one socket.
#[pin_data]
pub(crate) struct Endpoint {
    link: Arc<dyn Link>,
    pub(crate) tx: Buffer,
    pub(crate) rx: Buffer,
    #[pin]
    pub(crate) send_turn: Mutex<()>,
    #[pin]
    pub(crate) receive_turn: Mutex<()>,
    #[pin]
    pub(crate) state: SpinLockIrq<State>,
}

impl Endpoint {
    /// An endpoint in the state of `conn`, which the link has yet to hear of.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if memory is short.
    pub(crate) fn new(
        link: Arc<dyn Link>,
        tx: Buffer,
        rx: Buffer,
        conn: Connection,
        waker: Option<Waker>,
    ) -> Result<Arc<Self>> {
        let state = State {
            conn,
            place: Place::default(),
            waker,
            unheard: None,
        };
        Arc::pin_init(
            pin_init!(Self {
                link,
                tx,
                rx,
                send_turn <- new_mutex!((), "nexus_send"),
                receive_turn <- new_mutex!((), "nexus_receive"),
                state <- new_spinlock_irq!(state, "nexus_endpoint"),
            }),
            GFP_KERNEL,
        )
    }

    /// Tells the other side the news, if there are any.
    pub(crate) fn submit(&self) {
        self.link.submit(self);
    }

    /// Whether urgent bytes reach the other side.
    pub(crate) fn carries_urgent(&self) -> bool {
        self.link.carries_urgent()
    }

    /// Sets an option of the host's socket, if there is one.
    pub(crate) fn set_option(&self, option: SocketOption, value: i32) {
        if self.link.takes_options() {
            self.state.lock().conn.set_option(option, value);
            self.submit();
        }
    }

    /// Bytes written that the other side has not reported as taken.
    pub(crate) fn unsent(&self) -> u32 {
        if self.link.delivers_at_once() {
            return 0;
        }
        self.state.lock().conn.unsent()
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

    /// Ends a datagram socket: what nobody has received is no reason to take back what was sent.
    pub(crate) fn close_datagram(&self) {
        self.state.lock().conn.close_datagram();
        self.submit();
    }

    /// Wakes this sock from now on.
    pub(crate) fn attach(&self, waker: Waker) {
        let mut state = self.state.lock();
        if let Some(error) = state.unheard.take() {
            waker.set_error(error);
        }
        state.waker = Some(waker);
    }

    /// Fails the connection, as the other side never will.
    pub(crate) fn give_up(&self, error: Error) {
        self.state.lock().fail(error);
    }

    /// Forgets the sock. Nothing wakes it afterwards.
    pub(crate) fn detach(&self) {
        self.state.lock().waker = None;
    }

    /// Where the connection is in its life.
    pub(crate) fn phase(&self) -> Phase {
        self.state.lock().conn.phase()
    }

    /// The other side has written an urgent byte, of which its status says nothing.
    pub(crate) fn on_urgent(&self, at: u64) {
        let mut state = self.state.lock();
        state.conn.receive_urgent(at);
        if let Some(waker) = &state.waker {
            waker.wake(events::URGENT);
            waker.send_sigurg();
        }
    }
}

impl Member for Endpoint {
    fn set_id(&self, id: SocketId) {
        self.state.lock().place.id = id;
    }

    fn tell(&self, requests: &mut RequestQueue) -> Waits {
        let State { place, conn, .. } = &mut *self.state.lock();
        place.tell(conn, requests)
    }

    fn waits(&self) -> bool {
        self.state.lock().place.waits()
    }

    fn stop_waiting(&self) -> bool {
        self.state.lock().place.stop_waiting()
    }

    fn on_status(&self, status: &Status) -> Result {
        let mut state = self.state.lock();
        match state.conn.apply(status) {
            Ok(changes) => {
                state.announce(changes);
                Ok(())
            }
            Err(violation) => {
                pr_err!(
                    "socket {}: device violates the protocol: {violation:?}\n",
                    state.place.id
                );
                state.fail(EPROTO);
                Err(EPROTO)
            }
        }
    }

    fn on_incoming(&self, _connection: u32, _peer: Address) -> Result {
        let mut state = self.state.lock();
        pr_err!(
            "socket {}: device violates the protocol: a connection for what is no listener\n",
            state.place.id
        );
        state.fail(EPROTO);
        Err(EPROTO)
    }

    fn on_released(&self) -> Result {
        let mut state = self.state.lock();
        let asked = state.conn.released();
        if asked.is_err() {
            state.set_error(EPROTO);
        }
        state.wake(0);
        asked.map_err(|_| EPROTO)
    }

    fn on_violation(&self) {
        self.state.lock().fail(EPROTO);
    }

    fn on_reset(&self) {
        let mut state = self.state.lock();
        if !state.conn.is_over() {
            state.set_error(ECONNRESET);
        }
        state.conn.reset();
        state.place.stop_waiting();
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

    fn set_error(&mut self, error: Error) {
        match &self.waker {
            Some(waker) => waker.set_error(error),
            None => self.unheard = Some(error),
        }
    }

    fn wake(&self, mask: u32) {
        if let Some(waker) = &self.waker {
            waker.wake(mask);
        }
    }
}
