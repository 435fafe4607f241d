// SPDX-License-Identifier: Apache-2.0
//! The state of one socket (docs/virtio-nexus.md, section 3) and its credit (section 4), without a word of who holds it.

mod bytes;
mod records;

use std::io;
use std::sync::Arc;
use std::task::Waker;

use nexus_proto::wire::{
    Address, DecodeError, Event, Family, Progress, SocketId, SocketOption, Status,
};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

pub(super) use self::bytes::Urgency;
pub(super) use self::records::Step;
use super::raw::errno;
use super::rings::Rings;
use crate::writeback::Writeback;

/// What a guest did to one of its sockets that no honest driver does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SocketViolation {
    #[error("a second connect")]
    Reconnect,
    #[error("a listen of a socket that is none for datagrams")]
    Listen,
    #[error("a request after close")]
    Closed,
    #[error(
        "tx_produced {produced} with {reported} reported as consumed of a ring of {size} bytes"
    )]
    TxOverrun {
        produced: u64,
        reported: u64,
        size: u32,
    },
    #[error("tx_produced went back from {from} to {to}")]
    TxBack { from: u64, to: u64 },
    #[error("tx_produced moved from {from} to {to} after the shutdown that made it final")]
    TxAfterShutdown { from: u64, to: u64 },
    #[error("byte {at} is urgent, but tx_produced is {produced}")]
    Urgent { at: u64, produced: u64 },
    #[error("rx_consumed {consumed} exceeds rx_produced {produced}")]
    RxOverrun { consumed: u64, produced: u64 },
    #[error("rx_consumed went back from {from} to {to}")]
    RxBack { from: u64, to: u64 },
    #[error("no datagram: {0}")]
    Record(#[from] DecodeError),
}

/// What became of an attempt to move bytes.
#[derive(Debug)]
pub(super) enum Moved {
    /// So many.
    Bytes,
    /// None now: the ring offers nothing.
    Idle,
    /// None now: the peer would block.
    Blocked,
    /// None now: what the guest sends has to wait for its deferred writes.
    Held,
    /// This direction is over and its last byte has moved.
    Finished,
    /// The guest takes nothing more: what the peer sends is to be dropped.
    Discard,
    /// The connection broke.
    Failed(io::Error),
    /// The socket is to be reset: the guest wants it, or the device is gone. There are no rings any more.
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    Connecting,
    Connected,
    Failed(u16),
}

/// Who moves the bytes of a socket and so releases it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mover {
    /// Nobody: never connected, or over.
    Nobody,
    /// A task with sockets of the host, which releases when it has closed them.
    Host,
    /// A service, which cannot be relied on to come back; the socket is released without it.
    Service,
}

/// What is to be known about a socket.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and most are flags of the protocol"
)]
pub(super) struct State {
    /// Gone when the socket is released or its device reset: see `rings`.
    rings: Option<Rings>,
    phase: Phase,
    mover: Mover,
    /// What has to be durable before anything leaves the host from here.
    gate: Option<Arc<Writeback>>,
    connected: bool,
    local: Address,
    tx_produced: u64,
    tx_consumed: u64,
    tx_reported: u64,
    /// Position of the last urgent byte of the tx ring.
    tx_urgent: Option<u64>,
    rx_produced: u64,
    rx_consumed: u64,
    rx_eof: bool,
    shut_wr: bool,
    shut_rd: bool,
    /// `Some(abort)` once the guest closed.
    close: Option<bool>,
    released: bool,
    /// The connection that the mover serves, for small writes: they need no turn of the mover.
    shortcut: Option<Arc<TcpStream>>,
    /// The error that such a write has met, for the mover to find.
    broken: Option<io::Error>,
    /// The mover waits for room in the rx ring.
    starved: bool,
    /// Options that the host's socket has yet to get: at most one value for each.
    options: Vec<(SocketOption, i32)>,
    /// Whether it carries datagrams.
    is_datagram: bool,
    /// The port at which a datagram socket is to receive, until somebody sees to it.
    published: Option<u16>,
    /// Whether the guest has yet to be told something. None arise once the rings are gone, but that they are.
    news: bool,
    /// Whoever looks after a close that waits for the peer.
    watch: Option<AbortHandle>,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

impl State {
    /// A socket as OPEN leaves it.
    pub(super) fn new(rings: Rings, family: Family) -> Self {
        Self {
            rings: Some(rings),
            phase: Phase::Open,
            mover: Mover::Nobody,
            gate: None,
            connected: false,
            local: Address::unspecified(family),
            tx_produced: 0,
            tx_consumed: 0,
            tx_reported: 0,
            tx_urgent: None,
            rx_produced: 0,
            rx_consumed: 0,
            rx_eof: false,
            shut_wr: false,
            shut_rd: false,
            close: None,
            released: false,
            shortcut: None,
            broken: None,
            starved: false,
            options: Vec::new(),
            is_datagram: false,
            published: None,
            news: false,
            watch: None,
            reader: None,
            writer: None,
        }
    }

