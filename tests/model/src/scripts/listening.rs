// SPDX-License-Identifier: Apache-2.0
//! Binding, listening, accepting.

#![expect(clippy::too_many_lines, reason = "one list of data")]

use crate::call::Call::{
    Accept, Bind, Close, Connect, Listen, LocalName, PeerName, Poll, Receive, Send, Set, Shutdown,
    Socket,
};
use crate::call::Family::{V4, V6};
use crate::call::Host::{Any, Foreign, Loopback, Mapped, Other};
use crate::call::Kind::Stream;
use crate::call::Port::{Of, Zero};

use super::{Named, connected};

pub(super) fn scripts() -> Vec<Named> {
    vec![
        (
            "T1 a port that bind chose is the one that listens",
            connected(&[LocalName(0), PeerName(1), LocalName(2), PeerName(2)]),
        ),
        (
            "T3 shutdown of a listener ends it",
            connected(&[Shutdown(0, 2), Accept(0, 3), Poll(0), Listen(0, 1), Poll(0)]),
        ),
        (
            "T4 accept without a connection says EAGAIN, also after one",
            connected(&[Accept(0, 3), Poll(0), Accept(0, 3)]),
        ),
        (
            "T6 a backlog beyond the limit is cut",
            vec![Socket(0, V4, Stream), Listen(0, 100_000), Listen(0, -1)],
        ),
        (
            "T7 listen again changes the backlog only",
            connected(&[
                Listen(0, 1),
                LocalName(0),
                Send(1, 10, 0),
                Receive(2, 10, 0),
            ]),
        ),
        (
            "T8 two sockets share a port only if both ask for it",
            vec![
                Socket(0, V4, Stream),
                Socket(1, V4, Stream),
                Socket(2, V4, Stream),
                Set(0, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1),
                Set(1, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1),
                Bind(0, Any, Zero),
                Bind(1, Any, Of(0)),
                Bind(2, Any, Of(0)),
                Listen(0, 1),
                Listen(1, 1),
            ],
        ),
        (
            "T11 a guest reaches its own listener by every name of it",
            vec![
                Socket(0, V4, Stream),
                Bind(0, Any, Zero),
                Listen(0, 5),
                Socket(1, V4, Stream),
                Connect(1, Any, Of(0)),
                PeerName(1),
                Socket(2, V4, Stream),
                Connect(2, Other, Of(0)),
                PeerName(2),
                Accept(0, 3),
                LocalName(3),
                Accept(0, 4),
                LocalName(4),
            ],
        ),
        (
            "T21 a dual-stack listener serves both, an IPv6 one does not",
            vec![
                Socket(0, V6, Stream),
                Bind(0, Any, Zero),
                Listen(0, 5),
                Socket(1, V4, Stream),
                Connect(1, Loopback, Of(0)),
                Accept(0, 2),
                PeerName(2),
                Socket(3, V6, Stream),
                Connect(3, Mapped, Of(0)),
                Accept(0, 4),
                Socket(5, V6, Stream),
                Set(5, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1),
                Bind(5, Any, Zero),
                Listen(5, 5),
                Socket(6, V4, Stream),
                Connect(6, Loopback, Of(5)),
                Poll(6),
            ],
        ),
        (
            "T53 binding and closing in turn",
            vec![
                Socket(0, V4, Stream),
                Socket(1, V4, Stream),
                Bind(0, Loopback, Zero),
                Bind(1, Loopback, Of(0)),
                Bind(1, Other, Of(0)),
                Close(1),
                Socket(1, V6, Stream),
                Bind(1, Mapped, Of(0)),
                Bind(1, Any, Of(0)),
            ],
        ),
        (
            "S1 an accepted socket has real addresses",
            connected(&[LocalName(2), PeerName(2)]),
        ),
        (
            "S15 a taken or foreign address fails at bind",
            vec![
                Socket(0, V4, Stream),
                Bind(0, Foreign, Zero),
                Bind(0, Loopback, Zero),
                Bind(0, Loopback, Zero),
                Socket(1, V4, Stream),
                Bind(1, Loopback, Of(0)),
            ],
        ),
    ]
}
