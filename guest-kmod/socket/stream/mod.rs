// SPDX-License-Identifier: GPL-2.0-only
//! Stream sockets: TCP as programs see it.
//!
//! - [`conn`]: the state machine of a connection.
//! - [`endpoint`]: what user and other side share of a connection; lock order. [`buffer`]: where its bytes lie.
//! - [`arrivals`]: connections from outside, for listeners.
//! - [`bind`], [`connect`], [`listen`], [`send`], [`recv`], [`poll`], [`info`]: the system calls, one file per concern.

mod arrivals;
mod bind;
pub(crate) mod buffer;
pub(crate) mod conn;
mod connect;
pub(crate) mod endpoint;
pub(super) mod info;
mod listen;
mod poll;
pub(super) mod recv;
mod send;

use kernel::{
    ffi::c_int,
    new_mutex, new_spinlock,
    prelude::*,
    sync::{Arc, Mutex, SpinLock},
};

use super::options::congestion::Congestion;
use super::options::{Kind, Options, SOL_TCP};
use super::errors::ErrorQueue;
use super::Shut;
use crate::local::listener::Listener;
use crate::local::ports::Binding;
use crate::proto::option::OPTIONS;
use crate::proto::{Family, Ip, SocketOption};
use arrivals::Arrivals;
use conn::Phase;
use endpoint::Endpoint;

/// What `connect()` has been told (`socket_state` of the generic code). The connection may be further already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// `connect()` was not called, or has reported failure.
    Unconnected,
    /// `connect()` was called, and has not reported the outcome.
    Connecting,
    /// `connect()` has reported success, or `accept()` made the socket.
    Connected,
    /// `shutdown()` came between: only a connect to AF_UNSPEC makes the socket usable again.
    Disconnecting,
}

struct State {
    progress: Progress,
    /// `None` exactly while unconnected, and after `close()`.
    endpoint: Option<Arc<Endpoint>>,
    /// `Some` exactly while listening.
    listener: Option<Arc<Listener>>,
    /// `Some` while listening where peers outside the guest can reach it.
    arrivals: Option<Arc<Arrivals>>,
    /// The port that the socket holds.
    binding: Option<Binding>,
    /// The user chose the port, so the socket keeps it when it is disconnected (`SOCK_BINDPORT_LOCK`).
    keeps_port: bool,
    /// The canonical address that the user chose, which the socket keeps likewise (`SOCK_BINDADDR_LOCK`).
    keeps_ip: Option<Ip>,
    /// The last port, which Linux still shows after it is given up.
    last_port: u16,
    /// `shutdown()` of a socket without connection: it fails, and has effect all the same.
    shut: Shut,
    options: Options,
    congestion: Congestion,
    /// Options for the host's socket, by their index, as far as the user has set them.
    told: [Option<c_int>; OPTIONS.len()],
}

/// A stream socket, from `socket()` or `accept()` until the last reference to its `struct sock` goes.
#[pin_data]
pub(crate) struct Stream {
    family: Family,
    /// Held while `bind()`, `connect()` or `listen()` set the socket up, which may sleep: nobody else does meanwhile.
    #[pin]
    setup_turn: Mutex<()>,
    #[pin]
    errors: ErrorQueue,
    #[pin]
    state: SpinLock<State>,
}

impl Stream {
    /// A socket that is not connected.
    pub(super) fn new(family: Family) -> impl PinInit<Self, Error> {
        let state = State {
            options: Options::of(family),
            ..State::default()
        };
        Self::with(family, state)
    }

