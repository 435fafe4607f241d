// SPDX-License-Identifier: GPL-2.0-only
//! A datagram socket's way out of the guest: an endpoint of the device whose rings carry records.

use kernel::{ffi::c_long, prelude::*, sync::Arc};

use crate::ffi::{Message, Sock};
use crate::local::route::Spot;
use crate::proto::config::feature;
use crate::proto::record::HEADER_SIZE;
use crate::proto::{Address, Family, Record};
use crate::socket::stream::buffer::Buffer;
use crate::socket::stream::conn::Connection;
use crate::socket::stream::endpoint::Endpoint;
use crate::virtio::{self, Member as _};

/// The way out of one socket.
#[derive(Clone)]
pub(super) struct Outside(Arc<Endpoint>);

/// What lies at the head of the rx ring.
pub(super) enum Head {
    /// Nothing.
    Empty,
    /// A datagram.
    Datagram(Record),
    /// An earlier datagram failed with this, which was sent there. It is taken out.
    Failure(Error, Spot),
}

/// The bytes of a datagram.
pub(super) enum Payload<'a> {
    /// In the user's memory.
    User(&'a mut Message),
    /// In the kernel's.
    Kernel(&'a [u8]),
}

impl Payload<'_> {
    fn len(&mut self) -> usize {
        match self {
            Self::User(message) => message.source().len(),
            Self::Kernel(bytes) => bytes.len(),
        }
    }
}

impl Outside {
    /// Opens the way.
    ///
    /// # Errors
    ///
    /// `ENETUNREACH` if there is no device that carries datagrams; `ENOBUFS`, `ENOMEM` or `EADDRNOTAVAIL` as for streams.
    pub(super) fn open(sk: &Sock, family: Family) -> Result<Self> {
        let device = virtio::current().ok_or(ENETUNREACH)?;
        if !device.has(feature::DATAGRAM) {
            return Err(ENETUNREACH);
        }
        let (tx, rx) = device.new_rings()?;
        let conn = Connection::datagram(family, *tx.ring(), *rx.ring());
        let (tx, rx) = (Buffer::Device(tx), Buffer::Device(rx));
        let endpoint = Endpoint::new(device.clone(), tx, rx, conn, Some(sk.waker()))?;
        device.enter(endpoint.clone())?;
        Ok(Self(endpoint))
    }

    /// Has datagrams from outside led here that are for the guest's address `local`.
    pub(super) fn listen(&self, local: Address) {
        self.0.state.lock().conn.listen(local);
        self.0.submit();
    }

    /// Sends a datagram.
    ///
    /// # Errors
    ///
    /// `EMSGSIZE` if the ring could never take it, `EAGAIN`, `EINTR` or `ERESTARTSYS` if waiting for room ends without any,
    /// `EFAULT` for a bad address, `ENETUNREACH` if the device is gone.
    pub(super) fn send(
        &self,
        sk: &Sock,
        to: Spot,
        family: Family,
        mut payload: Payload<'_>,
        mut timeout: c_long,
    ) -> Result {
        let endpoint = &self.0;
        let ring = *endpoint.tx.ring();
        let length = u32::try_from(payload.len()).map_err(|_| EMSGSIZE)?;
        if length > Record::largest(ring.size()) {
            return Err(EMSGSIZE);
        }
        let record = Record {
            length,
            error: None,
            address: to.shown_to(family),
        };
        // Not above the ring's size.
        let span = record.span() as u32;
        loop {
            if self.try_send(&record, span, &mut payload)? {
                return Ok(());
            }
            timeout = sk.wait_until(timeout, || {
                let mut state = endpoint.state.lock();
                let ready = state.conn.room() >= span || state.conn.is_over();
                if !ready {
                    state.conn.want_room();
                }
                ready
            })?;
        }
    }

