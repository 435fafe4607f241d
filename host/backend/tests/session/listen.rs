// SPDX-License-Identifier: Apache-2.0
//! Ports of the host that lead into the guest: who gets in, who waits, and what is left when the guest closes.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};

use nexus_backend::session::SessionEnd;
use nexus_backend::sockets::PublishedPort;
use nexus_proto::wire::{Address, Event, Family, Ip, Request, SocketId};

use super::guest::socket::wire;
use super::guest::{Guest, PATIENCE, Setup};
use super::peer::local_ip;

const GUEST_PORT: u16 = 8080;
const LISTENER: SocketId = 7;

/// Loopback of the host, as a guest sees peers from there.
const SEEN_LOOPBACK: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 2);

/// A guest with a published port, and where that is on the host.
fn guest(host: std::net::IpAddr, protocol: &str) -> (Guest, SocketAddr) {
    let free = match protocol {
        "udp" => UdpSocket::bind((host, 0)).unwrap().local_addr(),
        _ => TcpListener::bind((host, 0)).unwrap().local_addr(),
    };
    let address = free.unwrap();
    let published: PublishedPort = format!("{address}:{GUEST_PORT}/{protocol}")
        .parse()
        .unwrap();
    let setup = Setup {
        published: vec![published],
        ..Setup::default()
    };
    (setup.start(), address)
}

fn listen_at(guest: &mut Guest, local: Address, backlog: u32) {
    guest.request(&Request::Listen {
        socket: LISTENER,
        local,
        only_v6: false,
        backlog,
    });
}

fn any(family: Family, port: u16) -> Address {
    Address {
        port,
        ..Address::unspecified(family)
    }
}

/// The connections that were announced, and from whom.
fn announced(guest: &Guest) -> Vec<(u32, Address)> {
    guest
        .log
        .iter()
        .filter_map(|event| match *event {
            Event::Incoming {
                socket: LISTENER,
                connection,
                peer,
            } => Some((connection, peer)),
            _ => None,
        })
        .collect()
}

/// Connects as soon as the guest's listener is there, which nothing else tells.
fn connect(address: SocketAddr) -> TcpStream {
    let start = std::time::Instant::now();
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                return stream;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
                assert!(start.elapsed() < PATIENCE, "the port stays closed");
                std::thread::yield_now();
            }
        }
    }
}

fn until_announced(guest: &mut Guest, count: usize) -> Vec<(u32, Address)> {
    guest.until("an incoming connection", |guest| {
        announced(guest).len() >= count
    });
    announced(guest)
}

fn until_released(guest: &mut Guest) {
    guest.until("the listener's release", |guest| {
        guest.log.contains(&Event::Released { socket: LISTENER })
    });
}

fn close(guest: &mut Guest) {
    guest.request(&Request::Close {
        socket: LISTENER,
        tx_produced: 0,
        abort: false,
    });
}

#[test]
fn a_peer_gets_in_where_the_guest_listens_and_only_then() {
    let (mut guest, address) = guest(local_ip(), "tcp");
    assert_eq!(guest.frontend.config().ports[..2], [GUEST_PORT, 0]);
    assert!(TcpStream::connect(address).is_err(), "nobody listens");
    listen_at(&mut guest, any(Family::V4, GUEST_PORT), 5);
    let mut peer = connect(address);
    let (connection, from) = until_announced(&mut guest, 1)[0];
    assert_eq!(from, wire(peer.local_addr().unwrap()));

    guest.accept(0, Family::V4, connection, 4096);
    peer.write_all(b"question").unwrap();
    assert_eq!(guest.read_exact(0, 8), b"question");
    assert_eq!(guest.sockets[&0].status.local.port, GUEST_PORT);
    guest.write_all(0, b"answer");
    guest.shut_wr(0);
    let mut answer = String::new();
    peer.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "answer");

    close(&mut guest);
    until_released(&mut guest);
    assert!(
        TcpStream::connect(address).is_err(),
        "nobody listens any more"
    );
    // The id is free, and so is the port.
    listen_at(&mut guest, any(Family::V4, GUEST_PORT), 5);
    connect(address);
}

#[test]
fn a_peer_on_the_hosts_loopback_does_not_look_like_one_of_the_guests() {
    let (mut guest, address) = guest(Ipv4Addr::LOCALHOST.into(), "tcp");
    listen_at(&mut guest, any(Family::V6, GUEST_PORT), 5);
    let _peer = connect(address);
    let (_, from) = until_announced(&mut guest, 1)[0];
    assert_eq!(from.ip, Ip::V6(SEEN_LOOPBACK.to_ipv6_mapped().octets()));
}

