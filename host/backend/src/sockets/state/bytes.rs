// SPDX-License-Identifier: Apache-2.0
//! The rings of a stream socket: bytes.

use std::io;
use std::sync::Arc;

use vm_memory::VolatileSlice;

use super::{Moved, State};
use crate::sockets::tcp::transfer;
use crate::writeback::Writeback;

/// Largest write that goes out where the request queue is read, in bytes: many of those must not keep other VMs waiting.
const AT_ONCE_MAX: u32 = 16 << 10;

/// What kind of bytes go to the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sockets) enum Urgency {
    /// Bytes like others.
    Regular,
    /// One byte, which is urgent.
    Urgent,
}

impl State {
    /// See [`Socket::transmit`](crate::sockets::Socket::transmit); `Ok` says how many bytes moved.
    pub(in crate::sockets) fn transmit(
        &mut self,
        limit: u32,
        io: impl FnOnce([VolatileSlice<'_>; 2], Urgency) -> io::Result<usize>,
    ) -> Result<u64, Moved> {
        if let Some(error) = self.broken.take() {
            return Err(Moved::Failed(error));
        }
        if self.is_held() {
            return Err(Moved::Held);
        }
        let rings = match &self.rings {
            Some(rings) if self.close != Some(true) => rings,
            // Only a service outlives the release, and has taken every byte then.
            None if self.released && self.close == Some(false) => return Err(Moved::Finished),
            _ => return Err(Moved::Gone),
        };
        let used = rings
            .tx
            .used(self.tx_produced, self.tx_consumed)
            .unwrap_or(0);
        if used == 0 {
            return Err(if self.tx_final() {
                Moved::Finished
            } else {
                Moved::Idle
            });
        }
        let (length, urgency) = self.until_urgent(used.min(limit));
        let runs = rings.tx_runs(self.tx_consumed, length);
        let bytes = classify(io(runs, urgency))?.min(u64::from(length));
        self.tx_consumed += bytes;
        self.news |= rings.tx.report_due(self.tx_consumed, self.tx_reported);
        self.release_if_over();
        Ok(bytes)
    }

    pub(in crate::sockets) fn put_behind(&mut self, gate: Arc<Writeback>) {
        self.gate = Some(gate);
    }

    /// Whether what the guest sends, or that it sends nothing more, has to wait. Asked under the socket's lock: so what the guest
    /// wrote after it was told of a write is seen only when that write is known.
    pub(super) fn is_held(&self) -> bool {
        let waits = |gate: &Arc<Writeback>| !gate.is_clear();
        self.gate.as_ref().is_some_and(waits) && self.rings.is_some() && self.readable()
    }

    /// How many of the next `length` bytes are alike: those before an urgent one, that one, or those behind it.
    fn until_urgent(&self, length: u32) -> (u32, Urgency) {
        let ahead = self
            .tx_urgent
            .and_then(|at| at.checked_sub(self.tx_consumed));
        match ahead {
            Some(0) => (length.min(1), Urgency::Urgent),
            Some(ahead) => {
                let before = u32::try_from(ahead).unwrap_or(u32::MAX);
                (length.min(before), Urgency::Regular)
            }
            None => (length, Urgency::Regular),
        }
    }

    /// Sends a small write by the shortcut, if there is one; says how many bytes. What is left is the mover's.
    pub(in crate::sockets) fn transmit_at_once(&mut self) -> u64 {
        let small = (1..=u64::from(AT_ONCE_MAX)).contains(&self.pending());
        let Some(stream) = self.shortcut.clone().filter(|_| small) else {
            return 0;
        };
        let send = |runs: [VolatileSlice<'_>; 2], urgency| transfer::send(&stream, &runs, urgency);
        match self.transmit(AT_ONCE_MAX, send) {
            Ok(bytes) => bytes,
            Err(Moved::Failed(error)) => {
                self.broken = Some(error);
                0
            }
            Err(_) => 0,
        }
    }

    /// See [`Socket::receive`](crate::sockets::Socket::receive); `Ok` says how many bytes moved.
    pub(in crate::sockets) fn receive(
        &mut self,
        limit: u32,
        io: impl FnOnce([VolatileSlice<'_>; 2]) -> io::Result<usize>,
    ) -> Result<u64, Moved> {
        let rings = match &self.rings {
            Some(rings) if self.close != Some(true) => rings,
            _ => return Err(Moved::Gone),
        };
        if self.rx_eof {
            return Err(Moved::Finished);
        }
        if self.shut_rd || self.closing() {
            return Err(Moved::Discard);
        }
        let credit = rings
            .rx
            .credit(self.rx_produced, self.rx_consumed)
            .unwrap_or(0);
        if credit == 0 {
            self.starved = true;
            return Err(Moved::Idle);
        }
        let length = credit.min(limit);
        let bytes = classify(io(rings.rx_runs(self.rx_produced, length)))?.min(u64::from(length));
        if bytes == 0 {
            self.eof();
            return Err(Moved::Finished);
        }
        self.rx_produced += bytes;
        self.news = true;
        Ok(bytes)
    }
}

fn classify(result: io::Result<usize>) -> Result<u64, Moved> {
    match result {
        Ok(bytes) => Ok(bytes as u64),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(Moved::Blocked),
        Err(error) => Err(Moved::Failed(error)),
    }
}