    /// A datagram socket, which is connected from the start.
    pub(super) fn datagram(rings: Rings, local: Address) -> Self {
        Self {
            phase: Phase::Connected,
            mover: Mover::Host,
            connected: true,
            local,
            is_datagram: true,
            ..Self::new(rings, local.family())
        }
    }

    /// A socket for a connection that somebody else made.
    pub(super) fn accepted(rings: Rings, local: Address) -> Self {
        Self {
            phase: Phase::Connected,
            mover: Mover::Host,
            connected: true,
            local,
            ..Self::new(rings, local.family())
        }
    }

    // ---- Requests: see the methods of `Socket` by the same names ----------------------------------------------

    pub(super) fn begin_connect(&mut self) -> Result<(), SocketViolation> {
        if self.closing() {
            return Err(SocketViolation::Closed);
        }
        if self.phase != Phase::Open {
            return Err(SocketViolation::Reconnect);
        }
        self.phase = Phase::Connecting;
        Ok(())
    }

    pub(super) fn update(&mut self, progress: Progress) -> Result<(), SocketViolation> {
        if self.closing() {
            return Err(SocketViolation::Closed);
        }
        self.produce(progress.tx_produced)?;
        self.consume(progress.rx_consumed)?;
        if let Some(at) = progress.urgent {
            let produced = progress.tx_produced;
            if at >= produced {
                return Err(SocketViolation::Urgent { at, produced });
            }
            self.tx_urgent = Some(at);
        }
        self.shut_wr |= progress.shut_wr;
        self.shut_rd |= progress.shut_rd;
        Ok(())
    }

    pub(super) fn set_option(
        &mut self,
        option: SocketOption,
        value: i32,
    ) -> Result<(), SocketViolation> {
        if self.closing() {
            return Err(SocketViolation::Closed);
        }
        match self.options.iter_mut().find(|(known, _)| *known == option) {
            Some((_, last)) => *last = value,
            None => self.options.push((option, value)),
        }
        Ok(())
    }

    pub(super) fn take_options(&mut self) -> Vec<(SocketOption, i32)> {
        std::mem::take(&mut self.options)
    }

    pub(super) fn publish(&mut self, port: u16) -> Result<(), SocketViolation> {
        if self.closing() {
            return Err(SocketViolation::Closed);
        }
        if !self.is_datagram {
            return Err(SocketViolation::Listen);
        }
        self.published = Some(port);
        Ok(())
    }

    pub(super) fn take_published(&mut self) -> Option<u16> {
        self.published.take()
    }

    pub(super) fn close(&mut self, tx_produced: u64, abort: bool) -> Result<(), SocketViolation> {
        if self.closing() {
            return Err(SocketViolation::Closed);
        }
        self.produce(tx_produced)?;
        self.close = Some(abort);
        self.release_if_over();
        Ok(())
    }

    pub(super) fn lingering(&self) -> Option<u64> {
        let lingers = self.close == Some(false) && self.rings.is_some();
        lingers.then_some(self.tx_consumed)
    }

    /// Whether the wait is for the guest's own deferred writes, and not for the peer.
    pub(super) fn lingers_behind_writes(&self) -> bool {
        self.is_held()
    }

    pub(super) fn watch(&mut self, watch: AbortHandle) {
        self.watch = Some(watch);
        self.dismiss_watch();
    }

    pub(super) fn abort(&mut self) {
        self.close = Some(true);
        self.release_if_over();
    }

    pub(super) fn detach(&mut self) {
        self.rings = None;
        self.news = false;
        self.dismiss_watch();
    }

    // ---- Events -----------------------------------------------------------------------------------------------

    pub(super) fn has_news(&self) -> bool {
        self.news
    }

    pub(super) fn event(&mut self, socket: SocketId) -> Option<Event> {
        // The release sets this once and nothing after it does, so that it is told exactly once.
        let news = std::mem::take(&mut self.news);
        if self.released {
            return news.then_some(Event::Released { socket });
        }
        if self.closing() || self.rings.is_none() {
            return None;
        }
        self.tx_reported = self.tx_consumed;
        let status = Status {
            connected: self.connected,
            rx_eof: self.rx_eof,
            error: match self.phase {
                Phase::Failed(error) => Some(error),
                _ => None,
            },
            rx_produced: self.rx_produced,
            tx_consumed: self.tx_consumed,
            local: self.local,
        };
        Some(Event::Status { socket, status })
    }

    // ---- Movers -----------------------------------------------------------------------------------------------

    pub(super) fn attach(&mut self, mover: Mover) {
        self.mover = mover;
    }

