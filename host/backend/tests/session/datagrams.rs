// SPDX-License-Identifier: Apache-2.0
//! Datagrams: there and back, boundaries, failures, and records that are none.

use std::net::UdpSocket;
use std::thread;

use nexus_backend::session::SessionEnd;
use nexus_proto::wire::record::HEADER_SIZE;
use nexus_proto::wire::{Family, Record};

use super::guest::socket::wire;
use super::guest::{Guest, Setup};
use super::peer::local_ip;

/// A server that sends each datagram back, so many times in all.
fn echo(count: usize) -> (std::net::SocketAddr, thread::JoinHandle<()>) {
    let server = UdpSocket::bind((local_ip(), 0)).unwrap();
    let address = server.local_addr().unwrap();
    let thread = thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        for _ in 0..count {
            let (length, from) = server.recv_from(&mut buffer).unwrap();
            server.send_to(&buffer[..length], from).unwrap();
        }
    });
    (address, thread)
}

#[test]
fn datagrams_keep_their_boundaries() {
    let sizes = [0usize, 1, 7, 8, 9, 1000, 3000, 1400, 2, 3900, 4000];
    let (server, thread) = echo(sizes.len());
    let mut guest = Guest::new();
    guest.open_datagram(0, Family::V4, 4096);
    for size in sizes {
        let payload: Vec<u8> = (0u8..251).cycle().take(size).collect();
        guest.send_to(0, server, &payload);
        let (record, back) = guest.receive_from(0);
        assert_eq!((record.error, record.address), (None, wire(server)));
        assert_eq!(back, payload);
    }
    thread.join().unwrap();
    guest.close(0, false);
    guest.released(0);
}

#[test]
fn a_socket_of_ipv6_speaks_ipv4_too() {
    let (server, thread) = echo(1);
    let mut guest = Guest::new();
    guest.open_datagram(0, Family::V6, 4096);
    let mapped = match server.ip() {
        std::net::IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        std::net::IpAddr::V6(ip) => ip,
    };
    guest.send_to(0, (mapped, server.port()).into(), b"hello");
    let (record, back) = guest.receive_from(0);
    assert_eq!(record.address, wire((mapped, server.port()).into()));
    assert_eq!(back, b"hello");
    thread.join().unwrap();
}

#[test]
fn what_nobody_takes_is_told() {
    let closed = UdpSocket::bind((local_ip(), 0))
        .unwrap()
        .local_addr()
        .unwrap();
    let mut guest = Guest::new();
    guest.open_datagram(0, Family::V4, 4096);
    guest.send_to(0, closed, b"anybody?");
    let (record, payload) = guest.receive_from(0);
    assert_eq!(record.error.map(i32::from), Some(libc::ECONNREFUSED));
    assert_eq!((record.address, payload.len()), (wire(closed), 0));
}

#[test]
fn what_the_policy_forbids_is_told_and_not_sent() {
    let server = UdpSocket::bind((local_ip(), 0)).unwrap();
    server.set_nonblocking(true).unwrap();
    let mut guest = Setup {
        rules: vec![],
        ..Setup::default()
    }
    .start();
    guest.open_datagram(0, Family::V4, 4096);
    guest.send_to(0, server.local_addr().unwrap(), b"hello");
    let (record, _) = guest.receive_from(0);
    assert_eq!(record.error.map(i32::from), Some(libc::EACCES));
    guest.send_to(0, ([127, 0, 0, 1], 53).into(), b"hello");
    let (record, _) = guest.receive_from(0);
    assert_eq!(record.error.map(i32::from), Some(libc::ECONNREFUSED));
    assert!(server.recv(&mut [0; 16]).is_err());
}

#[test]
fn what_the_guest_sends_before_it_closes_arrives() {
    let server = UdpSocket::bind((local_ip(), 0)).unwrap();
    let mut guest = Guest::new();
    guest.open_datagram(0, Family::V4, 4096);
    guest.send_to(0, server.local_addr().unwrap(), b"last words");
    guest.close(0, false);
    guest.released(0);
    let mut buffer = [0; 32];
    let length = server.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"last words");
}

#[test]
fn a_record_that_is_not_there_as_a_whole_ends_the_session() {
    let mut guest = Guest::new();
    guest.open_datagram(0, Family::V4, 4096);
    let record = Record {
        length: 100,
        error: None,
        address: wire(([10, 0, 0, 1], 1).into()),
    };
    assert_eq!(guest.write(0, &record.encode()), HEADER_SIZE);
    assert!(matches!(guest.ended(), SessionEnd::Violation(_)));
}

#[test]
fn connecting_a_datagram_socket_is_a_violation() {
    let mut guest = Guest::new();
    guest.open_datagram(0, Family::V4, 4096);
    guest.start_connect(0, ([10, 0, 0, 1], 1).into());
    assert!(matches!(guest.ended(), SessionEnd::Violation(_)));
}
