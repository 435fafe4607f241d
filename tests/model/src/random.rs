// SPDX-License-Identifier: Apache-2.0
//! Scripts for property tests.
//!
//! What differs between two honest kernels is not generated: how much fits before a socket is full, how long a closed
//! connection keeps its port (TIME_WAIT), when an acknowledgement arrives, what is told of a datagram that came before the option that
//! asks for it; nor is what no program means: a TCP connection of a
//! socket with itself, or a socket that speaks IPv4 and IPv6 in turn.

use proptest::prelude::*;

use crate::call::{Call, Family, Host, Kind, Membership, Port, Slot};

/// Sockets of a script; accepted ones and duplicates come on top.
const SLOTS: Slot = 5;

/// Bytes of the largest send: many of them fit into any socket.
const LENGTH: u32 = 3000;

/// A script about streams.
pub fn streams() -> impl Strategy<Value = Vec<Call>> {
    script(Kind::Stream)
}

/// A script about datagrams.
pub fn datagrams() -> impl Strategy<Value = Vec<Call>> {
    script(Kind::Datagram)
}

fn script(kind: Kind) -> impl Strategy<Value = Vec<Call>> {
    let opening = (0..SLOTS)
        .map(move |slot| family().prop_map(move |family| Call::Socket(slot, family, kind)))
        .collect::<Vec<_>>();
    let prelude = match kind {
        Kind::Stream => prop_oneof![1 => Just(Vec::new()), 4 => connection()].boxed(),
        Kind::Datagram => prop_oneof![1 => Just(Vec::new()), 4 => association()].boxed(),
    };
    (opening, prelude, prop::collection::vec(call(kind), 1..40)).prop_map(
        |(mut opening, prelude, calls)| {
            opening.extend(prelude);
            opening.extend(calls);
            opening
        },
    )
}

/// Calls that connect two sockets, as random ones seldom do.
fn connection() -> impl Strategy<Value = Vec<Call>> {
    (host(), one_family()).prop_map(|(at, to)| {
        vec![
            Call::Bind(0, at, Port::Zero),
            Call::Listen(0, 2),
            Call::Connect(1, to, Port::Of(0)),
            Call::Accept(0, 2),
        ]
    })
}

/// Calls that lead datagrams from one socket to another.
fn association() -> impl Strategy<Value = Vec<Call>> {
    (one_family(), one_family()).prop_map(|(at, to)| {
        vec![
            Call::Bind(0, at, Port::Zero),
            Call::Connect(1, to, Port::Of(0)),
        ]
    })
}

fn slot() -> impl Strategy<Value = Slot> {
    0..SLOTS
}

fn family() -> impl Strategy<Value = Family> {
    prop_oneof![2 => Just(Family::V4), 1 => Just(Family::V6)]
}

fn host() -> impl Strategy<Value = Host> {
    prop_oneof![
        4 => Just(Host::Loopback),
        2 => Just(Host::Any),
        1 => Just(Host::Other),
        1 => Just(Host::Mapped),
    ]
}

/// Addresses that are not IPv4's on a socket of IPv6: one that spoke both leaves its own address to chance.
fn one_family() -> impl Strategy<Value = Host> {
    prop_oneof![3 => Just(Host::Loopback), 1 => Just(Host::Any)]
}

/// Where datagrams go: to one socket, to a group, to everybody.
fn destination() -> impl Strategy<Value = Host> {
    prop_oneof![8 => one_family(), 3 => Just(Host::Group), 1 => Just(Host::Everybody)]
}

fn membership() -> impl Strategy<Value = Membership> {
    prop_oneof![
        4 => Just(Membership::SendBy),
        4 => Just(Membership::Join),
        1 => Just(Membership::Leave),
        1 => Just(Membership::JoinSource),
        1 => Just(Membership::LeaveSource),
        1 => Just(Membership::Block),
        1 => Just(Membership::Unblock),
    ]
}

/// Options of datagram sockets that change what is sent, or told beside it.
fn datagram_option() -> impl Strategy<Value = (i32, i32)> {
    prop_oneof![
        Just((libc::SOL_SOCKET, libc::SO_BROADCAST)),
        Just((libc::IPPROTO_IP, libc::IP_MULTICAST_LOOP)),
        Just((libc::IPPROTO_IP, libc::IP_MULTICAST_ALL)),
        Just((libc::IPPROTO_IP, libc::IP_RECVTTL)),
        Just((libc::IPPROTO_IP, libc::IP_RECVERR)),
        Just((libc::IPPROTO_IPV6, libc::IPV6_RECVERR)),
        Just((libc::IPPROTO_UDP, libc::UDP_CORK)),
        Just((libc::IPPROTO_UDP, libc::UDP_GRO)),
    ]
}

/// Where streams connect: to the socket that listens, to one that may, or to nobody.
fn stream_port() -> impl Strategy<Value = Port> {
    prop_oneof![8 => Just(Port::Of(0)), 1 => Just(Port::Of(1)), 1 => Just(Port::Nobody)]
}

/// Where datagrams go.
fn datagram_port() -> impl Strategy<Value = Port> {
    prop_oneof![8 => slot().prop_map(Port::Of), 1 => Just(Port::Nobody)]
}

