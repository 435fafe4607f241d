// SPDX-License-Identifier: Apache-2.0
//! Scripts that name a behaviour. T and S numbers are those of the compatibility requirements (docs/testing.md).

use crate::Call;
use crate::call::Call::{Accept, Bind, Connect, Listen, Socket};
use crate::call::Family::V4;
use crate::call::Host::Loopback;
use crate::call::Kind::{Datagram, Stream};
use crate::call::Port::{Of, Zero};

mod connecting;
mod datagram;
mod groups;
mod listening;
mod options;
mod streaming;

/// A script and its name.
pub type Named = (&'static str, Vec<Call>);

const ET: u32 = libc::EPOLLET.cast_unsigned();

/// A listener in slot 0, a client in slot 1, accepted as slot 2.
fn connected(rest: &[Call]) -> Vec<Call> {
    let mut calls = vec![
        Socket(0, V4, Stream),
        Socket(1, V4, Stream),
        Bind(0, Loopback, Zero),
        Listen(0, 5),
        Connect(1, Loopback, Of(0)),
        Accept(0, 2),
    ];
    calls.extend_from_slice(rest);
    calls
}

/// A bound socket in slot 0 and an unbound one in slot 1.
fn datagrams(rest: &[Call]) -> Vec<Call> {
    let mut calls = vec![
        Socket(0, V4, Datagram),
        Socket(1, V4, Datagram),
        Bind(0, Loopback, Zero),
    ];
    calls.extend_from_slice(rest);
    calls
}

/// All scripts.
pub fn all() -> Vec<Named> {
    [
        listening::scripts(),
        connecting::scripts(),
        connecting::receiving_nothing(),
        streaming::scripts(),
        datagram::scripts(),
        groups::scripts(),
        options::scripts(),
    ]
    .concat()
}
