// SPDX-License-Identifier: Apache-2.0
//! Every connect is answered, and with the error that its owner would expect.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd};
use std::time::Duration;

use nexus_backend::session::Limits;
use nexus_proto::wire::{Family, Ip, Request, SocketOption};

use super::guest::{Guest, Setup};
use super::peer::{echo, listen, local_ip, server};

fn errno(code: i32) -> Result<(), u16> {
    Err(u16::try_from(code).unwrap())
}

#[test]
fn nobody_listens() {
    let (listener, address) = listen();
    drop(listener);
    assert_eq!(
        Guest::new().connect(0, address, 4096),
        errno(libc::ECONNREFUSED)
    );
}

#[test]
fn the_host_itself_is_out_of_reach() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut guest = Setup {
        rules: vec!["*:*".into(), "0.0.0.0/0:*".into(), "[::/0]:*".into()],
        ..Setup::default()
    }
    .start();
    let hosts = [
        "127.0.0.1",
        "127.1.2.3",
        "0.0.0.0",
        "169.254.169.254",
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "fe80::1",
    ];
    for (id, host) in (0..).zip(hosts) {
        let ip: IpAddr = host.parse().unwrap();
        assert_eq!(
            guest.connect(id, SocketAddr::new(ip, port), 4096),
            errno(libc::ECONNREFUSED),
            "{host}"
        );
    }
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "a connection arrived");
}

#[test]
fn the_policy_forbids() {
    let (listener, address) = listen();
    let rules = vec![
        format!("{}:{}", local_ip(), if address.port() == 1 { 2 } else { 1 }),
        "*:*".into(),
    ];
    // The rule for any host does not mean this one, which is the backend's own.
    let mut guest = Setup {
        rules,
        ..Setup::default()
    }
    .start();
    assert_eq!(guest.connect(0, address, 4096), errno(libc::EACCES));
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "a connection arrived");
}

#[test]
fn nobody_answers() {
    let (listener, address) = listen();
    // SAFETY: listen(2) on a listening socket sets its backlog anew.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
    // With its queue full, Linux drops what asks to connect.
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        waiting.push(stream);
    }
    let limits = Limits {
        connect_timeout: Duration::from_millis(300),
        ..Limits::default()
    };
    assert_eq!(
        Setup {
            limits,
            ..Setup::default()
        }
        .start()
        .connect(0, address, 4096),
        errno(libc::ETIMEDOUT)
    );
}

#[test]
fn a_connect_in_progress_can_be_closed() {
    let (listener, address) = listen();
    // SAFETY: as above.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        waiting.push(stream);
    }
    let mut guest = Guest::new();
    for (id, abort) in [(0, false), (1, true)] {
        guest.open(id, Family::V4, 4096);
        guest.start_connect(id, address);
        guest.close(id, abort);
        guest.released(id);
    }
}

#[test]
fn a_vanished_peer_is_looked_for() {
    let (address, peer) = server(1, |stream| drop(stream.peek(&mut [0])));
    let mut guest = Guest::new();
    guest.connect(0, address, 4096).unwrap();
    // Columns of proc_net_tcp(5): local and remote address, state, queues, timer and when it goes off in 1/100 s.
    let ports = [guest.sockets[&0].status.local.port, address.port()];
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let connection = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|columns| {
            ports
                .iter()
                .zip(&columns[1..])
                .all(|(port, column)| column.ends_with(&format!(":{port:04X}")))
        })
        .expect("the connection is in the table");
    let (timer, expires) = connection[5].split_once(':').unwrap();
    assert_eq!(timer, "02", "the keep-alive timer runs");
    assert!(u64::from_str_radix(expires, 16).unwrap() <= 60 * 100);
    guest.close(0, true);
    guest.released(0);
    peer.join().unwrap();
}

#[test]
fn families_do_not_mix() {
    let (_listener, address) = listen();
    let mut guest = Guest::new();
    guest.open(0, Family::V6, 4096);
    guest.start_connect(0, address);
    assert_eq!(Err(guest.failed(0)), errno(libc::EAFNOSUPPORT));
}