    fn with(family: Family, state: State) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            family,
            setup_turn <- new_mutex!((), "nexus_setup"),
            errors <- ErrorQueue::new(),
            state <- new_spinlock!(state, "nexus_stream"),
        })
    }

    pub(super) fn errors(&self) -> &ErrorQueue {
        &self.errors
    }

    fn endpoint(&self) -> Option<Arc<Endpoint>> {
        self.state.lock().endpoint.clone()
    }

    fn listener(&self) -> Option<Arc<Listener>> {
        self.state.lock().listener.clone()
    }

    fn arrivals(&self) -> Option<Arc<Arrivals>> {
        self.state.lock().arrivals.clone()
    }

    /// Whose options the socket has.
    pub(super) fn kind(&self) -> Kind {
        Kind {
            family: self.family,
            transport: SOL_TCP,
        }
    }

    /// `setsockopt()` below SOL_SOCKET.
    pub(super) fn set_option(&self, level: c_int, name: c_int, value: c_int) -> Result {
        let value = {
            let mut state = self.state.lock();
            let is_bound = state.is_bound();
            state
                .options
                .set(self.kind(), level, name, value, is_bound)?;
            if let Some(listener) = &state.listener {
                listener.limit_segments(state.options.segment_limit());
            }
            state.options.stored(level, name)
        };
        self.tell_option(level, name, value);
        Ok(())
    }

    /// `TCP_MAXSEG` of a connection, of which a packet could carry as many bytes as `largest` says of a peer. `None` where there is
    /// no connection.
    pub(super) fn segment_size(&self, largest: impl FnOnce(Ip) -> u32) -> Option<u32> {
        let endpoint = self.endpoint()?;
        let peer = endpoint.state.lock().conn.peer();
        // It takes locks that are none for interrupts, as the endpoint's is.
        let largest = largest(peer.ip);
        let state = endpoint.state.lock();
        let conn = &state.conn;
        (conn.phase() == Phase::Connected).then(|| conn.segment_size(largest))
    }

    /// `TCP_CONGESTION`
    pub(super) fn congestion(&self) -> Congestion {
        self.state.lock().congestion
    }

    /// `TCP_CONGESTION`
    pub(super) fn set_congestion(&self, congestion: Congestion) {
        self.state.lock().congestion = congestion;
    }

    /// Has the host's socket get an option's value, now or when there is one.
    pub(super) fn tell_option(&self, level: c_int, name: c_int, value: c_int) {
        // Levels and names are not negative where there is such an option.
        let Some(option) = SocketOption::new(level as u32, name as u32) else {
            return;
        };
        let endpoint = {
            let mut state = self.state.lock();
            if let Some(told) = state.told.get_mut(option.index()) {
                *told = Some(value);
            }
            state.endpoint.clone()
        };
        if let Some(endpoint) = endpoint {
            endpoint.set_option(option, value);
        }
    }

    /// Options that the user has set, for the host's socket of a connection to come.
    fn told_options(&self) -> impl Iterator<Item = (SocketOption, c_int)> {
        let told = self.state.lock().told;
        told.into_iter().enumerate().filter_map(|(index, value)| {
            Some((SocketOption::from_index(index)?, value?))
        })
    }

    /// Does something with the options, which must not sleep.
    pub(super) fn with_options<R>(&self, f: impl FnOnce(&mut Options) -> R) -> R {
        f(&mut self.state.lock().options)
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            progress: Progress::Unconnected,
            endpoint: None,
            listener: None,
            arrivals: None,
            binding: None,
            keeps_port: false,
            keeps_ip: None,
            last_port: 0,
            shut: Shut::default(),
            options: Options::default(),
            congestion: Congestion::default(),
            told: [None; OPTIONS.len()],
        }
    }
}

impl State {
    /// Whether there is no connection, or it is over (TCP_CLOSE).
    fn is_closed(&self) -> bool {
        self.listener.is_none()
            && self
                .endpoint
                .as_ref()
                .is_none_or(|endpoint| endpoint.state.lock().conn.is_closed())
    }

    /// Takes a connection that begins.
    fn begin(&mut self, endpoint: Arc<Endpoint>) {
        let Shut { read, write } = self.shut;
        endpoint.state.lock().conn.begin_shut(read, write);
        self.progress = Progress::Connecting;
        self.endpoint = Some(endpoint);
    }

    /// Whether the socket holds a port: its own, or that of a connection that is not over.
    fn is_bound(&self) -> bool {
        self.binding
            .as_ref()
            .is_some_and(|binding| self.keeps_port || !binding.serves() || !self.is_closed())
    }

    /// Takes the binding out, unless the user chose the port.
    fn give_up_port(&mut self) -> Option<Binding> {
        if self.keeps_port {
            return None;
        }
        let binding = self.binding.take()?;
        self.last_port = binding.port();
        Some(binding)
    }

    /// Whether the socket still has this endpoint, and not another one or none.
    fn has(&self, endpoint: &Arc<Endpoint>) -> bool {
        self.endpoint
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, endpoint))
    }
}
