// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//! What the driver tells the device, on the request queue.

use super::field::{Reader, Writer};
use super::{Address, DecodeError, Message, Ring, SocketId, SocketOption};

/// Operation codes of requests. Codes that are not listed are reserved.
pub mod op {
    /// [`Request::Open`](super::Request::Open)
    pub const OPEN: u16 = 1;
    /// [`Request::Connect`](super::Request::Connect)
    pub const CONNECT: u16 = 2;
    /// [`Request::Update`](super::Request::Update)
    pub const UPDATE: u16 = 3;
    /// [`Request::Close`](super::Request::Close)
    pub const CLOSE: u16 = 4;
    /// [`Request::Option`](super::Request::Option)
    pub const OPTION: u16 = 5;
    /// [`Request::Listen`](super::Request::Listen)
    pub const LISTEN: u16 = 6;
}

/// Flag bits of requests.
pub mod flag {
    /// UPDATE: nothing will be produced after this `tx_produced`; the peer gets a FIN once all of it is sent.
    pub const SHUT_WR: u16 = 1 << 0;
    /// UPDATE: what is received from now on is dropped.
    pub const SHUT_RD: u16 = 1 << 1;
    /// UPDATE: a byte of the tx ring is urgent ([`feature::URGENT`](super::super::config::feature::URGENT)).
    pub const URGENT: u16 = 1 << 2;
    /// CLOSE: drop what is not sent yet and reset the connection.
    pub const ABORT: u16 = 1 << 0;
    /// LISTEN: an IPv6 socket that takes no IPv4 (`IPV6_V6ONLY`).
    pub const ONLY_V6: u16 = 1 << 0;
}

/// Address family of a socket; the codes are Linux's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4, code 2.
    V4,
    /// IPv6, code 10.
    V6,
}

impl Family {
    /// The code on the wire.
    pub const fn code(self) -> u16 {
        match self {
            Self::V4 => 2,
            Self::V6 => 10,
        }
    }

    /// The family of a code.
    ///
    /// # Errors
    /// [`DecodeError::Family`] for any other code.
    pub const fn from_code(code: u16) -> Result<Self, DecodeError> {
        match code {
            2 => Ok(Self::V4),
            10 => Ok(Self::V6),
            _ => Err(DecodeError::Family(code)),
        }
    }
}

/// Type of a socket; the codes are Linux's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A byte stream, code 1.
    Stream,
    /// Datagrams, code 2 ([`feature::DATAGRAM`](super::config::feature::DATAGRAM)).
    Datagram,
}

impl Kind {
    /// The code on the wire.
    pub const fn code(self) -> u16 {
        match self {
            Self::Stream => 1,
            Self::Datagram => 2,
        }
    }

    /// The type of a code.
    ///
    /// # Errors
    /// [`DecodeError::Kind`] for any other code.
    pub const fn from_code(code: u16) -> Result<Self, DecodeError> {
        match code {
            1 => Ok(Self::Stream),
            2 => Ok(Self::Datagram),
            _ => Err(DecodeError::Kind(code)),
        }
    }
}

/// How far the driver has come with a socket. Cumulative, so a later one makes an earlier one superfluous.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Position behind the last byte that the driver wrote into the tx ring.
    pub tx_produced: u64,
    /// Position behind the last byte that the driver read from the rx ring.
    pub rx_consumed: u64,
    /// `tx_produced` is final ([`flag::SHUT_WR`]).
    pub shut_wr: bool,
    /// The driver reads no more ([`flag::SHUT_RD`]).
    pub shut_rd: bool,
    /// Position of the last urgent byte in the tx ring, if there is one that the device has not reported as taken
    /// ([`flag::URGENT`]).
    pub urgent: Option<u64>,
}

/// A request: what the driver wants done with one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Takes an id into use and gives the socket its two rings.
    Open {
        /// An id that is not in use.
        socket: SocketId,
        /// Family of all addresses of this socket.
        family: Family,
        /// Type of the socket.
        kind: Kind,
        /// The connection to take, as [`Event::Incoming`](super::Event::Incoming) has announced it, or zero for none
        /// ([`feature::LISTEN`](super::config::feature::LISTEN)).
        connection: u32,
        /// Bytes from guest to peer.
        tx: Ring,
        /// Bytes from peer to guest.
        rx: Ring,
    },
    /// Starts to connect a stream. The outcome arrives as a status event.
    Connect {
        /// An open socket on which no connect was requested yet.
        socket: SocketId,
        /// Where to.
        peer: Address,
        /// The port to come from, or zero for any ([`feature::BIND`](super::config::feature::BIND)).
        source_port: u16,
    },
    /// Reports progress and shutdowns.
    Update {
        /// An open socket.
        socket: SocketId,
        /// The driver's side of the rings.
        progress: Progress,
    },
    /// Ends the socket. Rings and id stay in use until the released event.
    Close {
        /// An open socket.
        socket: SocketId,
        /// Final position of the tx ring.
        tx_produced: u64,
        /// Reset instead of sending what is left ([`flag::ABORT`]).
        abort: bool,
    },
    /// Sets an option of the host's socket ([`feature::OPTIONS`](super::config::feature::OPTIONS)).
    Option {
        /// An open socket.
        socket: SocketId,
        /// Which option.
        option: SocketOption,
        /// Its value.
        value: i32,
    },
    /// Takes an id into use for a listener, changes a listener's backlog, or has a datagram socket receive at a port
    /// ([`feature::LISTEN`](super::config::feature::LISTEN)).
    Listen {
        /// A free id, a listener, or an open datagram socket.
        socket: SocketId,
        /// Where the guest's socket is bound.
        local: Address,
        /// Whether IPv4 is not for this IPv6 socket ([`flag::ONLY_V6`]).
        only_v6: bool,
        /// Connections that may wait to be taken.
        backlog: u32,
    },
}

