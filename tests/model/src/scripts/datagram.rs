// SPDX-License-Identifier: Apache-2.0
//! Datagrams.

#![expect(clippy::too_many_lines, reason = "one list of data")]

use crate::call::Call::{
    Accept, Bind, Connect, Disconnect, Get, Listen, LocalName, PeerName, Poll, Readable, Receive,
    Send, SendTo, Shutdown, Socket, Stamped,
};
use crate::call::Family::{V4, V6};
use crate::call::Host::{Any, Loopback};
use crate::call::Kind::Datagram;
use crate::call::Port::{Nobody, Of, Zero};

use super::{Named, datagrams};

pub(super) fn scripts() -> Vec<Named> {
    vec![
        (
            "T24 connected and not, alike",
            datagrams(&[
                SendTo(1, 50, 0, Loopback, Of(0)),
                Receive(0, 100, 0),
                Connect(1, Loopback, Of(0)),
                Send(1, 60, 0),
                Receive(0, 100, 0),
                LocalName(1),
                PeerName(1),
            ]),
        ),
        (
            "T25 poll has no effect",
            datagrams(&[
                Poll(1),
                Connect(1, Loopback, Of(0)),
                Poll(1),
                Send(1, 5, 0),
                Poll(0),
            ]),
        ),
        (
            "SIOCGSTAMP tells when the last datagram came",
            datagrams(&[
                Stamped(0),
                SendTo(1, 10, 0, Loopback, Of(0)),
                Stamped(0),
                Receive(0, 10, 0),
                Stamped(0),
                SendTo(1, 10, 0, Loopback, Of(0)),
                Receive(0, 10, 0),
                Stamped(0),
            ]),
        ),
        (
            "T26 IPv6 datagrams both ways",
            vec![
                Socket(0, V6, Datagram),
                Socket(1, V6, Datagram),
                Bind(0, Loopback, Zero),
                SendTo(1, 10, 0, Loopback, Of(0)),
                Receive(0, 10, 0),
                SendTo(0, 20, 0, Loopback, Of(1)),
                Receive(1, 20, 0),
            ],
        ),
        (
            "T27 the sender's address and a datagram to itself",
            datagrams(&[
                SendTo(0, 10, 0, Loopback, Of(0)),
                Receive(0, 5, 0),
                Receive(0, 5, 0),
            ]),
        ),
        (
            "T28 a server that answers",
            datagrams(&[
                SendTo(1, 10, 0, Any, Of(0)),
                Receive(0, 10, 0),
                SendTo(0, 10, 0, Loopback, Of(1)),
                Receive(1, 10, 0),
            ]),
        ),
        (
            "S12 an empty datagram is no end",
            datagrams(&[
                SendTo(1, 0, 0, Loopback, Of(0)),
                Poll(0),
                Receive(0, 10, 0),
                SendTo(1, 1, 0, Loopback, Of(0)),
                Receive(0, 10, 0),
            ]),
        ),
        (
            "S13 nobody there: a connected socket is told by its next call",
            datagrams(&[
                Connect(1, Loopback, Nobody),
                Send(1, 10, 0),
                Poll(1),
                Send(1, 10, 0),
                Send(1, 10, 0),
                Get(1, libc::SOL_SOCKET, libc::SO_ERROR),
                SendTo(0, 10, 0, Loopback, Nobody),
                Poll(0),
            ]),
        ),
        (
            "boundaries and truncation",
            datagrams(&[
                SendTo(1, 100, 0, Loopback, Of(0)),
                SendTo(1, 200, 0, Loopback, Of(0)),
                Readable(0),
                Receive(0, 10, libc::MSG_PEEK),
                Receive(0, 10, libc::MSG_TRUNC),
                Receive(0, 1000, 0),
                SendTo(1, 65_507, 0, Loopback, Of(0)),
                SendTo(1, 65_508, 0, Loopback, Of(0)),
                Receive(0, 70_000, 0),
            ]),
        ),
        (
            "a connected socket hears its peer only",
            vec![
                Socket(0, V4, Datagram),
                Socket(1, V4, Datagram),
                Socket(2, V4, Datagram),
                Bind(0, Loopback, Zero),
                Bind(1, Loopback, Zero),
                Connect(0, Loopback, Of(1)),
                SendTo(2, 10, 0, Loopback, Of(0)),
                Receive(0, 10, 0),
                SendTo(1, 11, 0, Loopback, Of(0)),
                Receive(0, 20, 0),
                Disconnect(0),
                LocalName(0),
            ],
        ),
        (
            "shutdown of a datagram socket",
            datagrams(&[
                Shutdown(0, 0),
                Receive(0, 1, 0),
                Connect(1, Loopback, Of(0)),
                Shutdown(1, 1),
                Send(1, 1, 0),
                Poll(1),
                Shutdown(1, 0),
                Poll(1),
            ]),
        ),
        (
            "what datagram sockets cannot do",
            datagrams(&[Listen(0, 1), Accept(0, 2), PeerName(0), Send(1, 1, 0)]),
        ),
    ]
}
