// SPDX-License-Identifier: Apache-2.0
//! Scripts that name a behaviour. T and S numbers are those of the compatibility requirements (docs/compatibility.md).

use nexus_socket_model::Call;
use nexus_socket_model::call::Call::{
    Accept, Bind, Close, Connect, Disconnect, Duplicate, Get, Linger, Listen, LocalName, PeerName,
    Poll, Readable, Receive, Send, SendTo, Set, Shutdown, Socket, Wait, Watch,
};
use nexus_socket_model::call::Family::{V4, V6};
use nexus_socket_model::call::Host::{Any, Foreign, Loopback, Mapped, Other};
use nexus_socket_model::call::Kind::{Datagram, Stream};
use nexus_socket_model::call::Port::{Nobody, Of, Zero};

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

/// All scripts with their names.
pub(super) fn all() -> Vec<(&'static str, Vec<Call>)> {
    [
        listening(),
        connecting(),
        streaming(),
        datagram(),
        options(),
    ]
    .concat()
}

fn listening() -> Vec<(&'static str, Vec<Call>)> {
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

fn connecting() -> Vec<(&'static str, Vec<Call>)> {
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

fn streaming() -> Vec<(&'static str, Vec<Call>)> {
    vec![
        (
            "T35 FIONREAD counts",
            connected(&[
                Send(1, 100, 0),
                Readable(2),
                Receive(2, 40, 0),
                Readable(2),
                Readable(0),
            ]),
        ),
        (
            "T42 all bytes, then the end",
            connected(&[
                Send(1, 5000, 0),
                Close(1),
                Poll(2),
                Receive(2, 3000, 0),
                Receive(2, 3000, 0),
                Receive(2, 1, 0),
                Poll(2),
            ]),
        ),
        (
            "T46 close after write loses nothing",
            connected(&[
                Send(1, 3000, 0),
                Send(1, 3000, 0),
                Close(1),
                Receive(2, 6000, 0),
            ]),
        ),
        (
            "T48 half-close, with its events",
            connected(&[
                Watch(2, 0),
                Shutdown(1, 1),
                Wait,
                Receive(2, 1, 0),
                Send(2, 10, 0),
                Poll(1),
                Receive(1, 10, 0),
                Shutdown(2, 1),
                Poll(1),
                Poll(2),
                PeerName(1),
            ]),
        ),
        (
            "T49 closing with unread bytes resets",
            connected(&[
                Send(1, 10, 0),
                Close(2),
                Poll(1),
                Send(1, 1, 0),
                Receive(1, 1, 0),
                Receive(1, 1, 0),
            ]),
        ),
        (
            "T54 writing to a closed connection",
            connected(&[
                Close(2),
                Send(1, 1, 0),
                Send(1, 1, 0),
                Poll(1),
                Receive(1, 1, 0),
            ]),
        ),
        (
            "S14 the end of one direction leaves the other",
            connected(&[
                Shutdown(2, 1),
                Receive(1, 1, 0),
                Send(1, 20, 0),
                Receive(2, 20, 0),
            ]),
        ),
        (
            "a linger time of zero resets",
            connected(&[
                Linger(1, 0),
                Close(1),
                Poll(2),
                Receive(2, 1, 0),
                Receive(2, 1, 0),
            ]),
        ),
        (
            "peeking, waiting for all, dropping",
            connected(&[
                Send(1, 100, 0),
                Receive(2, 30, libc::MSG_PEEK),
                Receive(2, 200, libc::MSG_WAITALL),
                Send(1, 100, 0),
                Receive(2, 30, libc::MSG_TRUNC),
                Receive(2, 30, libc::MSG_PEEK | libc::MSG_TRUNC),
                Receive(2, 200, 0),
            ]),
        ),
        (
            "an urgent byte",
            connected(&[
                Watch(2, ET),
                Wait,
                Send(1, 20, 0),
                Send(1, 5, libc::MSG_OOB),
                Send(1, 10, 0),
                Poll(2),
                Wait,
                Readable(2),
                Receive(2, 1, libc::MSG_OOB),
                Receive(2, 1, libc::MSG_OOB),
                Receive(2, 100, 0),
                Receive(2, 100, 0),
                Poll(2),
            ]),
        ),
        (
            "an urgent byte inline",
            connected(&[
                Set(2, libc::SOL_SOCKET, libc::SO_OOBINLINE, 1),
                Send(1, 5, libc::MSG_OOB),
                Receive(2, 1, libc::MSG_OOB),
                Receive(2, 100, 0),
                Receive(2, 100, 0),
            ]),
        ),
        (
            "the last descriptor closes",
            connected(&[
                Duplicate(1, 3),
                Close(1),
                Poll(2),
                Close(3),
                Poll(2),
                Receive(2, 1, 0),
            ]),
        ),
        (
            "edges of readiness",
            connected(&[
                Watch(2, ET),
                Wait,
                Send(1, 10, 0),
                Wait,
                Wait,
                Send(1, 10, 0),
                Wait,
                Receive(2, 20, 0),
                Wait,
            ]),
        ),
    ]
}

fn datagram() -> Vec<(&'static str, Vec<Call>)> {
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

/// Each default, and what becomes of some values.
fn options() -> Vec<(&'static str, Vec<Call>)> {
    const TCP: &[i32] = &[
        libc::TCP_NODELAY,
        libc::TCP_MAXSEG,
        libc::TCP_CORK,
        libc::TCP_KEEPIDLE,
        libc::TCP_KEEPINTVL,
        libc::TCP_KEEPCNT,
        libc::TCP_LINGER2,
        libc::TCP_DEFER_ACCEPT,
        libc::TCP_QUICKACK,
        libc::TCP_USER_TIMEOUT,
        libc::TCP_FASTOPEN,
        libc::TCP_NOTSENT_LOWAT,
    ];
    const IP: &[i32] = &[
        libc::IP_TOS,
        libc::IP_TTL,
        libc::IP_PKTINFO,
        libc::IP_MTU_DISCOVER,
        libc::IP_RECVERR,
        libc::IP_RECVTTL,
        libc::IP_RECVTOS,
        libc::IP_FREEBIND,
        libc::IP_BIND_ADDRESS_NO_PORT,
    ];
    const IPV6: &[i32] = &[
        libc::IPV6_UNICAST_HOPS,
        libc::IPV6_MTU_DISCOVER,
        libc::IPV6_V6ONLY,
        libc::IPV6_RECVPKTINFO,
        libc::IPV6_RECVHOPLIMIT,
        libc::IPV6_RECVTCLASS,
        libc::IPV6_TCLASS,
        libc::IPV6_DONTFRAG,
    ];
    let each = |family, kind, level, names: &[i32]| {
        let mut calls = vec![Socket(0, family, kind)];
        for name in names {
            calls.push(Get(0, level, *name));
            for value in [-1, 0, 1, 2, 64, 255, 256, 1000, 40_000] {
                calls.extend([Set(0, level, *name, value), Get(0, level, *name)]);
            }
        }
        calls
    };
    vec![
        (
            "T34 options of TCP are read back as Linux has them",
            each(V4, Stream, libc::IPPROTO_TCP, TCP),
        ),
        (
            "T34 options of IPv4 on a stream",
            each(V4, Stream, libc::IPPROTO_IP, IP),
        ),
        (
            "T32 options of IPv4 on datagrams",
            each(V4, Datagram, libc::IPPROTO_IP, IP),
        ),
        (
            "T34 options of IPv6",
            each(V6, Stream, libc::IPPROTO_IPV6, IPV6),
        ),
        (
            "T32 options of IPv6 on datagrams",
            each(V6, Datagram, libc::IPPROTO_IPV6, IPV6),
        ),
        (
            "T30 options of the wrong level",
            vec![
                Socket(0, V4, Datagram),
                Get(0, libc::IPPROTO_TCP, 1),
                Set(0, libc::IPPROTO_TCP, 1, 1),
                Get(0, 255, 1),
                Set(0, 255, 1, 1),
                Get(0, libc::IPPROTO_IPV6, 26),
            ],
        ),
        (
            "T31 an accepted socket takes all options",
            connected(&[
                Set(2, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1),
                Get(2, libc::IPPROTO_TCP, libc::TCP_NODELAY),
                Set(2, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1),
                Get(2, libc::SOL_SOCKET, libc::SO_KEEPALIVE),
                Set(2, libc::IPPROTO_IP, libc::IP_TOS, 16),
                Get(2, libc::IPPROTO_IP, libc::IP_TOS),
            ]),
        ),
        (
            "S9 what a socket says it is",
            connected(&[
                Get(2, libc::SOL_SOCKET, libc::SO_DOMAIN),
                Get(2, libc::SOL_SOCKET, libc::SO_TYPE),
                Get(2, libc::SOL_SOCKET, libc::SO_PROTOCOL),
                Get(0, libc::SOL_SOCKET, libc::SO_ACCEPTCONN),
                Get(2, libc::SOL_SOCKET, libc::SO_ACCEPTCONN),
            ]),
        ),
    ]
}
