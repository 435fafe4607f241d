// SPDX-License-Identifier: Apache-2.0
//! Datagrams for many, datagrams in pieces, and what became of those that nobody took.

#![expect(clippy::too_many_lines, reason = "one list of data")]

use crate::call::Call::{
    Bind, Close, Connect, Get, Group, Poll, Receive, Send, SendTo, Set, Socket,
};
use crate::call::Family::{V4, V6};
use crate::call::Host::{self, Any, Loopback};
use crate::call::Kind::{Datagram, Stream};
use crate::call::Membership::{Block, Join, JoinSource, Leave, LeaveSource, SendBy, Unblock};
use crate::call::Port::{Nobody, Of, Zero};

use super::{Named, connected, datagrams};

const CORK: (i32, i32) = (libc::IPPROTO_UDP, libc::UDP_CORK);
const ERRORS: (i32, i32) = (libc::IPPROTO_IP, libc::IP_RECVERR);

pub(super) fn scripts() -> Vec<Named> {
    // Two sockets that hear everything, and one that sends.
    let many = |rest: &[_]| {
        let mut calls = vec![
            Socket(0, V4, Datagram),
            Socket(1, V4, Datagram),
            Socket(2, V4, Datagram),
            Set(0, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1),
            Set(1, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1),
            Bind(0, Any, Zero),
            Bind(1, Any, Of(0)),
            Group(2, SendBy),
        ];
        calls.extend_from_slice(rest);
        calls
    };
    vec![
        (
            "a group's members hear it, and who hears all",
            many(&[
                SendTo(2, 10, 0, Host::Group, Of(0)),
                Receive(0, 20, 0),
                Group(0, Join),
                Group(0, Join),
                SendTo(2, 11, 0, Host::Group, Of(0)),
                Receive(0, 20, 0),
                Receive(1, 20, 0),
                Set(1, libc::IPPROTO_IP, libc::IP_MULTICAST_ALL, 0),
                SendTo(2, 12, 0, Host::Group, Of(0)),
                Receive(0, 20, 0),
                Receive(1, 20, 0),
                Group(0, Leave),
                Group(0, Leave),
                SendTo(2, 13, 0, Host::Group, Of(0)),
                Receive(0, 20, 0),
            ]),
        ),
        (
            "a group's sources",
            many(&[
                Group(0, Block),
                Group(0, Join),
                Group(0, Block),
                Group(0, Block),
                SendTo(2, 10, 0, Host::Group, Of(0)),
                Receive(0, 20, 0),
                Group(0, JoinSource),
                Group(0, Unblock),
                Group(0, Unblock),
                SendTo(2, 11, 0, Host::Group, Of(0)),
                Receive(0, 20, 0),
                Group(1, JoinSource),
                SendTo(2, 12, 0, Host::Group, Of(0)),
                Receive(1, 20, 0),
                Group(1, LeaveSource),
                Group(1, Leave),
            ]),
        ),
        (
            "a group does not hear who turns that off, nor a member that is gone",
            many(&[
                Group(0, Join),
                Set(2, libc::IPPROTO_IP, libc::IP_MULTICAST_LOOP, 0),
                SendTo(2, 10, 0, Host::Group, Of(0)),
                Receive(0, 20, 0),
                Set(2, libc::IPPROTO_IP, libc::IP_MULTICAST_LOOP, 1),
                Close(0),
                SendTo(2, 10, 0, Host::Group, Of(1)),
                Receive(1, 20, 0),
            ]),
        ),
        (
            "everybody hears, if that is allowed",
            many(&[
                SendTo(2, 10, 0, Host::Everybody, Of(0)),
                Connect(2, Host::Everybody, Of(0)),
                Set(2, libc::SOL_SOCKET, libc::SO_BROADCAST, 1),
                SendTo(2, 10, 0, Host::Everybody, Of(0)),
                Receive(0, 20, 0),
                Receive(1, 20, 0),
            ]),
        ),
        (
            "streams have no groups",
            vec![
                Socket(0, V4, Stream),
                Socket(1, V6, Stream),
                Group(0, SendBy),
                Group(0, Join),
                Group(1, Leave),
                Connect(0, Host::Group, Nobody),
                Connect(0, Host::Everybody, Nobody),
                Set(0, libc::IPPROTO_IP, libc::IP_MULTICAST_TTL, 1),
                Set(1, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS, 1),
                Get(1, libc::IPPROTO_IP, libc::IP_MULTICAST_ALL),
            ],
        ),
        (
            "a datagram in pieces",
            datagrams(&[
                SendTo(1, 10, libc::MSG_MORE, Loopback, Of(0)),
                Receive(0, 100, 0),
                SendTo(1, 20, 0, Loopback, Nobody),
                Receive(0, 100, 0),
                Set(1, CORK.0, CORK.1, 1),
                SendTo(1, 1, 0, Loopback, Of(0)),
                SendTo(1, 2, 0, Loopback, Of(0)),
                Get(1, CORK.0, CORK.1),
                Receive(0, 100, 0),
                Set(1, CORK.0, CORK.1, 0),
                Receive(0, 100, 0),
                SendTo(1, 60_000, libc::MSG_MORE, Loopback, Of(0)),
                SendTo(1, 60_000, 0, Loopback, Of(0)),
                Receive(0, 100, 0),
                SendTo(1, 5, 0, Loopback, Of(0)),
                Receive(0, 100, 0),
            ]),
        ),
        (
            "the error queue of a socket that asks for it",
            datagrams(&[
                Receive(1, 10, libc::MSG_ERRQUEUE),
                Set(1, ERRORS.0, ERRORS.1, 1),
                SendTo(1, 1000, 0, Loopback, Nobody),
                Poll(1),
                Receive(1, 2000, libc::MSG_ERRQUEUE),
                Poll(1),
                SendTo(1, 30, 0, Loopback, Nobody),
                SendTo(1, 40, 0, Loopback, Nobody),
                SendTo(1, 50, 0, Loopback, Nobody),
                Get(1, libc::SOL_SOCKET, libc::SO_ERROR),
                Poll(1),
                Receive(1, 10, libc::MSG_ERRQUEUE),
                Get(1, libc::SOL_SOCKET, libc::SO_ERROR),
                Poll(1),
                Receive(1, 100, 0),
                Receive(1, 100, libc::MSG_ERRQUEUE),
                Receive(1, 100, libc::MSG_ERRQUEUE),
            ]),
        ),
        (
            "the error queue of IPv6",
            vec![
                Socket(0, V6, Datagram),
                Set(0, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1),
                Set(0, ERRORS.0, ERRORS.1, 1),
                SendTo(0, 2000, 0, Loopback, Nobody),
                Receive(0, 3000, libc::MSG_ERRQUEUE),
                SendTo(0, 2000, 0, Host::Mapped, Nobody),
                SendTo(0, 2000, 0, Host::Mapped, Nobody),
                Receive(0, 3000, libc::MSG_ERRQUEUE),
            ],
        ),
        (
            "a stream's error queue is empty",
            connected(&[
                Receive(1, 10, libc::MSG_ERRQUEUE),
                Send(1, 10, 0),
                Receive(2, 20, 0),
            ]),
        ),
    ]
}
