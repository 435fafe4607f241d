// SPDX-License-Identifier: GPL-2.0-only
//! The state machine of one connection: pure logic, without memory, locks or queues.
//!
//! ```text
//!    new()              STATUS CONNECTED                close()             RELEASED
//!  --------> Connecting -----------------> Connected -----------> Closing ----------> Released
//!                |                             |                   ^  ^
//!                | STATUS FAILED               | STATUS FAILED     |  |
//!                +----------> Failed <---------+                   |  |
//!                |               |              close()            |  |
//!                |               +---------------------------------+  |
//!                |                              close()               |
//!                +----------------------------------------------------+
//! ```
//!
//! What the device has yet to be told is kept as marks, not as messages ([`Connection::next_request`] turns them into
//! messages, in the order that the protocol wants), so a full queue costs nothing but time.

mod begin;
mod news;

use crate::proto::{Address, Family, Kind, Progress, Ring, SocketOption, Status};
use news::Marks;

/// Where a connection is in its life; see the diagram above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The outcome of CONNECT is awaited.
    Connecting,
    /// The connection is, or was, established; either direction may have ended.
    Connected,
    /// The device, or this driver for a violation, gave it up. Received bytes stay readable.
    Failed,
    /// The user is gone; the device still has the rings.
    Closing,
    /// The device has released id and rings, or was reset.
    Released,
}

/// What the device must never report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// A position went back, beyond credit, or on after its end.
    Position,
    /// CONNECTED or RX_EOF was taken back.
    Flags,
    /// The local address is of the other family.
    Family,
    /// RELEASED without a CLOSE.
    Released,
}

/// Whom a change concerns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// New bytes can be read.
    pub(crate) readable: bool,
    /// Somebody waited for room to write, and there is some.
    pub(crate) writable: bool,
    /// Phase or end of a direction changed: everybody.
    pub(crate) state: bool,
    /// The connection failed with this errno, as on the wire.
    pub(crate) error: Option<u16>,
}

/// One connection, from OPEN to RELEASED.
///
/// Positions of a ring keep `consumed <= produced <= consumed + size`, whatever the device says.
#[derive(Debug)]
pub(crate) struct Connection {
    kind: Kind,
    phase: Phase,
    news: Marks,
    peer: Address,
    source_port: u16,
    /// The number of a connection that arrived from outside, or zero.
    arrival: u32,
    local: Address,
    tx: Ring,
    tx_produced: u64,
    /// `tx_produced` as the device knows it.
    tx_told: u64,
    tx_consumed: u64,
    rx: Ring,
    rx_produced: u64,
    rx_consumed: u64,
    /// `rx_consumed` as the device knows it.
    rx_told: u64,
    rx_eof: bool,
    shut_wr: bool,
    shut_rd: bool,
    /// Somebody found no room and is to be woken when there is.
    wants_room: bool,
    /// Within the guest: what the other side's buffer may hold, which with this side's is the most that is on its way.
    peer_share: Option<u32>,
    /// Bytes that may be on their way.
    tx_limit: u32,
    /// The most that either side wants in a segment (`TCP_MAXSEG`), or zero. What is sent has no segments; it is for who asks.
    segment_limit: u32,
    /// Position of the last urgent byte that was written, for the other side to be told.
    tx_urgent: Option<u64>,
    rx_urgent: Option<Urgent>,
}

/// An urgent byte that was received and not passed (`MSG_OOB`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Urgent {
    /// Its position.
    pub(crate) at: u64,
    /// It was read as urgent, once and for all.
    pub(crate) was_read: bool,
}

impl Connection {
    /// Where the connection is in its life.
    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// The address that the user connected to.
    pub(crate) fn peer(&self) -> Address {
        self.peer
    }

    /// The local address; unspecified until connected.
    pub(crate) fn local(&self) -> Address {
        self.local
    }

    fn family(&self) -> Family {
        self.peer.family()
    }

    /// How far the user has come.
    pub(crate) fn progress(&self) -> Progress {
        Progress {
            tx_produced: self.tx_produced,
            rx_consumed: self.rx_consumed,
            shut_wr: self.shut_wr,
            shut_rd: self.shut_rd,
            urgent: self.tx_urgent.filter(|at| *at >= self.tx_consumed),
        }
    }

    // From the device.

    /// Takes in a status event.
    ///
    /// # Errors
    ///
    /// A [`Violation`], and nothing has changed.
    pub(crate) fn apply(&mut self, status: &Status) -> Result<Changes, Violation> {
        if !matches!(self.phase, Phase::Connecting | Phase::Connected) {
            // Sent before the device knew, or repeated.
            return Ok(Changes::default());
        }
        self.check(status)?;
        let mut changes = Changes {
            readable: status.rx_produced > self.rx_produced,
            state: status.rx_eof && !self.rx_eof,
            ..Changes::default()
        };
        self.rx_produced = status.rx_produced;
        self.tx_consumed = status.tx_consumed;
        self.rx_eof = status.rx_eof;
        if status.connected && self.phase == Phase::Connecting {
            self.phase = Phase::Connected;
            self.local = status.local;
            changes.state = true;
        }
        if status.error.is_some() {
            self.phase = Phase::Failed;
            self.news.update = false;
            changes.state = true;
            changes.error = status.error;
        }
        if self.wants_room && self.has_room() {
            self.wants_room = false;
            changes.writable = true;
        }
        Ok(changes)
    }