#[test]
fn a_mapped_address_reaches_the_v4_host() {
    let IpAddr::V4(v4) = local_ip() else { return };
    let (address, peer) = server(1, echo);
    let mut guest = Guest::new();
    guest
        .connect(
            0,
            SocketAddr::new(v4.to_ipv6_mapped().into(), address.port()),
            4096,
        )
        .unwrap();
    let local = guest.sockets[&0].status.local;
    assert_eq!(
        local.ip,
        Ip::V6(Ipv4Addr::new(169, 254, 170, 1).to_ipv6_mapped().octets())
    );
    assert_ne!(local.port, 0);
    guest.write_all(0, b"mapped");
    assert_eq!(guest.read_exact(0, 6), b"mapped");
    guest.close(0, false);
    guest.released(0);
    peer.join().unwrap();
}

#[test]
fn a_failed_socket_is_released_by_a_close_and_its_id_is_free() {
    let (address, peer) = server(1, echo);
    let mut guest = Guest::new();
    guest
        .connect(0, "127.0.0.1:1".parse().unwrap(), 4096)
        .unwrap_err();
    guest.close(0, false);
    guest.released(0);
    guest.connect(0, address, 4096).unwrap();
    guest.close(0, false);
    guest.released(0);
    peer.join().unwrap();
}

#[test]
fn a_source_port_is_what_the_peer_sees() {
    let (listener, address) = listen();
    let free = TcpListener::bind((local_ip(), 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let mut guest = Guest::new();
    guest.open(0, Family::V4, 4096);
    guest.start_connect_from(0, address, port);
    let (_stream, peer) = listener.accept().unwrap();
    assert_eq!(peer.port(), port);
    guest.until("the connection", |guest| guest.sockets[&0].status.connected);
    assert_eq!(guest.sockets[&0].status.local.port, port);
}

#[test]
fn a_source_port_that_cannot_be_had() {
    let (_listener, address) = listen();
    let taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let mut guest = Guest::new();
    for (id, port, error) in [
        (0, taken.local_addr().unwrap().port(), libc::EADDRNOTAVAIL),
        (1, 513, libc::EACCES),
    ] {
        guest.open(id, Family::V4, 4096);
        guest.start_connect_from(id, address, port);
        assert_eq!(i32::from(guest.failed(id)), error);
    }
}

#[test]
fn options_reach_the_hosts_socket() {
    let (listener, address) = listen();
    let mut guest = Guest::new();
    guest.open(0, Family::V4, 4096);
    let set = |guest: &mut Guest, level, name, value| {
        guest.request(&Request::Option {
            socket: 0,
            option: SocketOption::new(level, name).unwrap(),
            value,
        });
    };
    // Before the connection, one value after another, and one that no socket takes.
    set(&mut guest, 0, 1, 0x20);
    set(&mut guest, 0, 1, 0x10);
    set(&mut guest, 6, 6, 100_000);
    guest.start_connect(0, address);
    let (_stream, peer) = listener.accept().unwrap();
    guest.until("the connection", |guest| guest.sockets[&0].status.connected);
    assert_eq!(type_of_service(peer.port()), Some(0x10));
    set(&mut guest, 0, 1, 0x08);
    guest.until("the option", |_| type_of_service(peer.port()) == Some(0x08));
}

/// IP_TOS of this process' connected socket with the port.
fn type_of_service(port: u16) -> Option<i32> {
    (0..1024).find_map(|fd| {
        // SAFETY: the socket is not closed, since the stream is forgotten below; another descriptor's call fails.
        let stream = std::mem::ManuallyDrop::new(unsafe { TcpStream::from_raw_fd(fd) });
        stream.peer_addr().ok()?;
        if stream.local_addr().ok()?.port() != port {
            return None;
        }
        nix::sys::socket::getsockopt(&*stream, nix::sys::socket::sockopt::Ipv4Tos).ok()
    })
}
