// SPDX-License-Identifier: GPL-2.0-only
//! Who is bound where: the port numbers of the guest.
//!
//! The rules of conflict are those of `inet_bind_conflict()` (`net/ipv4/inet_connection_sock.c`) and
//! `inet_rcv_saddr_equal()`, without their distinction of users: all of a guest's belong to one function.
//!
//! The table's lock is taken within a socket's (2 in the order of `socket/stream/endpoint.rs`), and an endpoint's within it.

use kernel::{
    bindings,
    prelude::*,
    sync::{global_lock, Arc},
};

use super::groups::{self, Group};
use super::inbox::Inbox;
use super::listener::Listener;
use super::route::Spot;
use crate::proto::{Family, Ip};
use crate::socket::stream::endpoint::Endpoint;

/// Ports that are given out, as Linux' `ip_local_port_range`.
const EPHEMERAL: core::ops::Range<u32> = 32768..61000;

/// Ports below this need `CAP_NET_BIND_SERVICE`, as Linux' `ip_unprivileged_port_start`.
const UNPRIVILEGED: u16 = 1024;

const BUCKETS: usize = 256;

/// Transport protocol; each has its own port numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// TCP
    Tcp,
    /// UDP
    Udp,
}

/// Which of the guest's addresses a socket is bound to. Addresses are canonical (see [`super::route`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// 0.0.0.0
    Any4,
    /// ::, with IPv4 unless `only`.
    Any6 {
        /// `IPV6_V6ONLY`
        only: bool,
    },
    /// One address.
    One(Ip),
}

impl Scope {
    /// The address that `getsockname()` shows.
    pub(crate) fn ip(self) -> Ip {
        match self {
            Self::Any4 => Ip::V4([0; 4]),
            Self::Any6 { .. } => Ip::V6([0; 16]),
            Self::One(ip) => ip,
        }
    }

    fn covers(self, family: Family) -> bool {
        match self {
            Self::Any4 | Self::One(Ip::V4(_)) => family == Family::V4,
            Self::One(Ip::V6(_)) | Self::Any6 { only: true } => family == Family::V6,
            Self::Any6 { only: false } => true,
        }
    }

    /// Whether some packet could be for both.
    fn overlaps(self, other: Self) -> bool {
        match (self, other) {
            (Self::One(one), Self::One(another)) => one == another,
            _ => [Family::V4, Family::V6]
                .into_iter()
                .any(|family| self.covers(family) && other.covers(family)),
        }
    }

    /// How well a packet to this address fits; `None`: not at all.
    fn fit(self, to: Ip) -> Option<u8> {
        match (self, to) {
            (Self::One(ip), _) => (ip == to).then_some(2),
            (Self::Any4, Ip::V4(_)) | (Self::Any6 { .. }, Ip::V6(_)) => Some(1),
            (Self::Any6 { only: false }, Ip::V4(_)) => Some(0),
            _ => None,
        }
    }
}

/// `SO_REUSEADDR` and `SO_REUSEPORT`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reuse {
    /// `SO_REUSEADDR`
    pub(crate) address: bool,
    /// `SO_REUSEPORT`
    pub(crate) port: bool,
}

struct Entry {
    id: u64,
    protocol: Protocol,
    port: u16,
    scope: Scope,
    reuse: Reuse,
    listener: Option<Arc<Listener>>,
    inbox: Option<Arc<Inbox>>,
    /// The connection that the port was taken for. When it has failed the port is free, whoever has yet to notice.
    connection: Option<Arc<Endpoint>>,
}

impl Entry {
    fn is_stale(&self) -> bool {
        let connection = self.connection.as_ref();
        connection.is_some_and(|endpoint| endpoint.state.lock().conn.is_over())
    }

    fn is_at(&self, protocol: Protocol, port: u16) -> bool {
        (self.protocol, self.port) == (protocol, port)
    }

    fn conflicts(&self, scope: Scope, reuse: Reuse, listens: bool) -> bool {
        let shares_address =
            self.reuse.address && reuse.address && !(listens && self.listener.is_some());
        let shares_port = self.reuse.port && reuse.port;
        self.scope.overlaps(scope) && !shares_address && !shares_port && !self.is_stale()
    }
}

struct Table {
    buckets: [KVec<Entry>; BUCKETS],
    last_id: u64,
    /// Which of several equal listeners is next.
    turn: usize,
}

global_lock! {
    // SAFETY: Initialised by `init()`, before any socket can exist.
    unsafe(uninit) static PORTS: SpinLock<Table> = Table {
        buckets: [const { KVec::new() }; BUCKETS],
        last_id: 0,
        turn: 0,
    };
}