    fn check(&self, status: &Status) -> Result<(), Violation> {
        let rx_grows = status.rx_produced >= self.rx_produced
            && !(self.rx_eof && status.rx_produced > self.rx_produced)
            && self.rx.used(status.rx_produced, self.rx_told).is_some();
        let tx_grows = status.tx_consumed >= self.tx_consumed && status.tx_consumed <= self.tx_told;
        if !rx_grows || !tx_grows {
            return Err(Violation::Position);
        }
        let was_connected = self.phase == Phase::Connected;
        if (was_connected && !status.connected) || (self.rx_eof && !status.rx_eof) {
            return Err(Violation::Flags);
        }
        if status.connected && status.local.family() != self.family() {
            return Err(Violation::Family);
        }
        Ok(())
    }

    /// Takes in a released event.
    ///
    /// # Errors
    ///
    /// [`Violation::Released`] if it was not asked for. It counts all the same: the device will not know the id any more.
    pub(crate) fn released(&mut self) -> Result<(), Violation> {
        let asked = self.phase == Phase::Closing;
        self.end(Phase::Released);
        if asked {
            Ok(())
        } else {
            Err(Violation::Released)
        }
    }

    /// Gives the connection up for a violation. The device is still told of its end.
    ///
    /// Returns whether anybody may be interested.
    pub(crate) fn fail(&mut self) -> bool {
        let open = matches!(self.phase, Phase::Connecting | Phase::Connected);
        if open {
            self.phase = Phase::Failed;
            self.news.update = false;
        }
        open
    }

    /// The device was reset and knows nothing any more.
    pub(crate) fn reset(&mut self) {
        self.end(Phase::Released);
    }

    fn end(&mut self, phase: Phase) {
        self.phase = phase;
        self.news = Marks::default();
    }

    // From the user.

    /// Ends the connection for the user. Bytes that nobody read make it an abort, as in Linux' `tcp_close()`.
    pub(crate) fn close(&mut self, abort: bool) {
        if matches!(self.phase, Phase::Closing | Phase::Released) {
            return;
        }
        let abort = abort || self.phase != Phase::Connected || self.readable() > 0;
        self.phase = Phase::Closing;
        self.news.close = Some(abort);
    }

    /// Ends a datagram socket for the user; what was sent still goes out.
    pub(crate) fn close_datagram(&mut self) {
        if !matches!(self.phase, Phase::Closing | Phase::Released) {
            let abort = self.phase != Phase::Connected;
            self.phase = Phase::Closing;
            self.news.close = Some(abort);
        }
    }

    /// Ends directions for the user; the device is told.
    ///
    /// Returns false, and nothing has changed, unless connected: nothing may be said of a socket that was closed.
    #[must_use]
    pub(crate) fn shutdown(&mut self, read: bool, write: bool) -> bool {
        if self.phase != Phase::Connected {
            return false;
        }
        self.shut_rd |= read;
        self.shut_wr |= write;
        self.news.update = true;
        true
    }

    /// Directions that the user had shut down before there was a connection stay so, without a word to the peer.
    pub(crate) fn begin_shut(&mut self, read: bool, write: bool) {
        self.shut_rd = read;
        self.shut_wr = write;
    }

    /// Has the device receive at a port for a datagram socket.
    pub(crate) fn listen(&mut self, local: Address) {
        if self.phase == Phase::Connected {
            self.news.listen = Some(local);
        }
    }

    /// Sets an option of the host's socket.
    pub(crate) fn set_option(&mut self, option: SocketOption, value: i32) {
        let open = matches!(self.phase, Phase::Connecting | Phase::Connected);
        if let Some(news) = self.news.options.get_mut(option.index()).filter(|_| open) {
            *news = Some(value);
        }
    }

    /// Position where the next byte for the peer goes.
    pub(crate) fn tx_position(&self) -> u64 {
        self.tx_produced
    }

    /// Bytes that can be written now; none before the connection is established.
    pub(crate) fn room(&self) -> u32 {
        if self.phase == Phase::Connecting {
            return 0;
        }
        let credit = self
            .tx
            .credit(self.tx_produced, self.tx_consumed)
            .unwrap_or(0);
        credit.min(self.tx_limit.saturating_sub(self.unsent()))
    }

    /// Says that the other side is in this guest, and how much its buffer may hold.
    pub(crate) fn share_with(&mut self, peer_share: u32) {
        self.peer_share = Some(peer_share);
    }

    /// Takes in what a side wants at most in a segment, unless that is zero.
    pub(crate) fn limit_segments(&mut self, most: u32) {
        if most != 0 && (self.segment_limit == 0 || most < self.segment_limit) {
            self.segment_limit = most;
        }
    }

