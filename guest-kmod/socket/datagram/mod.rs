// SPDX-License-Identifier: GPL-2.0-only
//! Datagram sockets: UDP as programs see it.
//!
//! - [`bind`]: addresses: `bind()`, `connect()`, `getsockname()`, `getpeername()`.
//! - [`send`], [`recv`], [`poll`]: the other system calls, one file per concern.
//! - [`spread`]: datagrams for many, and multicast groups.
//! - [`control`]: control data, beside the bytes.
//! - [`outside`]: the way out of the guest, for those who send there.

mod bind;
pub(crate) mod control;
mod outside;
mod poll;
mod recv;
mod send;
mod spread;

use kernel::{
    ffi::c_int,
    new_mutex, new_spinlock,
    prelude::*,
    sync::{Arc, Mutex, SpinLock},
};

use self::outside::{Head, Outside};
use self::send::Corked;
use self::spread::SendBy;
use super::options::{Kind, Options, SOL_IP, SOL_IPV6, SOL_UDP};
use super::errors::ErrorQueue;
use super::Shut;
use crate::ffi::Sock;
use crate::local::inbox::Inbox;
use crate::local::ports::{Binding, Scope};
use crate::local::route::Spot;
use crate::proto::{Address, Family, Ip, Record};

const UDP_CORK: c_int = 1;
const IP_RECVERR: c_int = 11;
const IPV6_RECVERR: c_int = 25;
const IP_MULTICAST_ALL: c_int = 49;
const IPV6_MULTICAST_ALL: c_int = 29;

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
    send_by: SendBy,
    /// A datagram that waits for more bytes.
    corked: Option<Corked>,
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
    /// Held while bytes are added to a datagram that waits for more.
    #[pin]
    cork_turn: Mutex<()>,
    #[pin]
    errors: ErrorQueue,
    #[pin]
    state: SpinLock<State>,
}

impl Datagram {
    /// A socket that is bound to nothing.
    pub(super) fn new(family: Family) -> Result<impl PinInit<Self, Error>> {
        let inbox = Inbox::new(family)?;
        let state = State {
            binding: None,
            keeps_port: false,
            keeps_ip: None,
            peer: None,
            shut: Shut::default(),
            options: Options::of(family),
            send_by: SendBy::default(),
            corked: None,
            outside: None,
        };
        Ok(try_pin_init!(Self {
            family,
            inbox,
            setup_turn <- new_mutex!((), "nexus_setup"),
            cork_turn <- new_mutex!((), "nexus_cork"),
            errors <- ErrorQueue::new(),
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
    pub(super) fn set_option(
        &self,
        sk: &Sock,
        level: c_int,
        name: c_int,
        value: c_int,
    ) -> Result {
        {
            let mut state = self.state.lock();
            let is_bound = state.binding.is_some();
            state
                .options
                .set(self.kind(), level, name, value, is_bound)?;
        }
        self.inbox.with_groups(|groups| match (level, name) {
            (SOL_IP, IP_MULTICAST_ALL) => groups.takes_all_v4 = value != 0,
            (SOL_IPV6, IPV6_MULTICAST_ALL) => groups.takes_all_v6 = value != 0,
            _ => {}
        });
        if (level, name, value) == (SOL_UDP, UDP_CORK, 0) {
            self.uncork(sk)?;
        }
        Ok(())
    }

    /// `IP_MULTICAST_IF`, as `getsockopt()` shows it.
    pub(super) fn shown_send_by(&self) -> c_int {
        self.state.lock().send_by.shown()
    }

    /// Does something with the options, which must not sleep.
    pub(super) fn with_options<R>(&self, f: impl FnOnce(&mut Options) -> R) -> R {
        f(&mut self.state.lock().options)
    }

    pub(super) fn errors(&self) -> &ErrorQueue {
        &self.errors
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
        let (binding, outside, corked) = {
            let mut state = self.state.lock();
            (
                state.binding.take(),
                state.outside.take(),
                state.corked.take(),
            )
        };
        drop(binding);
        drop(corked);
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
        let wants_errors = self.with_options(|options| {
            options.stored(SOL_IP, IP_RECVERR) != 0 || options.stored(SOL_IPV6, IPV6_RECVERR) != 0
        });
        match outside.head(self.peer(), wants_errors) {
            Head::Empty => None,
            Head::Datagram(record) => Some((outside, record)),
            Head::Failure(error, to) => {
                if self.wants_errors(to.ip) {
                    self.errors.refused(sk, error, to, &[]);
                } else {
                    sk.waker().set_error(error);
                    sk.waker().wake(0);
                }
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