/// Prepares the table.
///
/// # Safety
///
/// Must be called once, before anything else of this module.
pub(super) unsafe fn init() {
    // SAFETY: As the caller promises.
    unsafe { PORTS.init() }
}

impl Table {
    fn bucket(&mut self, port: u16) -> &mut KVec<Entry> {
        &mut self.buckets[usize::from(port) % BUCKETS]
    }

    fn entry(&mut self, port: u16, id: u64) -> Option<&mut Entry> {
        self.bucket(port).iter_mut().find(|entry| entry.id == id)
    }

    fn is_free(&mut self, protocol: Protocol, port: u16, scope: Scope) -> bool {
        !self
            .bucket(port)
            .iter()
            .any(|entry| entry.is_at(protocol, port) && entry.scope.overlaps(scope))
    }

    fn free_port(&mut self, protocol: Protocol, scope: Scope) -> Option<u16> {
        // SAFETY: No requirements.
        let random = unsafe { bindings::get_random_u32() };
        let count = EPHEMERAL.end - EPHEMERAL.start;
        (0..count)
            .map(|step| (EPHEMERAL.start + (random % count + step) % count) as u16)
            .find(|port| self.is_free(protocol, *port, scope))
    }

    fn insert(
        &mut self,
        protocol: Protocol,
        scope: Scope,
        port: u16,
        reuse: Reuse,
    ) -> Result<Binding> {
        self.last_id += 1;
        let id = self.last_id;
        let entry = Entry {
            id,
            protocol,
            port,
            scope,
            reuse,
            listener: None,
            inbox: None,
            connection: None,
        };
        self.bucket(port)
            .push(entry, GFP_ATOMIC)
            .map_err(|_| ENOBUFS)?;
        Ok(Binding {
            id,
            port,
            scope,
            serves: false,
        })
    }
}

/// A socket's hold on an address and port, until it is dropped.
#[derive(Debug)]
pub(crate) struct Binding {
    id: u64,
    port: u16,
    scope: Scope,
    serves: bool,
}

impl Binding {
    /// Binds to a port, or to any free one for port 0.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` if another socket is bound there, or no port is free; `EACCES` if the port needs a privilege that the task lacks;
    /// `ENOBUFS` if memory is short.
    pub(crate) fn new(protocol: Protocol, scope: Scope, port: u16, reuse: Reuse) -> Result<Self> {
        if (1..UNPRIVILEGED).contains(&port) && !may_bind_service() {
            return Err(EACCES);
        }
        let mut table = PORTS.lock();
        let port = match port {
            0 => table.free_port(protocol, scope).ok_or(EADDRINUSE)?,
            port => {
                let taken = table.bucket(port).iter().any(|entry| {
                    entry.is_at(protocol, port) && entry.conflicts(scope, reuse, true)
                });
                if taken {
                    return Err(EADDRINUSE);
                }
                port
            }
        };
        table.insert(protocol, scope, port, reuse)
    }

    /// Binds beside a listener, for a connection that it accepts.
    ///
    /// # Errors
    ///
    /// `ENOBUFS` if memory is short.
    pub(crate) fn accepted(protocol: Protocol, local: Ip, port: u16, reuse: Reuse) -> Result<Self> {
        let scope = Scope::One(local);
        let mut binding = PORTS.lock().insert(protocol, scope, port, reuse)?;
        binding.serves = true;
        Ok(binding)
    }

    /// The port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Address and port.
    pub(crate) fn spot(&self) -> Spot {
        Spot {
            ip: self.scope.ip(),
            port: self.port,
        }
    }

    /// Whether a connection has used the port.
    pub(crate) fn serves(&self) -> bool {
        self.serves
    }

    /// Says which connection uses the port. With `lends`, the port is free when that fails.
    pub(crate) fn serve(&mut self, connection: &Arc<Endpoint>, lends: bool) {
        self.serves = true;
        if !lends {
            return;
        }
        if let Some(entry) = PORTS.lock().entry(self.port, self.id) {
            entry.connection = Some(connection.clone());
        }
    }

    /// Leads datagrams to an inbox from now on.
    pub(crate) fn receive(&self, inbox: Arc<Inbox>) {
        if let Some(entry) = PORTS.lock().entry(self.port, self.id) {
            entry.inbox = Some(inbox);
        }
    }

    /// Changes the address, as a connected datagram socket has only the one that it speaks from.
    pub(crate) fn narrow(&mut self, scope: Scope) {
        self.scope = scope;
        if let Some(entry) = PORTS.lock().entry(self.port, self.id) {
            entry.scope = scope;
        }
    }

