// SPDX-License-Identifier: Apache-2.0
//! Options: each default, and what becomes of some values.

#![expect(clippy::too_many_lines, reason = "one list of data")]

use crate::call::Call::{Accept, BindToDevice, Connect, Get, Protocol, Receive, Send, Set, Socket};
use crate::call::Device;
use crate::call::Family::{V4, V6};
use crate::call::Host::Loopback;
use crate::call::Kind::{Datagram, Stream};
use crate::call::Port::Of;

use super::{Named, connected};

pub(super) fn scripts() -> Vec<Named> {
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
            "TCP_MAXSEG of a connection is what both sides agree on",
            connected(&[
                // Of the accepted side it depends on the first window, which is no agreement.
                Get(1, libc::IPPROTO_TCP, libc::TCP_MAXSEG),
                Get(0, libc::IPPROTO_TCP, libc::TCP_MAXSEG),
                Set(0, libc::IPPROTO_TCP, libc::TCP_MAXSEG, 873),
                Get(0, libc::IPPROTO_TCP, libc::TCP_MAXSEG),
                Socket(3, V4, Stream),
                Connect(3, Loopback, Of(0)),
                Accept(0, 4),
                Get(3, libc::IPPROTO_TCP, libc::TCP_MAXSEG),
                Get(4, libc::IPPROTO_TCP, libc::TCP_MAXSEG),
                Socket(5, V4, Stream),
                Set(5, libc::IPPROTO_TCP, libc::TCP_MAXSEG, 700),
                Get(5, libc::IPPROTO_TCP, libc::TCP_MAXSEG),
                Connect(5, Loopback, Of(0)),
                Accept(0, 6),
                Get(5, libc::IPPROTO_TCP, libc::TCP_MAXSEG),
                Get(6, libc::IPPROTO_TCP, libc::TCP_MAXSEG),
            ]),
        ),
        (
            "TCP_INFO says the state, and IP_MTU the largest packet to a peer",
            connected(&[
                Get(0, libc::IPPROTO_TCP, libc::TCP_INFO),
                Get(1, libc::IPPROTO_TCP, libc::TCP_INFO),
                Get(2, libc::IPPROTO_TCP, libc::TCP_INFO),
                Get(0, libc::IPPROTO_IP, libc::IP_MTU),
                Get(1, libc::IPPROTO_IP, libc::IP_MTU),
            ]),
        ),
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
            "protocols that there are, and ping, which is for nobody",
            vec![
                Protocol(V4, Stream, libc::IPPROTO_TCP),
                Protocol(V4, Stream, libc::IPPROTO_UDP),
                Protocol(V6, Datagram, libc::IPPROTO_UDP),
                Protocol(V6, Datagram, libc::IPPROTO_TCP),
                Protocol(V4, Datagram, libc::IPPROTO_ICMP),
                Protocol(V6, Datagram, libc::IPPROTO_ICMPV6),
                Protocol(V4, Datagram, libc::IPPROTO_ICMPV6),
                Protocol(V6, Datagram, libc::IPPROTO_ICMP),
                Protocol(V4, Stream, libc::IPPROTO_ICMP),
                Protocol(V4, Stream, 200),
            ],
        ),
        (
            "SO_BINDTODEVICE to the loopback interface",
            connected(&[
                Socket(3, V4, Stream),
                BindToDevice(3, Device::Missing),
                BindToDevice(3, Device::Loopback),
                Get(3, libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX),
                Connect(3, Loopback, Of(0)),
                Accept(0, 4),
                Send(4, 10, 0),
                Receive(3, 10, 0),
                BindToDevice(3, Device::Any),
                Get(3, libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX),
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