impl Request {
    /// Writes the request as a message.
    pub fn encode(&self) -> Message {
        let mut message = [0; super::limits::MESSAGE_SIZE];
        let mut writer = Writer::new(&mut message);
        match *self {
            Self::Open {
                socket,
                family,
                kind,
                connection,
                tx,
                rx,
            } => {
                header(&mut writer, op::OPEN, 0, socket);
                writer.u16(family.code());
                writer.u16(kind.code());
                writer.u32(connection);
                tx.write(&mut writer);
                rx.write(&mut writer);
            }
            Self::Connect {
                socket,
                peer,
                source_port,
            } => {
                header(&mut writer, op::CONNECT, 0, socket);
                peer.write(&mut writer);
                writer.u16(source_port);
            }
            Self::Update { socket, progress } => {
                let wr = if progress.shut_wr { flag::SHUT_WR } else { 0 };
                let rd = if progress.shut_rd { flag::SHUT_RD } else { 0 };
                let urgent = progress.urgent.map_or(0, |_| flag::URGENT);
                header(&mut writer, op::UPDATE, wr | rd | urgent, socket);
                writer.u64(progress.tx_produced);
                writer.u64(progress.rx_consumed);
                writer.u64(progress.urgent.unwrap_or(0));
            }
            Self::Close {
                socket,
                tx_produced,
                abort,
            } => {
                header(
                    &mut writer,
                    op::CLOSE,
                    if abort { flag::ABORT } else { 0 },
                    socket,
                );
                writer.u64(tx_produced);
            }
            Self::Option {
                socket,
                option,
                value,
            } => {
                header(&mut writer, op::OPTION, 0, socket);
                writer.u32(option.level());
                writer.u32(option.name());
                writer.array(value.to_le_bytes());
            }
            Self::Listen {
                socket,
                local,
                only_v6,
                backlog,
            } => {
                let flags = if only_v6 { flag::ONLY_V6 } else { 0 };
                header(&mut writer, op::LISTEN, flags, socket);
                local.write(&mut writer);
                writer.u32(backlog);
            }
        }
        message
    }

    /// Reads a request from a message.
    ///
    /// # Errors
    /// Any [`DecodeError`] but `Version`.
    pub fn decode(message: &Message) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(message);
        let code = reader.u16();
        let flags = reader.u16();
        let socket = reader.u32();
        let allowed = match code {
            op::UPDATE => flag::SHUT_WR | flag::SHUT_RD | flag::URGENT,
            op::CLOSE => flag::ABORT,
            op::LISTEN => flag::ONLY_V6,
            _ => 0,
        };
        if flags & !allowed != 0 {
            return Err(DecodeError::Flags(flags));
        }
        match code {
            op::OPEN => {
                let family = Family::from_code(reader.u16())?;
                let kind = Kind::from_code(reader.u16())?;
                let connection = reader.u32();
                let tx = Ring::read(&mut reader)?;
                let rx = Ring::read(&mut reader)?;
                Ok(Self::Open {
                    socket,
                    family,
                    kind,
                    connection,
                    tx,
                    rx,
                })
            }
            op::CONNECT => Ok(Self::Connect {
                socket,
                peer: Address::read(&mut reader)?,
                source_port: reader.u16(),
            }),
            op::UPDATE => {
                let (tx_produced, rx_consumed) = (reader.u64(), reader.u64());
                let urgent = reader.u64();
                let progress = Progress {
                    tx_produced,
                    rx_consumed,
                    shut_wr: flags & flag::SHUT_WR != 0,
                    shut_rd: flags & flag::SHUT_RD != 0,
                    urgent: (flags & flag::URGENT != 0).then_some(urgent),
                };
                Ok(Self::Update { socket, progress })
            }
            op::CLOSE => Ok(Self::Close {
                socket,
                tx_produced: reader.u64(),
                abort: flags & flag::ABORT != 0,
            }),
            op::OPTION => {
                let (level, name) = (reader.u32(), reader.u32());
                Ok(Self::Option {
                    socket,
                    option: SocketOption::from_wire(level, name)?,
                    value: i32::from_le_bytes(reader.array()),
                })
            }
            op::LISTEN => Ok(Self::Listen {
                socket,
                local: Address::read(&mut reader)?,
                only_v6: flags & flag::ONLY_V6 != 0,
                backlog: reader.u32(),
            }),
            _ => Err(DecodeError::Operation(code)),
        }
    }

    /// The socket that the request is about.
    pub const fn socket(&self) -> SocketId {
        match *self {
            Self::Open { socket, .. }
            | Self::Connect { socket, .. }
            | Self::Update { socket, .. }
            | Self::Close { socket, .. }
            | Self::Option { socket, .. }
            | Self::Listen { socket, .. } => socket,
        }
    }
}

fn header(writer: &mut Writer<'_>, code: u16, flags: u16, socket: SocketId) {
    writer.u16(code);
    writer.u16(flags);
    writer.u32(socket);
}