    /// Bytes in a segment, of which a packet to the peer could carry `largest`: less the room for a time stamp, which
    /// every segment has, and at most half of the window that the peer opens with. On loopback, whose packets are large, that
    /// window is one of them (`tcp_bound_to_half_wnd()`).
    pub(crate) fn segment_size(&self, largest: u32) -> u32 {
        const TIME_STAMP: u32 = 12;
        const WINDOW: u32 = 65535;
        let most = match self.segment_limit {
            0 => largest,
            limit => limit.min(largest),
        };
        let carried = largest.saturating_sub(TIME_STAMP);
        let window = WINDOW / carried.max(1) * carried;
        most.saturating_sub(TIME_STAMP).min(window / 2)
    }

    /// Takes in how much this side's buffer may hold now (`SO_SNDBUF`).
    pub(crate) fn limit_tx(&mut self, own_share: u32) {
        if let Some(peer_share) = self.peer_share {
            self.tx_limit = own_share.saturating_add(peer_share);
        }
    }

    /// Whether enough can be written to wake a writer for: a third of the ring, as for TCP. A device reports after half a
    /// ring, so it never stays below.
    pub(crate) fn has_room(&self) -> bool {
        self.room() >= self.tx.size().min(self.tx_limit) / 3
    }

    /// Asks for a change to say so when there is [room](Self::has_room).
    pub(crate) fn want_room(&mut self) {
        self.wants_room = true;
    }

    /// Bytes were written from [`Self::tx_position`] on, at most [`Self::room`]; the device is told.
    ///
    /// Returns whether they count. They do not if the direction has ended while they were being written: the device has
    /// the final position then, or will have it.
    #[must_use]
    pub(crate) fn wrote(&mut self, length: u32, last_is_urgent: bool) -> bool {
        if self.write_ended() {
            return false;
        }
        self.tx_produced += u64::from(length.min(self.room()));
        if last_is_urgent {
            self.tx_urgent = self.tx_produced.checked_sub(1);
        }
        self.news.update = true;
        true
    }

    /// Bytes written that the device has not reported as taken.
    pub(crate) fn unsent(&self) -> u32 {
        self.tx
            .used(self.tx_produced, self.tx_consumed)
            .unwrap_or(0)
    }

    /// Position of the next byte to read.
    pub(crate) fn rx_position(&self) -> u64 {
        self.rx_consumed
    }

    /// Bytes that can be read now.
    pub(crate) fn readable(&self) -> u32 {
        self.rx
            .used(self.rx_produced, self.rx_consumed)
            .unwrap_or(0)
    }

    /// Takes out the position of an urgent byte, of which another socket of the guest has yet to be told.
    pub(crate) fn take_tx_urgent(&mut self) -> Option<u64> {
        self.tx_urgent.take()
    }

    /// The other side has written an urgent byte there.
    pub(crate) fn receive_urgent(&mut self, at: u64) {
        let was_read = false;
        self.rx_urgent = Some(Urgent { at, was_read });
    }

    /// The urgent byte that is ahead of the reader.
    pub(crate) fn urgent(&self) -> Option<Urgent> {
        self.rx_urgent
            .filter(|urgent| urgent.at >= self.rx_consumed)
    }

    /// The urgent byte was read as such.
    pub(crate) fn read_urgent(&mut self) {
        if let Some(urgent) = &mut self.rx_urgent {
            urgent.was_read = true;
        }
    }

    /// Bytes were read from [`Self::rx_position`] on, at most [`Self::readable`]; the device is told when it is due.
    pub(crate) fn read(&mut self, length: u32) {
        self.rx_consumed += u64::from(length.min(self.readable()));
        // Within the guest a report costs nothing, and the writer's limit may be low.
        let is_empty = self.kind == Kind::Datagram && self.readable() == 0;
        let is_due = is_empty
            || self.peer_share.is_some()
            || self.rx.report_due(self.rx_consumed, self.rx_told);
        if self.phase == Phase::Connected && !self.rx_eof && is_due {
            self.news.update = true;
        }
    }

    /// The most bytes that a reader can wait for without stalling the device, which may have no more credit than that
    /// while less than half a ring is unreported.
    pub(crate) fn low_water_max(&self) -> u32 {
        self.rx.size() / 2
    }

    /// The peer has ended its direction.
    pub(crate) fn has_eof(&self) -> bool {
        self.rx_eof
    }

    /// Nothing will be readable beyond what is now.
    pub(crate) fn read_ended(&self) -> bool {
        self.rx_eof || self.shut_rd || self.is_over()
    }

    /// Nothing can be written any more.
    pub(crate) fn write_ended(&self) -> bool {
        self.shut_wr || self.is_over()
    }

    /// Both directions have ended, whoever ended them: TCP_CLOSE, or TIME_WAIT, which no user sees.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_over() || (self.rx_eof && self.shut_wr)
    }

    /// Neither direction lives.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Failed | Phase::Closing | Phase::Released)
    }
}
