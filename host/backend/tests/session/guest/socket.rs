// SPDX-License-Identifier: Apache-2.0
//! The driver's side of one socket: rings, positions, credit.

use std::net::SocketAddr;

use nexus_proto::wire::record::HEADER_SIZE;
use nexus_proto::wire::{
    Address, Family, Ip, Kind, Progress, Record, Request, Ring, SocketId, Status,
};

use super::Guest;

pub(crate) struct GuestSocket {
    pub(crate) tx: Ring,
    pub(crate) rx: Ring,
    pub(crate) progress: Progress,
    reported: u64,
    pub(crate) status: Status,
    pub(crate) statuses: usize,
    pub(crate) closed: bool,
    pub(crate) released: usize,
}

impl GuestSocket {
    /// Takes a status, and holds the device to the specification.
    pub(super) fn on_status(&mut self, status: Status) {
        assert!(
            !self.closed || self.released == 0,
            "a status after the release"
        );
        let old = self.status;
        assert!(
            status.rx_produced >= old.rx_produced && status.tx_consumed >= old.tx_consumed,
            "positions go back"
        );
        assert!(
            self.rx.used(status.rx_produced, self.reported).is_some(),
            "the device exceeds its credit"
        );
        assert!(
            status.tx_consumed <= self.progress.tx_produced,
            "the device took what was not there"
        );
        assert!(!old.connected || status.connected, "no longer connected");
        assert!(
            old.error.is_none() || status.error == old.error,
            "an error changed"
        );
        assert!(
            !old.rx_eof || status.rx_produced == old.rx_produced,
            "bytes after the end"
        );
        self.status = status;
        self.statuses += 1;
    }

    pub(super) fn on_released(&mut self) {
        assert!(self.closed, "released without a close");
        self.released += 1;
        assert_eq!(self.released, 1, "released twice");
    }

    pub(crate) fn readable(&self) -> u32 {
        self.rx
            .used(self.status.rx_produced, self.progress.rx_consumed)
            .unwrap()
    }

    pub(crate) fn writable(&self) -> u32 {
        self.tx
            .credit(self.progress.tx_produced, self.status.tx_consumed)
            .unwrap()
    }
}

/// An address on the wire.
pub(crate) fn wire(address: SocketAddr) -> Address {
    let ip = match address {
        SocketAddr::V4(address) => Ip::V4(address.ip().octets()),
        SocketAddr::V6(address) => Ip::V6(address.ip().octets()),
    };
    Address {
        ip,
        port: address.port(),
        flow: 0,
        scope: 0,
    }
}

impl Guest {
    /// Opens a socket with rings of `size` bytes.
    pub(crate) fn open(&mut self, id: SocketId, family: Family, size: u32) {
        let tx = Ring::new(self.allocate(size), size).unwrap();
        let rx = Ring::new(self.allocate(size), size).unwrap();
        self.open_with(id, family, tx, rx);
    }

    pub(crate) fn open_with(&mut self, id: SocketId, family: Family, tx: Ring, rx: Ring) {
        self.open_kind(id, family, Kind::Stream, 0, tx, rx);
    }

    /// Opens a datagram socket with rings of `size` bytes.
    pub(crate) fn open_datagram(&mut self, id: SocketId, family: Family, size: u32) {
        let tx = Ring::new(self.allocate(size), size).unwrap();
        let rx = Ring::new(self.allocate(size), size).unwrap();
        self.open_kind(id, family, Kind::Datagram, 0, tx, rx);
    }

    /// Takes a connection that was announced, with rings of `size` bytes.
    pub(crate) fn accept(&mut self, id: SocketId, family: Family, connection: u32, size: u32) {
        let tx = Ring::new(self.allocate(size), size).unwrap();
        let rx = Ring::new(self.allocate(size), size).unwrap();
        self.open_kind(id, family, Kind::Stream, connection, tx, rx);
    }

    fn open_kind(
        &mut self,
        id: SocketId,
        family: Family,
        kind: Kind,
        connection: u32,
        tx: Ring,
        rx: Ring,
    ) {
        let status = Status {
            connected: false,
            rx_eof: false,
            error: None,
            rx_produced: 0,
            tx_consumed: 0,
            local: Address::unspecified(family),
        };
        let socket = GuestSocket {
            tx,
            rx,
            progress: Progress::default(),
            reported: 0,
            status,
            statuses: 0,
            closed: false,
            released: 0,
        };
        self.sockets.insert(id, socket);
        self.request(&Request::Open {
            socket: id,
            family,
            kind,
            connection,
            tx,
            rx,
        });
    }

    pub(crate) fn start_connect(&mut self, id: SocketId, peer: SocketAddr) {
        self.start_connect_from(id, peer, 0);
    }

    pub(crate) fn start_connect_from(&mut self, id: SocketId, peer: SocketAddr, source_port: u16) {
        self.request(&Request::Connect {
            socket: id,
            peer: wire(peer),
            source_port,
        });
    }

