// SPDX-License-Identifier: Apache-2.0
//! Local mode: what the preload library asks of nexusd when a program outside a VM connects to what its network namespace
//! does not hold.
//!
//! The library connects to [`SOCKET`], a `SOCK_SEQPACKET` Unix socket in the namespace's own abstract names, sends one
//! [`Request`] and gets one [`Reply`]. A reply without an error carries a socket of the host (`SCM_RIGHTS`), which is not
//! connected yet.

use crate::wire::field::{Reader, Writer};
use crate::wire::{Address, DecodeError, Family, Kind};

/// Where nexusd answers: an abstract name (unix(7)), without its leading zero byte.
pub const SOCKET: &[u8] = b"nexus/local";

/// Size of a request in bytes.
pub const REQUEST_SIZE: usize = 40;

/// Size of a reply in bytes.
pub const REPLY_SIZE: usize = 8;

/// A request as it is sent.
pub type RequestMessage = [u8; REQUEST_SIZE];

/// A reply as it is sent.
pub type ReplyMessage = [u8; REPLY_SIZE];

const VERSION: u32 = 1;

/// Asks for a socket that reaches a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Family of the socket; IPv6 also for a peer that is an IPv4 address, mapped.
    pub kind: Kind,
    /// The port to come from; any, if it is zero.
    pub source_port: u16,
    /// Whom the program wants to connect to.
    pub peer: Address,
}

impl Request {
    /// The message.
    pub fn encode(&self) -> RequestMessage {
        let mut message = [0; REQUEST_SIZE];
        let mut writer = Writer::new(&mut message);
        writer.u32(VERSION);
        writer.u16(self.kind.code());
        writer.u16(self.source_port);
        self.peer.write(&mut writer);
        message
    }

    /// The request of a message.
    ///
    /// # Errors
    /// What the message has that this version does not know.
    pub fn decode(message: &RequestMessage) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(message);
        let version = reader.u32();
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        Ok(Self {
            kind: Kind::from_code(reader.u16())?,
            source_port: reader.u16(),
            peer: Address::read(&mut reader)?,
        })
    }

    /// The family of the socket asked for.
    pub const fn family(&self) -> Family {
        self.peer.family()
    }
}

/// Says what became of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// What `connect()` fails with, an error number of Linux; zero if a socket comes along.
    pub error: u16,
}

impl Reply {
    /// The message.
    pub fn encode(&self) -> ReplyMessage {
        let mut message = [0; REPLY_SIZE];
        let mut writer = Writer::new(&mut message);
        writer.u32(VERSION);
        writer.u16(self.error);
        message
    }

    /// The reply of a message.
    ///
    /// # Errors
    /// [`DecodeError::Version`] if it is of another version.
    pub fn decode(message: &ReplyMessage) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(message);
        let version = reader.u32();
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        Ok(Self {
            error: reader.u16(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Reply, Request};
    use crate::wire::{Address, DecodeError, Ip, Kind};

    const REQUEST: Request = Request {
        kind: Kind::Stream,
        source_port: 4711,
        peer: Address {
            ip: Ip::V6([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]),
            port: 443,
            flow: 1,
            scope: 2,
        },
    };

    #[test]
    fn messages_come_back_as_they_were() {
        assert_eq!(Request::decode(&REQUEST.encode()), Ok(REQUEST));
        let reply = Reply { error: 111 };
        assert_eq!(Reply::decode(&reply.encode()), Ok(reply));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let changed = |at: usize, value: u8| {
            let mut message = REQUEST.encode();
            message[at] = value;
            Request::decode(&message)
        };
        assert_eq!(changed(0, 2), Err(DecodeError::Version(2)));
        assert_eq!(changed(4, 3), Err(DecodeError::Kind(3)));
        assert_eq!(changed(8, 1), Err(DecodeError::Family(1)));
        assert_eq!(Reply::decode(&[0; 8]), Err(DecodeError::Version(0)));
    }
}
