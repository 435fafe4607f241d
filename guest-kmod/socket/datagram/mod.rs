// SPDX-License-Identifier: GPL-2.0-only
//! Datagram sockets: UDP as programs see it.
//!
//! - [`bind`]: addresses: `bind()`, `connect()`, `getsockname()`, `getpeername()`.
//! - [`send`], [`recv`], [`poll`]: the other system calls, one file per concern.
//! - [`control`]: control data, beside the bytes.
//! - [`outside`]: the way out of the guest, for those who send there.

mod bind;
pub(crate) mod control;
mod outside;
mod poll;
mod recv;
mod send;

use kernel::{
    ffi::c_int,
    new_mutex, new_spinlock,
    prelude::*,
    sync::{Arc, Mutex, SpinLock},
};

use self::outside::{Head, Outside};
use super::options::{Kind, Options, SOL_UDP};
use super::Shut;
use crate::ffi::Sock;
use crate::local::inbox::Inbox;
use crate::local::ports::{Binding, Scope};
use crate::local::route::Spot;
use crate::proto::{Address, Family, Ip, Record};

/// Whom a socket is connected to.
#[derive(Clone, Copy)]
struct Peer {
    /// Where datagrams go.
    spot: Spot,
    /// As `getpeername()` shows it.
    address: Address,
}

struct State {
    /// The port that the socket holds.
    binding: Option<Binding>,
    /// The user chose the port, so the socket keeps it when it is disconnected (`SOCK_BINDPORT_LOCK`).
    keeps_port: bool,
    /// The canonical address that the user chose, which the socket keeps likewise (`SOCK_BINDADDR_LOCK`).
    keeps_ip: Option<Ip>,
    peer: Option<Peer>,
    shut: Shut,
    options: Options,
    /// The way out of the guest, once something was sent there.
    outside: Option<Outside>,
}

/// A datagram socket, from `socket()` until the last reference to its `struct sock` goes.
#[pin_data]
pub(crate) struct Datagram {
    family: Family,
    inbox: Arc<Inbox>,
    /// Held while addresses are set up, which may sleep: nobody else does meanwhile.
    #[pin]
    setup_turn: Mutex<()>,
    #[pin]
    state: SpinLock<State>,
}

impl Datagram {
    /// A socket that is bound to nothing.
    pub(super) fn new(family: Family) -> Result<impl PinInit<Self, Error>> {
        let inbox = Inbox::new()?;
        let state = State {
            binding: None,
            keeps_port: false,
            keeps_ip: None,
            peer: None,
            shut: Shut::default(),
            options: Options::default(),
            outside: None,
        };
        Ok(try_pin_init!(Self {
            family,
            inbox,
            setup_turn <- new_mutex!((), "nexus_setup"),
            state <- new_spinlock!(state, "nexus_datagram"),
        }))
    }

    /// Whose options the socket has.
    pub(super) fn kind(&self) -> Kind {
        Kind {
            family: self.family,
            transport: SOL_UDP,
        }
    }

    /// `setsockopt()` below SOL_SOCKET.
    pub(super) fn set_option(&self, level: c_int, name: c_int, value: c_int) -> Result {
        let mut state = self.state.lock();
        let is_bound = state.binding.is_some();
        state
            .options
            .set(self.kind(), level, name, value, is_bound)
    }

    /// Does something with the options, which must not sleep.
    pub(super) fn with_options<R>(&self, f: impl FnOnce(&mut Options) -> R) -> R {
        f(&mut self.state.lock().options)
    }

    /// `shutdown()`. A socket without peer says so, and is shut down all the same.
    pub(super) fn shutdown(&self, sk: &Sock, read: bool, write: bool) -> Result {
        let connected = {
            let mut state = self.state.lock();
            state.shut.read |= read;
            state.shut.write |= write;
            state.peer.is_some()
        };
        sk.waker().wake(0);
        if connected {
            Ok(())
        } else {
            Err(ENOTCONN)
        }
    }

    /// `close()` of the last descriptor.
    pub(super) fn release(&self) {
        let (binding, outside) = {
            let mut state = self.state.lock();
            (state.binding.take(), state.outside.take())
        };
        drop(binding);
        self.inbox.close();
        if let Some(outside) = outside {
            outside.close();
        }
    }

    fn outside(&self) -> Option<Outside> {
        self.state.lock().outside.clone()
    }

    fn peer(&self) -> Option<Spot> {
        self.state.lock().peer.map(|peer| peer.spot)
    }

    /// Makes what became of earlier datagrams the socket's error, and passes over what it must not see. Returns the next
    /// datagram from outside.
    fn next_outside(&self, sk: &Sock) -> Option<(Outside, Record)> {
        let outside = self.outside()?;
        match outside.head(self.peer()) {
            Head::Empty => None,
            Head::Datagram(record) => Some((outside, record)),
            Head::Failure(error) => {
                sk.waker().set_error(error);
                sk.waker().wake(0);
                None
            }
        }
    }

    /// All addresses, as an unbound socket has them.
    fn any(&self, state: &mut State) -> Scope {
        match self.family {
            Family::V4 => Scope::Any4,
            Family::V6 => Scope::Any6 {
                only: state.options.only_v6(),
            },
        }
    }
}