    /// False: there is no room.
    fn try_send(&self, record: &Record, span: u32, payload: &mut Payload<'_>) -> Result<bool> {
        let endpoint = &self.0;
        let _turn = endpoint.send_turn.lock();
        let position = {
            let state = endpoint.state.lock();
            if state.conn.is_over() {
                return Err(ENETUNREACH);
            }
            if state.conn.room() < span {
                return Ok(false);
            }
            state.conn.tx_position()
        };
        endpoint.tx.put(position, &record.encode());
        if record.length > 0 {
            let at = position + HEADER_SIZE as u64;
            match payload {
                Payload::User(message) => {
                    if endpoint.tx.fill(at, record.length, message.source())? < record.length {
                        return Err(EFAULT);
                    }
                }
                Payload::Kernel(bytes) => endpoint.tx.put(at, bytes),
            }
        }
        if !endpoint.state.lock().conn.wrote(span, false) {
            return Err(ENETUNREACH);
        }
        endpoint.submit();
        Ok(true)
    }

    /// What is next, when everything is passed over that a socket connected to `peer` must not see. One without peer sees errors only
    /// if it wants to.
    pub(super) fn head(&self, peer: Option<Spot>, wants_errors: bool) -> Head {
        let _turn = self.0.receive_turn.lock();
        loop {
            let Some(record) = self.record() else {
                return Head::Empty;
            };
            let wanted = match peer {
                None => record.error.is_none() || wants_errors,
                Some(peer) => Spot::of(&record.address) == peer,
            };
            if wanted && record.error.is_none() {
                return Head::Datagram(record);
            }
            self.pass_over(&record);
            if let Some(error) = record.error.filter(|_| wanted) {
                let to = Spot::of(&record.address);
                return Head::Failure(crate::error::from_wire(error), to);
            }
        }
    }

    /// Copies the datagram that [`Self::head`] has found, and takes it out unless `peek`; returns how much of it fitted.
    ///
    /// # Errors
    ///
    /// `EAGAIN` if somebody else was faster, `EFAULT` for a bad address.
    pub(super) fn receive(
        &self,
        found: &Record,
        message: &mut Message,
        length: usize,
        peek: bool,
    ) -> Result<usize> {
        let _turn = self.0.receive_turn.lock();
        let record = self.record().filter(|record| record == found);
        let record = record.ok_or(EAGAIN)?;
        let position = self.0.state.lock().conn.rx_position() + HEADER_SIZE as u64;
        let fitting = length.min(record.length as usize) as u32;
        if fitting > 0 {
            self.0.rx.drain(position, fitting, message.target())?;
        }
        if !peek {
            self.pass_over(&record);
        }
        Ok(fitting as usize)
    }

    /// Whether something lies in the ring, wanted or not.
    pub(super) fn has_record(&self) -> bool {
        self.0.state.lock().conn.readable() > 0
    }

    /// Whether a datagram of common size can be sent without waiting.
    pub(super) fn has_room(&self) -> bool {
        let mut state = self.0.state.lock();
        let ready = state.conn.has_room() || state.conn.is_over();
        if !ready {
            state.conn.want_room();
        }
        ready
    }

    /// Closes the way; what was sent still goes out.
    pub(super) fn close(&self) {
        self.0.close_datagram();
        self.0.detach();
    }

    /// The record at the head. A device that wrote none there is not believed any more.
    fn record(&self) -> Option<Record> {
        let (position, readable) = {
            let state = self.0.state.lock();
            (state.conn.rx_position(), state.conn.readable())
        };
        if readable == 0 {
            return None;
        }
        let mut header = [0; HEADER_SIZE];
        self.0.rx.get(position, &mut header);
        match Record::decode(&header, readable) {
            Ok(record) => Some(record),
            Err(error) => {
                pr_err!("device violates the protocol: {}\n", format_args!("{error}"));
                self.0.on_violation();
                self.0.state.lock().conn.read(readable);
                None
            }
        }
    }

    fn pass_over(&self, record: &Record) {
        {
            let mut state = self.0.state.lock();
            // Decoded as not longer than what is there, a ring at most.
            state.conn.read(record.span() as u32);
        }
        self.0.submit();
    }
}