#[test]
fn other_ports_and_other_families_are_not_reached() {
    let (mut guest, address) = guest(local_ip(), "tcp");
    listen_at(&mut guest, any(Family::V4, GUEST_PORT + 1), 5);
    guest.request(&Request::Listen {
        socket: LISTENER + 1,
        local: any(Family::V6, GUEST_PORT),
        only_v6: true,
        backlog: 5,
    });
    // Requests are handled in order, so both listeners are there when this socket is.
    guest.open_datagram(0, Family::V4, 4096);
    guest.close(0, false);
    guest.released(0);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn who_is_not_accepted_is_reset_with_the_listener() {
    let (mut guest, address) = guest(local_ip(), "tcp");
    listen_at(&mut guest, any(Family::V4, GUEST_PORT), 5);
    let mut peer = connect(address);
    let (connection, _) = until_announced(&mut guest, 1)[0];
    close(&mut guest);
    until_released(&mut guest);
    let error = peer.read(&mut [0; 1]).expect_err("reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    // A guest that was on its way to accept it finds it gone.
    guest.accept(0, Family::V4, connection, 4096);
    guest.until("the failure", |guest| {
        guest.sockets[&0].status.error.is_some()
    });
    assert_eq!(
        guest.sockets[&0].status.error.map(i32::from),
        Some(libc::ECONNABORTED)
    );
}

#[test]
fn no_more_wait_than_the_backlog_says() {
    let (mut guest, address) = guest(local_ip(), "tcp");
    listen_at(&mut guest, any(Family::V4, GUEST_PORT), 1);
    let first = connect(address);
    let second = connect(address);
    let seen = until_announced(&mut guest, 2);
    // Held by the host's kernel, since two wait already.
    let mut third = connect(address);
    guest.accept(0, Family::V4, seen[0].0, 4096);
    let seen = until_announced(&mut guest, 3);
    assert_eq!(seen[2].1, wire(third.local_addr().unwrap()));
    guest.accept(1, Family::V4, seen[2].0, 4096);
    third.write_all(b"x").unwrap();
    assert_eq!(guest.read_exact(1, 1), b"x");
    drop((first, second));
}

#[test]
fn instances_of_a_function_share_a_port() {
    let (mut one, address) = guest(local_ip(), "tcp");
    let published = format!("{address}:{GUEST_PORT}").parse().unwrap();
    let mut other = Setup {
        published: vec![published],
        ..Setup::default()
    }
    .start();
    listen_at(&mut one, any(Family::V4, GUEST_PORT), 100);
    listen_at(&mut other, any(Family::V4, GUEST_PORT), 100);
    let mut peers = Vec::new();
    // The kernel chooses by the peer's port, so both get some before long; at first only one may listen. Each peer is taken
    // before the next one comes, so that nobody's backlog fills.
    while announced(&one).is_empty() || announced(&other).is_empty() {
        peers.push(connect(address));
        let start = std::time::Instant::now();
        while announced(&one).len() + announced(&other).len() < peers.len() {
            assert!(start.elapsed() < PATIENCE, "nobody hears of a peer");
            for guest in [&mut one, &mut other] {
                let before = announced(guest).len();
                guest.take_events();
                for (connection, _) in announced(guest).split_off(before) {
                    guest.accept(LISTENER + connection, Family::V4, connection, 4096);
                }
            }
        }
    }
}

#[test]
fn datagrams_get_in_and_are_answered_whatever_the_policy() {
    let (mut guest, address) = guest(Ipv4Addr::LOCALHOST.into(), "udp");
    guest.open_datagram(0, Family::V4, 4096);
    guest.request(&Request::Listen {
        socket: 0,
        local: any(Family::V4, GUEST_PORT),
        only_v6: false,
        backlog: 0,
    });
    let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    peer.set_read_timeout(Some(std::time::Duration::from_millis(50)))
        .unwrap();
    let mut buffer = [0; 32];
    // Until the guest's socket is there, datagrams are lost.
    let start = std::time::Instant::now();
    loop {
        assert!(start.elapsed() < PATIENCE, "nothing gets in");
        let _refused = peer.send_to(b"question", address);
        guest.take_events();
        if guest.sockets[&0].readable() > 0 {
            break;
        }
        let _lost = peer.recv(&mut buffer);
    }
    let (record, question) = guest.receive_from(0);
    assert_eq!(question, b"question");
    let port = peer.local_addr().unwrap().port();
    assert_eq!(record.address, wire((SEEN_LOOPBACK, port).into()));
    guest.send_to(0, (SEEN_LOOPBACK, port).into(), b"answer");
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let (length, from) = loop {
        // A refusal of an early question.
        if let Ok(received) = peer.recv_from(&mut buffer) {
            break received;
        }
    };
    assert_eq!((&buffer[..length], from), (&b"answer"[..], address));
}

#[test]
fn a_stream_does_not_listen_and_a_listener_does_not_stream() {
    let (mut guest, _) = guest(local_ip(), "tcp");
    guest.open(LISTENER, Family::V4, 4096);
    listen_at(&mut guest, any(Family::V4, GUEST_PORT), 5);
    assert!(matches!(guest.ended(), SessionEnd::Violation(_)));

    let mut guest = Guest::new();
    listen_at(&mut guest, any(Family::V4, GUEST_PORT), 5);
    guest.request(&Request::Connect {
        socket: LISTENER,
        peer: any(Family::V4, 1),
        source_port: 0,
    });
    assert!(matches!(guest.ended(), SessionEnd::Violation(_)));
}
