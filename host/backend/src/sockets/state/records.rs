// SPDX-License-Identifier: Apache-2.0
//! The rings of a datagram socket: records (docs/virtio-nexus.md, section 5).

use std::io;

use nexus_proto::wire::record::{HEADER_LENGTH, HEADER_SIZE};
use nexus_proto::wire::{DecodeError, Record};
use vm_memory::VolatileSlice;

use super::State;

/// What became of an attempt to move a datagram.
#[derive(Debug)]
pub(in crate::sockets) enum Step {
    /// One moved, or was dealt with.
    Done,
    /// None now: the tx ring is empty, or the rx ring has no room.
    Idle,
    /// None now: the host's socket would block.
    Blocked,
    /// None now: what the guest sends has to wait for its deferred writes.
    Held,
    /// The guest closed the socket and its last datagram has moved, or the device is gone.
    Over,
    /// The guest wrote what is no record.
    Violation(DecodeError),
}

impl State {
    /// See [`Socket::send_record`](crate::sockets::Socket::send_record).
    pub(in crate::sockets) fn send_record(
        &mut self,
        send: impl FnOnce(&Record, [VolatileSlice<'_>; 2]) -> io::Result<()>,
    ) -> Result<u64, Step> {
        if self.is_held() {
            return Err(Step::Held);
        }
        let rings = match &self.rings {
            Some(rings) if self.close != Some(true) => rings,
            _ => return Err(Step::Over),
        };
        let used = rings
            .tx
            .used(self.tx_produced, self.tx_consumed)
            .unwrap_or(0);
        if used == 0 {
            return Err(if self.closing() {
                Step::Over
            } else {
                Step::Idle
            });
        }
        // A copy, since the guest may write there at any time.
        let mut header = [0; HEADER_SIZE];
        gather(&rings.tx_runs(self.tx_consumed, HEADER_LENGTH), &mut header);
        let record = Record::decode(&header, used).map_err(Step::Violation)?;
        if let Some(error) = record.error {
            return Err(Step::Violation(DecodeError::Flags(error)));
        }
        let payload = rings.tx_runs(self.tx_consumed + u64::from(HEADER_LENGTH), record.length);
        match send(&record, payload) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(Step::Blocked),
            // What becomes of a datagram its sender learns by a record, if at all.
            _ => {}
        }
        self.tx_consumed += record.span();
        // A datagram may need more room than half a ring.
        self.news |= self.tx_consumed == self.tx_produced
            || rings.tx.report_due(self.tx_consumed, self.tx_reported);
        self.release_if_over();
        Ok(record.length.into())
    }

    /// See [`Socket::receive_record`](crate::sockets::Socket::receive_record).
    pub(in crate::sockets) fn receive_record(
        &mut self,
        length: u32,
        fill: impl FnOnce([VolatileSlice<'_>; 2]) -> io::Result<Option<Record>>,
    ) -> Result<u64, Step> {
        let rings = match &self.rings {
            Some(rings) if !self.closing() => rings,
            _ => return Err(Step::Over),
        };
        let credit = rings
            .rx
            .credit(self.rx_produced, self.rx_consumed)
            .unwrap_or(0);
        let needed = u64::from(HEADER_LENGTH) + u64::from(length).next_multiple_of(8);
        if needed > u64::from(rings.rx.size()) {
            // It will never fit: taken out and dropped.
            return match fill(rings.rx_runs(self.rx_produced, 0)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(Step::Blocked),
                _ => Ok(0),
            };
        }
        if needed > u64::from(credit) {
            return Err(Step::Idle);
        }
        let at = self.rx_produced + u64::from(HEADER_LENGTH);
        let record = match fill(rings.rx_runs(at, length)) {
            Ok(Some(record)) if record.length <= length => record,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(Step::Blocked),
            Ok(_) | Err(_) => return Ok(0),
        };
        scatter(
            &record.encode(),
            &rings.rx_runs(self.rx_produced, HEADER_LENGTH),
        );
        self.rx_produced += record.span();
        self.news = true;
        Ok(record.length.into())
    }
}

/// Copies bytes out of guest memory.
fn gather(from: &[VolatileSlice<'_>; 2], mut to: &mut [u8]) {
    for run in from {
        let part = run.len().min(to.len());
        let (now, rest) = to.split_at_mut(part);
        run.copy_to(now);
        to = rest;
    }
}

/// Copies bytes into guest memory.
fn scatter(mut from: &[u8], to: &[VolatileSlice<'_>; 2]) {
    for run in to {
        let part = run.len().min(from.len());
        let (now, rest) = from.split_at(part);
        run.copy_from(now);
        from = rest;
    }
}