    pub(super) fn established(&mut self, local: Address) {
        if self.phase == Phase::Connecting && self.rings.is_some() {
            self.phase = Phase::Connected;
            self.connected = true;
            self.local = local;
            self.news = true;
        }
    }

    pub(super) fn finish(&mut self, error: Option<u16>) {
        self.mover = Mover::Nobody;
        if let (Some(error), None) = (error, self.close) {
            self.fail(error);
        }
        self.release_if_over();
    }

    pub(super) fn hang_up(&mut self) {
        self.eof();
        let unread = self.pending() > 0;
        self.finish(unread.then_some(errno(libc::ECONNRESET)));
    }

    pub(super) fn closing(&self) -> bool {
        self.close.is_some()
    }

    pub(super) fn abandoned(&self) -> bool {
        match self.close {
            _ if self.rings.is_none() => true,
            Some(abort) => abort || self.pending() == 0,
            None => false,
        }
    }

    pub(super) fn set_shortcut(&mut self, shortcut: Option<Arc<TcpStream>>) {
        self.shortcut = shortcut;
    }

    /// Whether the mover has something to do after an update.
    pub(super) fn concerns_mover(&mut self) -> bool {
        let room_for_starved = self.starved && self.writable();
        self.starved &= !room_for_starved;
        let served = self.shortcut.is_some() && self.pending() == 0 && self.broken.is_none();
        !served || room_for_starved || self.shut_wr || self.shut_rd
    }

    /// Whether the device is gone, as opposed to the socket released.
    pub(super) fn detached(&self) -> bool {
        self.rings.is_none() && !self.released
    }

    /// Wakes a service that waits for the guest.
    pub(super) fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()]
            .into_iter()
            .flatten()
        {
            waker.wake();
        }
    }

    /// Bytes that the guest gave and the peer has not taken.
    fn pending(&self) -> u64 {
        self.tx_produced - self.tx_consumed
    }

    /// Whether [`State::transmit`] would have something to say.
    pub(super) fn readable(&self) -> bool {
        self.rings.is_none() || self.pending() > 0 || self.tx_final()
    }

    /// Whether [`State::receive`] would have something to say.
    pub(super) fn writable(&self) -> bool {
        match &self.rings {
            Some(rings) if !self.shut_rd && !self.rx_eof && !self.closing() => {
                rings.rx.credit(self.rx_produced, self.rx_consumed) != Some(0)
            }
            _ => true,
        }
    }

    /// Whether the guest's last byte is in the tx ring, or taken.
    fn tx_final(&self) -> bool {
        self.shut_wr || self.closing()
    }

    fn produce(&mut self, to: u64) -> Result<(), SocketViolation> {
        let from = self.tx_produced;
        if to < from {
            return Err(SocketViolation::TxBack { from, to });
        }
        if to > from && self.shut_wr {
            return Err(SocketViolation::TxAfterShutdown { from, to });
        }
        let Some(rings) = &self.rings else {
            return Ok(());
        };
        if rings.tx.used(to, self.tx_reported).is_none() {
            return Err(SocketViolation::TxOverrun {
                produced: to,
                reported: self.tx_reported,
                size: rings.tx.size(),
            });
        }
        self.tx_produced = to;
        if to > from && self.phase == Phase::Connected && self.mover == Mover::Nobody {
            // Whoever took the guest's bytes is gone, as after a peer's reset.
            self.fail(errno(libc::EPIPE));
        }
        Ok(())
    }

    fn consume(&mut self, to: u64) -> Result<(), SocketViolation> {
        if to < self.rx_consumed {
            let from = self.rx_consumed;
            return Err(SocketViolation::RxBack { from, to });
        }
        if to > self.rx_produced {
            return Err(SocketViolation::RxOverrun {
                consumed: to,
                produced: self.rx_produced,
            });
        }
        self.rx_consumed = to;
        Ok(())
    }

    fn fail(&mut self, error: u16) {
        if !matches!(self.phase, Phase::Failed(_)) && self.rings.is_some() {
            self.phase = Phase::Failed(error);
            self.news = true;
        }
    }

    pub(super) fn eof(&mut self) {
        if !self.rx_eof && self.rings.is_some() {
            self.rx_eof = true;
            self.news = true;
        }
    }

    /// Releases a closed socket for which there is nothing left to do or to wait for.
    fn release_if_over(&mut self) {
        let over = match (self.close, self.mover) {
            (None, _) | (_, Mover::Host) => false,
            (_, Mover::Nobody) | (Some(true), Mover::Service) => true,
            (Some(false), Mover::Service) => self.pending() == 0,
        };
        if over && self.rings.take().is_some() {
            self.released = true;
            self.news = true;
            self.dismiss_watch();
        }
    }

    /// Ends the watch over a wait that is over.
    fn dismiss_watch(&mut self) {
        if self.lingering().is_none()
            && let Some(watch) = self.watch.take()
        {
            watch.abort();
        }
    }
}
