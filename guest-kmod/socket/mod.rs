// SPDX-License-Identifier: GPL-2.0-only
//! Stream sockets of the families PF_INET and PF_INET6.
//!
//! - [`family`]: registration, and `socket()`.
//! - [`ops`]: the other system calls, from their C form to methods of [`Socket`].
//! - [`conn`]: the state machine of a connection.
//! - [`endpoint`]: what user and device share of a connection; lock order.
//! - [`connect`], [`stream_send`], [`stream_recv`], [`poll`], [`options`]: the methods, one file per concern.
//! - [`addr`]: socket addresses.

mod addr;
pub(crate) mod conn;
mod connect;
pub(crate) mod endpoint;
pub(crate) mod family;
mod ops;
mod options;
mod poll;
mod stream_recv;
mod stream_send;

use kernel::{
    new_mutex, new_spinlock,
    prelude::*,
    sync::{Arc, Mutex, SpinLock},
};

use crate::proto::Family;
use endpoint::Endpoint;
use options::Options;

/// What `connect()` has been told (`socket_state` of the generic code). The connection may be further already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// `connect()` was not called, or has reported failure.
    Unconnected,
    /// `connect()` was called, and has not reported the outcome.
    Connecting,
    /// `connect()` has reported success.
    Connected,
}

struct State {
    progress: Progress,
    /// `None` exactly while unconnected, and after `close()`.
    endpoint: Option<Arc<Endpoint>>,
    options: Options,
}

/// A socket, from `socket()` until the last reference to its `struct sock` goes.
#[pin_data]
pub(crate) struct Socket {
    family: Family,
    /// Held while `connect()` opens an endpoint, which may sleep: nobody else opens a second one.
    #[pin]
    connect_turn: Mutex<()>,
    #[pin]
    state: SpinLock<State>,
}

impl Socket {
    /// A socket that is not connected.
    fn new(family: Family) -> impl PinInit<Self, Error> {
        let state = State {
            progress: Progress::Unconnected,
            endpoint: None,
            options: Options::default(),
        };
        try_pin_init!(Self {
            family,
            connect_turn <- new_mutex!((), "nexus_connect"),
            state <- new_spinlock!(state, "nexus_socket"),
        })
    }

    fn endpoint(&self) -> Option<Arc<Endpoint>> {
        self.state.lock().endpoint.clone()
    }
}

impl State {
    /// Whether the socket still has this endpoint, and not another one or none.
    fn has(&self, endpoint: &Arc<Endpoint>) -> bool {
        self.endpoint
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, endpoint))
    }
}
