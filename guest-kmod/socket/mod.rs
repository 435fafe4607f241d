// SPDX-License-Identifier: GPL-2.0-only
//! Sockets of the families PF_INET and PF_INET6.
//!
//! - [`family`]: registration, and `socket()`.
//! - [`ops`]: the other system calls, from their C form to methods of [`Socket`].
//! - [`stream`]: TCP.
//! - [`options`], [`addr`], [`events`]: what all kinds have in common.

mod addr;
pub(crate) mod events;
pub(crate) mod family;
mod ops;
mod options;
pub(crate) mod stream;

use kernel::{
    ffi::c_int,
    iov::{IovIterDest, IovIterSource},
    prelude::*,
    sync::Arc,
};

use crate::ffi::Sock;
use crate::proto::{Address, Family};
use options::{SOL_TCP, TCP_INFO};
use stream::endpoint::Endpoint;
use stream::info::TCP_INFO_SIZE;
use stream::recv::Flags;
use stream::Stream;

/// A socket of one kind, from `socket()` until the last reference to its `struct sock` goes.
pub(crate) enum Socket {
    /// TCP
    Stream(Pin<KBox<Stream>>),
}

/// An option's value on its way to the user.
enum Value {
    /// A plain number.
    Number(c_int),
    /// `struct tcp_info`.
    Info([u8; TCP_INFO_SIZE]),
}

impl Socket {
    fn stream(family: Family) -> Result<Self> {
        Ok(Self::Stream(KBox::pin_init(
            Stream::new(family),
            GFP_KERNEL,
        )?))
    }

    fn bind(&self, sk: &Sock, bytes: &[u8]) -> Result {
        match self {
            Self::Stream(stream) => stream.bind(sk, bytes),
        }
    }

    fn connect(&self, sk: &Sock, bytes: &[u8], nonblock: bool) -> Result {
        match self {
            Self::Stream(stream) => stream.connect(sk, bytes, nonblock),
        }
    }

    fn listen(&self, sk: &Sock, backlog: u32) -> Result {
        match self {
            Self::Stream(stream) => stream.listen(sk, backlog),
        }
    }

    fn accept(&self, sk: &Sock, nonblock: bool) -> Result<(KBox<Self>, Arc<Endpoint>)> {
        match self {
            Self::Stream(stream) => {
                let accepted = stream.accept(sk, nonblock)?;
                let socket = KBox::new(Self::Stream(accepted.stream), GFP_KERNEL);
                match socket {
                    Ok(socket) => Ok((socket, accepted.endpoint)),
                    Err(_) => {
                        accepted.endpoint.close(true);
                        Err(ENOMEM)
                    }
                }
            }
        }
    }

    fn has_incoming(&self) -> bool {
        match self {
            Self::Stream(stream) => stream.has_incoming(),
        }
    }

    fn release(&self, sk: &Sock) {
        match self {
            Self::Stream(stream) => stream.release(sk),
        }
    }

    fn shutdown(&self, sk: &Sock, read: bool, write: bool) -> Result {
        match self {
            Self::Stream(stream) => stream.shutdown(sk, read, write),
        }
    }

    fn local_address(&self) -> Address {
        match self {
            Self::Stream(stream) => stream.local_address(),
        }
    }

    fn peer_address(&self, even_if_over: bool) -> Result<Address> {
        match self {
            Self::Stream(stream) => stream.peer_address(even_if_over),
        }
    }

    fn poll(&self, sk: &Sock) -> u32 {
        match self {
            Self::Stream(stream) => stream.poll(sk),
        }
    }

    fn send(&self, sk: &Sock, source: &mut IovIterSource<'_>, nonblock: bool) -> Result<usize> {
        match self {
            Self::Stream(stream) => stream.send(sk, source, nonblock),
        }
    }

    fn receive(
        &self,
        sk: &Sock,
        target: &mut IovIterDest<'_>,
        length: usize,
        flags: Flags,
    ) -> Result<usize> {
        match self {
            Self::Stream(stream) => stream.receive(sk, target, length, flags),
        }
    }

    fn readable(&self) -> Result<u32> {
        match self {
            Self::Stream(stream) => stream.readable(),
        }
    }

    fn unsent(&self) -> Result<u32> {
        match self {
            Self::Stream(stream) => stream.unsent(),
        }
    }

    fn set_option(&self, level: c_int, name: c_int, value: c_int) -> Result {
        match self {
            Self::Stream(stream) => stream.set_option(level, name, value),
        }
    }

    /// Whether `setsockopt()` knows the option, whatever the value.
    fn has_option(&self, level: c_int, name: c_int) -> bool {
        match self {
            Self::Stream(stream) => {
                stream.with_options(|options| options.has(stream.family(), level, name))
            }
        }
    }

    fn option(&self, level: c_int, name: c_int) -> Result<Value> {
        match self {
            Self::Stream(stream) if (level, name) == (SOL_TCP, TCP_INFO) => {
                Ok(Value::Info(stream.info()))
            }
            Self::Stream(stream) => stream
                .with_options(|options| options.get(stream.family(), level, name))
                .map(Value::Number),
        }
    }
}