    /// Leads connections to a listener from now on.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` if another socket listens there, which shares the address but not the port.
    pub(crate) fn listen(&self, listener: Arc<Listener>, reuse: Reuse) -> Result {
        let mut table = PORTS.lock();
        let (id, port, scope) = (self.id, self.port, self.scope);
        let Some(protocol) = table.entry(port, id).map(|entry| entry.protocol) else {
            return Err(EINVAL);
        };
        let taken = table.bucket(port).iter().any(|entry| {
            entry.id != id
                && entry.is_at(protocol, port)
                && entry.listener.is_some()
                && entry.conflicts(scope, reuse, true)
        });
        if taken {
            return Err(EADDRINUSE);
        }
        if let Some(entry) = table.entry(port, id) {
            entry.listener = Some(listener);
            entry.reuse = reuse;
        }
        Ok(())
    }

    /// Leads no connections anywhere from now on.
    pub(crate) fn unlisten(&self) {
        let listener = PORTS
            .lock()
            .entry(self.port, self.id)
            .and_then(|entry| entry.listener.take());
        // Only now, without the lock, may this have been the last reference.
        drop(listener);
    }
}

impl Drop for Binding {
    fn drop(&mut self) {
        let removed = {
            let mut table = PORTS.lock();
            let bucket = table.bucket(self.port);
            let at = bucket.iter().position(|entry| entry.id == self.id);
            at.and_then(|at| bucket.remove(at).ok())
        };
        // Only now, without the lock, may its listener go.
        drop(removed);
    }
}

/// Who accepts TCP connections to this address and port. Listeners that share it take turns.
pub(crate) fn listener(to: Ip, port: u16) -> Option<Arc<Listener>> {
    let mut table = PORTS.lock();
    table.turn = table.turn.wrapping_add(1);
    let turn = table.turn;
    let fitting = |entry: &Entry| {
        let listens = entry.is_at(Protocol::Tcp, port) && entry.listener.is_some();
        listens.then(|| entry.scope.fit(to)).flatten()
    };
    let bucket = table.bucket(port);
    let best = bucket.iter().filter_map(fitting).max()?;
    let equals = || {
        bucket
            .iter()
            .filter(|entry| fitting(entry) == Some(best))
    };
    let count = equals().count().max(1);
    let chosen = equals().nth(turn % count)?;
    chosen.listener.clone()
}

/// Who takes a datagram: the best fit, and of several that are equal the one that was bound last, unless they share the port
/// (`SO_REUSEPORT`) and take turns by the sender's.
pub(crate) fn inbox(to: Spot, from: Spot) -> Option<Arc<Inbox>> {
    let mut table = PORTS.lock();
    let fitting = |entry: &Entry| {
        let inbox = entry.inbox.as_ref()?;
        if !entry.is_at(Protocol::Udp, to.port) {
            return None;
        }
        let by_peer = inbox.fit(from)?;
        Some((by_peer, entry.scope.fit(to.ip)?))
    };
    let bucket = table.bucket(to.port);
    let best = bucket.iter().filter_map(fitting).max()?;
    let equals = || {
        bucket
            .iter()
            .rev()
            .filter(|entry| fitting(entry) == Some(best))
    };
    let newest = equals().next()?;
    let chosen = if newest.reuse.port {
        equals().nth(usize::from(from.port) % equals().count().max(1))?
    } else {
        newest
    };
    chosen.inbox.clone()
}

/// Calls `give` for everybody who takes a datagram that is for many: to a group, or to all if `group` is none.
pub(crate) fn each_inbox(
    to: Spot,
    from: Spot,
    group: Option<Group>,
    mut give: impl FnMut(&Inbox),
) {
    if group.is_some_and(|group| !groups::is_wanted(group, from.ip)) {
        return;
    }
    let mut table = PORTS.lock();
    for entry in table.bucket(to.port).iter() {
        let Some(inbox) = &entry.inbox else {
            continue;
        };
        let fits = entry.is_at(Protocol::Udp, to.port)
            && entry.scope.fit(to.ip).is_some()
            && inbox.fit(from).is_some();
        if fits && group.is_none_or(|group| inbox.takes(group, from.ip)) {
            give(inbox);
        }
    }
}

fn may_bind_service() -> bool {
    // SAFETY: A system call of the task is under way.
    unsafe { bindings::capable(bindings::CAP_NET_BIND_SERVICE as kernel::ffi::c_int) }
}
