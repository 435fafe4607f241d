// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//! What the device tells the driver, on the event queue.

use super::field::{Reader, Writer};
use super::{Address, DecodeError, Message, SocketId};

/// Operation codes of events. Codes that are not listed are reserved.
pub mod op {
    /// [`Event::Status`](super::Event::Status)
    pub const STATUS: u16 = 1;
    /// [`Event::Released`](super::Event::Released)
    pub const RELEASED: u16 = 2;
    /// [`Event::Incoming`](super::Event::Incoming)
    pub const INCOMING: u16 = 3;
}

/// Flag bits of a status event.
pub mod flag {
    /// The connection is, or was, established; `local` is valid.
    pub const CONNECTED: u16 = 1 << 0;
    /// The peer will send nothing after `rx_produced`.
    pub const RX_EOF: u16 = 1 << 1;
    /// The socket failed with `error`; only CLOSE is of use now.
    pub const FAILED: u16 = 1 << 2;
}

/// The device's whole view of one socket. Cumulative, so a later one makes an earlier one superfluous.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// [`flag::CONNECTED`]
    pub connected: bool,
    /// [`flag::RX_EOF`]
    pub rx_eof: bool,
    /// Why the socket failed, as a Linux errno (asm-generic), if it did ([`flag::FAILED`]).
    pub error: Option<u16>,
    /// Position behind the last byte that the device wrote into the rx ring.
    pub rx_produced: u64,
    /// Position behind the last byte that the device has taken from the tx ring.
    pub tx_consumed: u64,
    /// The connection's local address as the guest shall see it.
    pub local: Address,
}

/// An event: what happened to one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The socket's state changed, or credit is reported.
    Status {
        /// The socket.
        socket: SocketId,
        /// Its state now.
        status: Status,
    },
    /// The device is done with a closed socket: it touches the rings no more, and the id is free.
    Released {
        /// The socket.
        socket: SocketId,
    },
    /// A peer has connected to a listener ([`feature::LISTEN`](super::config::feature::LISTEN)).
    Incoming {
        /// The listener.
        socket: SocketId,
        /// The number by which OPEN takes the connection; not zero.
        connection: u32,
        /// Who has connected.
        peer: Address,
    },
}

impl Event {
    /// Writes the event as a message.
    pub fn encode(&self) -> Message {
        let mut message = [0; super::limits::MESSAGE_SIZE];
        let mut writer = Writer::new(&mut message);
        match *self {
            Self::Status { socket, status } => {
                let mut flags = if status.connected { flag::CONNECTED } else { 0 };
                flags |= if status.rx_eof { flag::RX_EOF } else { 0 };
                flags |= if status.error.is_some() {
                    flag::FAILED
                } else {
                    0
                };
                writer.u16(op::STATUS);
                writer.u16(flags);
                writer.u32(socket);
                writer.u64(status.rx_produced);
                writer.u64(status.tx_consumed);
                writer.u16(status.error.unwrap_or(0));
                writer.u16(0);
                status.local.write(&mut writer);
            }
            Self::Released { socket } => {
                writer.u16(op::RELEASED);
                writer.u16(0);
                writer.u32(socket);
            }
            Self::Incoming {
                socket,
                connection,
                peer,
            } => {
                writer.u16(op::INCOMING);
                writer.u16(0);
                writer.u32(socket);
                writer.u32(connection);
                writer.u32(0);
                peer.write(&mut writer);
            }
        }
        message
    }

    /// Reads an event from a message.
    ///
    /// # Errors
    /// [`DecodeError::Operation`], [`DecodeError::Flags`] or [`DecodeError::Family`].
    pub fn decode(message: &Message) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(message);
        let code = reader.u16();
        let flags = reader.u16();
        let socket = reader.u32();
        let allowed = match code {
            op::STATUS => flag::CONNECTED | flag::RX_EOF | flag::FAILED,
            _ => 0,
        };
        if flags & !allowed != 0 {
            return Err(DecodeError::Flags(flags));
        }
        match code {
            op::STATUS => {
                let rx_produced = reader.u64();
                let tx_consumed = reader.u64();
                let error = reader.u16();
                reader.u16();
                let status = Status {
                    connected: flags & flag::CONNECTED != 0,
                    rx_eof: flags & flag::RX_EOF != 0,
                    error: (flags & flag::FAILED != 0).then_some(error),
                    rx_produced,
                    tx_consumed,
                    local: Address::read(&mut reader)?,
                };
                Ok(Self::Status { socket, status })
            }
            op::RELEASED => Ok(Self::Released { socket }),
            op::INCOMING => {
                let connection = reader.u32();
                reader.u32();
                let peer = Address::read(&mut reader)?;
                Ok(Self::Incoming {
                    socket,
                    connection,
                    peer,
                })
            }
            _ => Err(DecodeError::Operation(code)),
        }
    }
}