    /// Opens a socket and connects it; the error if it fails.
    pub(crate) fn connect(&mut self, id: SocketId, peer: SocketAddr, size: u32) -> Result<(), u16> {
        let family = if peer.is_ipv4() {
            Family::V4
        } else {
            Family::V6
        };
        self.open(id, family, size);
        self.start_connect(id, peer);
        self.until("an answer to connect", |guest| {
            let status = guest.sockets[&id].status;
            status.connected || status.error.is_some()
        });
        self.sockets[&id].status.error.map_or(Ok(()), Err)
    }

    pub(crate) fn update(&mut self, id: SocketId) {
        let socket = self.sockets.get_mut(&id).unwrap();
        socket.reported = socket.progress.rx_consumed;
        let progress = socket.progress;
        self.request(&Request::Update {
            socket: id,
            progress,
        });
    }

    /// Writes as much of `bytes` as there is credit for; how much that was.
    pub(crate) fn write(&mut self, id: SocketId, bytes: &[u8]) -> usize {
        let socket = self.sockets.get_mut(&id).unwrap();
        let length = socket.writable().min(u32::try_from(bytes.len()).unwrap());
        let mut rest = bytes;
        for (offset, length) in socket.tx.runs(socket.progress.tx_produced, length) {
            let (part, after) = rest.split_at(length as usize);
            self.memory
                .write(socket.tx.address() + u64::from(offset), part);
            rest = after;
        }
        socket.progress.tx_produced += u64::from(length);
        if length > 0 {
            self.update(id);
        }
        length as usize
    }

    /// Writes all of `bytes`, waiting for credit.
    pub(crate) fn write_all(&mut self, id: SocketId, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.until("room to write", |guest| guest.sockets[&id].writable() > 0);
            let written = self.write(id, bytes);
            bytes = &bytes[written..];
        }
    }

    /// Reads what there is, up to the length of `bytes`.
    pub(crate) fn read(&mut self, id: SocketId, bytes: &mut [u8]) -> usize {
        let socket = self.sockets.get_mut(&id).unwrap();
        let length = socket.readable().min(u32::try_from(bytes.len()).unwrap());
        let mut at = 0;
        for (offset, length) in socket.rx.runs(socket.progress.rx_consumed, length) {
            self.memory.read(
                socket.rx.address() + u64::from(offset),
                &mut bytes[at..at + length as usize],
            );
            at += length as usize;
        }
        socket.progress.rx_consumed += u64::from(length);
        if socket
            .rx
            .report_due(socket.progress.rx_consumed, socket.reported)
        {
            self.update(id);
        }
        at
    }

    /// Reads exactly `length` bytes, waiting for them.
    pub(crate) fn read_exact(&mut self, id: SocketId, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let mut at = 0;
        while at < length {
            self.until("bytes to read", |guest| guest.sockets[&id].readable() > 0);
            at += self.read(id, &mut bytes[at..]);
        }
        bytes
    }

    /// Reads to the end of the stream.
    pub(crate) fn read_to_end(&mut self, id: SocketId) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            self.until("bytes or their end", |guest| {
                let socket = &guest.sockets[&id];
                socket.readable() > 0 || socket.status.rx_eof
            });
            let mut part = vec![0; 64 << 10];
            match self.read(id, &mut part) {
                0 => return all,
                length => all.extend_from_slice(&part[..length]),
            }
        }
    }

    /// Sends a datagram.
    pub(crate) fn send_to(&mut self, id: SocketId, to: SocketAddr, payload: &[u8]) {
        let record = Record {
            length: u32::try_from(payload.len()).unwrap(),
            error: None,
            address: wire(to),
        };
        let mut bytes = record.encode().to_vec();
        bytes.extend_from_slice(payload);
        bytes.resize(usize::try_from(record.span()).unwrap(), 0);
        self.until("room for a datagram", |guest| {
            guest.sockets[&id].writable() as usize >= bytes.len()
        });
        assert_eq!(self.write(id, &bytes), bytes.len());
    }

    /// Waits for the next record.
    pub(crate) fn receive_from(&mut self, id: SocketId) -> (Record, Vec<u8>) {
        let header = self.read_exact(id, HEADER_SIZE).try_into().unwrap();
        let record = Record::decode(&header, u32::MAX).unwrap();
        let rest = usize::try_from(record.span()).unwrap() - HEADER_SIZE;
        let mut payload = self.read_exact(id, rest);
        payload.truncate(record.length as usize);
        (record, payload)
    }

    pub(crate) fn shut_wr(&mut self, id: SocketId) {
        self.sockets.get_mut(&id).unwrap().progress.shut_wr = true;
        self.update(id);
    }

    pub(crate) fn close(&mut self, id: SocketId, abort: bool) {
        let socket = self.sockets.get_mut(&id).unwrap();
        socket.closed = true;
        let tx_produced = socket.progress.tx_produced;
        self.request(&Request::Close {
            socket: id,
            tx_produced,
            abort,
        });
    }

    pub(crate) fn released(&mut self, id: SocketId) {
        self.until("the release", |guest| guest.sockets[&id].released == 1);
    }

    pub(crate) fn failed(&mut self, id: SocketId) -> u16 {
        self.until("a failure", |guest| {
            guest.sockets[&id].status.error.is_some()
        });
        self.sockets[&id].status.error.unwrap()
    }
}