fn receive_flags() -> impl Strategy<Value = i32> {
    prop_oneof![
        4 => Just(0),
        2 => Just(libc::MSG_PEEK),
        1 => Just(libc::MSG_WAITALL),
        1 => Just(libc::MSG_TRUNC),
        1 => Just(libc::MSG_PEEK | libc::MSG_TRUNC),
        1 => Just(libc::MSG_OOB),
        1 => Just(libc::MSG_OOB | libc::MSG_PEEK),
    ]
}

/// `MSG_MORE` now and then: the datagram is not complete.
fn more() -> impl Strategy<Value = i32> {
    prop_oneof![12 => Just(0), 1 => Just(libc::MSG_MORE)]
}

fn option() -> impl Strategy<Value = (i32, i32)> {
    prop_oneof![
        Just((libc::SOL_SOCKET, libc::SO_REUSEADDR)),
        Just((libc::SOL_SOCKET, libc::SO_REUSEPORT)),
        Just((libc::SOL_SOCKET, libc::SO_KEEPALIVE)),
        Just((libc::SOL_SOCKET, libc::SO_OOBINLINE)),
        Just((libc::IPPROTO_IPV6, libc::IPV6_V6ONLY)),
        Just((libc::IPPROTO_TCP, libc::TCP_NODELAY)),
    ]
}

fn question() -> impl Strategy<Value = (i32, i32)> {
    prop_oneof![
        2 => Just((libc::SOL_SOCKET, libc::SO_ERROR)),
        1 => Just((libc::SOL_SOCKET, libc::SO_ACCEPTCONN)),
        1 => Just((libc::SOL_SOCKET, libc::SO_DOMAIN)),
        1 => Just((libc::IPPROTO_IP, libc::IP_MTU)),
        1 => Just((libc::IPPROTO_IPV6, libc::IPV6_MTU)),
        1 => Just((libc::SOL_SOCKET, libc::SO_PROTOCOL)),
        1 => option(),
    ]
}

fn call(kind: Kind) -> BoxedStrategy<Call> {
    let bind = (slot(), host()).prop_map(|(slot, host)| Call::Bind(slot, host, Port::Zero));
    let connect = match kind {
        // TCP connects a socket even with itself.
        Kind::Stream => (slot(), one_family(), stream_port())
            .prop_filter("a connection with itself", |(slot, _, port)| {
                *port != Port::Of(*slot)
            })
            .boxed(),
        Kind::Datagram => (slot(), one_family(), datagram_port()).boxed(),
    };
    let connect = connect.prop_map(|(slot, host, port)| Call::Connect(slot, host, port));
    let urgent = match kind {
        Kind::Stream => libc::MSG_OOB,
        Kind::Datagram => 0,
    };
    let send_flags = prop_oneof![12 => Just(0), 1 => Just(urgent)];
    let send = (slot(), 0..LENGTH, send_flags)
        .prop_map(|(slot, length, flags)| Call::Send(slot, length, flags));
    let receive = (slot(), 0..2 * LENGTH, receive_flags())
        .prop_map(|(slot, length, flags)| Call::Receive(slot, length, flags));
    let set = (slot(), option(), 0..2)
        .prop_map(|(slot, (level, name), value)| Call::Set(slot, level, name, value));
    let get = (slot(), question()).prop_map(|(slot, (level, name))| Call::Get(slot, level, name));
    let socket =
        (slot(), family()).prop_map(move |(slot, family)| Call::Socket(slot, family, kind));
    let common = prop_oneof![
        4 => bind,
        6 => connect,
        8 => send,
        8 => receive,
        3 => (1..SLOTS, 0..3).prop_map(|(slot, how)| Call::Shutdown(slot, how)),
        2 => slot().prop_map(Call::Close),
        6 => slot().prop_map(Call::Poll),
        2 => slot().prop_map(Call::LocalName),
        2 => slot().prop_map(Call::PeerName),
        2 => set,
        2 => get,
        2 => slot().prop_map(Call::Readable),
        1 => slot().prop_map(Call::Stamped),
        1 => slot().prop_map(Call::Disconnect),
        1 => socket,
        1 => (2..SLOTS, 2..SLOTS).prop_map(|(slot, into)| Call::Duplicate(slot, into)),
        2 => (slot(), prop_oneof![Just(0), Just(libc::EPOLLET.cast_unsigned())])
            .prop_map(|(slot, flags)| Call::Watch(slot, flags)),
        3 => Just(Call::Wait),
    ];
    match kind {
        Kind::Stream => prop_oneof![
            50 => common,
            5 => (slot(), 0..3).prop_map(|(slot, backlog)| Call::Listen(slot, backlog)),
            6 => (slot(), slot()).prop_map(|(slot, into)| Call::Accept(slot, into)),
            1 => slot().prop_map(|slot| Call::Linger(slot, 0)),
        ]
        .boxed(),
        Kind::Datagram => prop_oneof![
            50 => common,
            12 => (slot(), 0..LENGTH, more(), destination(), datagram_port()).prop_map(
                |(slot, length, flags, host, port)| Call::SendTo(slot, length, flags, host, port)
            ),
            6 => (slot(), membership()).prop_map(|(slot, what)| Call::Group(slot, what)),
            4 => (slot(), datagram_option(), 0..2)
                .prop_map(|(slot, (level, name), value)| Call::Set(slot, level, name, value)),
            2 => (slot(), 0..LENGTH)
                .prop_map(|(slot, length)| Call::Receive(slot, length, libc::MSG_ERRQUEUE)),
        ]
        .boxed(),
    }
}
