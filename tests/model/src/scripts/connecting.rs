// SPDX-License-Identifier: Apache-2.0
//! Connecting, and names of both ends.

use crate::call::Call::{
    Accept, Bind, Connect, Disconnect, Get, Listen, LocalName, PeerName, Poll, Receive, Send,
    Shutdown, Socket, Wait, Watch,
};
use crate::call::Family::V4;
use crate::call::Host::{Any, Loopback, Other};
use crate::call::Kind::Stream;
use crate::call::Port::{Nobody, Of, Zero};

use super::{ET, Named, connected};

pub(super) fn scripts() -> Vec<Named> {
    vec![
        (
            "T17 a closed port refuses at once, and says so once",
            vec![
                Socket(0, V4, Stream),
                Watch(0, ET),
                Wait,
                Connect(0, Loopback, Nobody),
                Wait,
                Wait,
                Get(0, libc::SOL_SOCKET, libc::SO_ERROR),
                Get(0, libc::SOL_SOCKET, libc::SO_ERROR),
                Poll(0),
            ],
        ),
        (
            "T18 completion is reported once",
            vec![
                Socket(0, V4, Stream),
                Bind(0, Loopback, Zero),
                Listen(0, 1),
                Socket(1, V4, Stream),
                Connect(1, Loopback, Of(0)),
                Watch(1, ET),
                Wait,
                Wait,
            ],
        ),
        (
            "S2 a client's own address is what its peer sees",
            connected(&[LocalName(1), PeerName(2)]),
        ),
        (
            "S3 a connect that does not wait, and those after it",
            vec![
                Socket(0, V4, Stream),
                Bind(0, Loopback, Zero),
                Listen(0, 1),
                Socket(1, V4, Stream),
                Connect(1, Loopback, Of(0)),
                Connect(1, Loopback, Of(0)),
                Connect(1, Loopback, Of(0)),
                Connect(0, Loopback, Of(1)),
            ],
        ),
        (
            "S6 connect to AF_UNSPEC dissolves",
            connected(&[
                Disconnect(1),
                PeerName(1),
                Poll(2),
                Receive(2, 1, 0),
                Disconnect(0),
                Accept(0, 3),
            ]),
        ),
        (
            "S7 a client that is bound keeps its port",
            vec![
                Socket(0, V4, Stream),
                Bind(0, Any, Zero),
                Listen(0, 1),
                Socket(1, V4, Stream),
                Bind(1, Other, Zero),
                LocalName(1),
                Connect(1, Loopback, Of(0)),
                LocalName(1),
                Accept(0, 2),
                PeerName(2),
            ],
        ),
        (
            "shutdown of a socket that connects",
            vec![
                Socket(0, V4, Stream),
                Connect(0, Loopback, Nobody),
                Shutdown(0, 2),
                Poll(0),
                Connect(0, Loopback, Nobody),
                Disconnect(0),
                Connect(0, Loopback, Nobody),
            ],
        ),
    ]
}

/// Receives that ask for no byte.
pub(super) fn receiving_nothing() -> Vec<Named> {
    vec![
        (
            "a receive of no bytes hears of the error too",
            vec![
                Socket(0, V4, Stream),
                Connect(0, Loopback, Nobody),
                Receive(0, 0, 0),
                Receive(0, 0, 0),
            ],
        ),
        (
            "a receive of no bytes wants one to be there",
            connected(&[
                Receive(1, 0, 0),
                Send(2, 3, 0),
                Wait,
                Receive(1, 0, 0),
                Receive(1, 10, 0),
                Receive(1, 0, 0),
                Shutdown(2, libc::SHUT_WR),
                Receive(1, 0, 0),
            ]),
        ),
    ]
}
