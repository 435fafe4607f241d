// SPDX-License-Identifier: Apache-2.0
//! Ends of all kinds: half, whole, and by force.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nexus_backend::session::Limits;
use nexus_proto::wire::Family;
use nix::sys::socket::{setsockopt, sockopt};

use super::guest::{Guest, Setup};
use super::peer::{pattern, server};

fn all(mut stream: &TcpStream) -> Result<Vec<u8>, ErrorKind> {
    let mut bytes = Vec::new();
    stream
        .read_to_end(&mut bytes)
        .map(|_| bytes)
        .map_err(|error| error.kind())
}

fn reset(stream: TcpStream) {
    setsockopt(
        &stream,
        sockopt::Linger,
        &libc::linger {
            l_onoff: 1,
            l_linger: 0,
        },
    )
    .unwrap();
    drop(stream);
}

#[test]
fn the_guest_half_closes_first() {
    let (address, peer) = server(1, |mut stream| {
        let request = all(&stream).unwrap();
        stream.write_all(&request).unwrap();
        request
    });
    let mut guest = Guest::new();
    guest.connect(0, address, 4096).unwrap();
    guest.write_all(0, b"all of it");
    guest.shut_wr(0);
    assert_eq!(guest.read_to_end(0), b"all of it");
    guest.close(0, false);
    guest.released(0);
    assert_eq!(peer.join().unwrap(), [b"all of it"]);
}

#[test]
fn the_peer_half_closes_first() {
    let (address, peer) = server(1, |mut stream| {
        stream.write_all(b"bye").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        all(&stream).unwrap()
    });
    let mut guest = Guest::new();
    guest.connect(0, address, 4096).unwrap();
    assert_eq!(guest.read_to_end(0), b"bye");
    let bytes = pattern(5).take(100_000);
    guest.write_all(0, &bytes);
    guest.close(0, false);
    guest.released(0);
    assert!(peer.join().unwrap() == [bytes]);
}

#[test]
fn close_sends_what_is_left() {
    let (go, wait) = channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let (address, peer) = server(1, move |stream| {
        wait.lock().unwrap().recv().unwrap();
        all(&stream)
    });
    let mut guest = Guest::new();
    guest.connect(0, address, 1 << 20).unwrap();
    let bytes = pattern(6).take(1 << 20);
    assert_eq!(guest.write(0, &bytes), bytes.len());
    guest.close(0, false);
    go.send(()).unwrap();
    guest.released(0);
    assert!(peer.join().unwrap() == [Ok(bytes)]);
}

#[test]
fn close_gets_through_although_the_peer_sent_something() {
    let (address, peer) = server(1, |mut stream| {
        stream.write_all(b"unread").unwrap();
        all(&stream)
    });
    let mut guest = Guest::new();
    guest.connect(0, address, 4096).unwrap();
    guest.until("what the peer sent", |guest| {
        guest.sockets[&0].readable() == 6
    });
    guest.write_all(0, b"last words");
    guest.close(0, false);
    guest.released(0);
    assert_eq!(peer.join().unwrap(), [Ok(b"last words".to_vec())]);
}

#[test]
fn close_does_not_wait_for_ever() {
    let (go, wait) = channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let (address, peer) = server(1, move |stream| {
        setsockopt(&stream, sockopt::RcvBuf, &4096).unwrap();
        wait.lock().unwrap().recv().unwrap();
        all(&stream)
    });
    let limits = Limits {
        close_timeout: Duration::from_millis(500),
        ..Limits::default()
    };
    let mut guest = Setup {
        limits,
        ..Setup::default()
    }
    .start();
    guest.connect(0, address, 1 << 20).unwrap();
    // Fill the kernel's buffers, whatever their size: until the ring itself stays full.
    let bytes = vec![1; 1 << 20];
    let mut stuck = 0;
    while stuck < 50 {
        guest.take_events();
        stuck = if guest.write(0, &bytes) == 0 {
            stuck + 1
        } else {
            0
        };
        std::thread::sleep(Duration::from_millis(5));
    }
    guest.close(0, false);
    guest.released(0);
    go.send(()).unwrap();
    assert_eq!(peer.join().unwrap(), [Err(ErrorKind::ConnectionReset)]);
}

#[test]
fn abort_resets_the_peer() {
    let (address, peer) = server(1, |stream| all(&stream));
    let mut guest = Guest::new();
    guest.connect(0, address, 4096).unwrap();
    guest.close(0, true);
    guest.released(0);
    assert_eq!(peer.join().unwrap(), [Err(ErrorKind::ConnectionReset)]);
}

#[test]
fn a_reset_by_the_peer_is_an_error_after_the_bytes() {
    let (go, wait) = channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let (address, peer) = server(1, move |mut stream| {
        stream.write_all(b"before").unwrap();
        wait.lock().unwrap().recv().unwrap();
        reset(stream);
    });
    let mut guest = Guest::new();
    guest.connect(0, address, 4096).unwrap();
    assert_eq!(guest.read_exact(0, 6), b"before");
    go.send(()).unwrap();
    assert_eq!(i32::from(guest.failed(0)), libc::ECONNRESET);
    assert!(guest.sockets[&0].status.connected);
    guest.close(0, false);
    guest.released(0);
    peer.join().unwrap();
}

#[test]
fn a_reset_after_the_peers_end_is_noticed_by_an_idle_guest() {
    let (go, wait) = channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let (address, peer) = server(1, move |stream| {
        stream.shutdown(Shutdown::Write).unwrap();
        wait.lock().unwrap().recv().unwrap();
        reset(stream);
    });
    let mut guest = Guest::new();
    guest.connect(0, address, 4096).unwrap();
    assert!(guest.read_to_end(0).is_empty());
    go.send(()).unwrap();
    // What Linux says of a reset after the FIN (tcp_reset in net/ipv4/tcp_input.c).
    assert_eq!(i32::from(guest.failed(0)), libc::EPIPE);
    guest.close(0, false);
    guest.released(0);
    peer.join().unwrap();
}

#[test]
fn both_halves_closed_is_quiet_until_the_close() {
    let (address, peer) = server(1, |stream| drop(all(&stream)));
    let mut guest = Guest::new();
    guest.connect(0, address, 4096).unwrap();
    guest.shut_wr(0);
    assert!(guest.read_to_end(0).is_empty());
    assert_eq!(guest.sockets[&0].status.error, None);
    assert_eq!(guest.sockets[&0].released, 0);
    guest.close(0, false);
    guest.released(0);
    peer.join().unwrap();
}

#[test]
fn what_comes_after_shut_rd_is_dropped() {
    let (address, peer) = server(1, move |mut stream| {
        // Comes with the shutdown, and so tells that the device knows of it.
        stream.read_exact(&mut [0; 5]).unwrap();
        // More than all buffers on the way hold, so that it blocks unless somebody takes it.
        stream.write_all(&vec![0; 32 << 20]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        all(&stream).unwrap()
    });
    let mut guest = Guest::new();
    guest.connect(0, address, 4096).unwrap();
    guest.sockets.get_mut(&0).unwrap().progress.shut_rd = true;
    guest.write_all(0, b"first");
    guest.until("the peer's end", |guest| guest.sockets[&0].status.rx_eof);
    assert_eq!(guest.sockets[&0].readable(), 0);
    guest.write_all(0, b"second");
    guest.close(0, false);
    guest.released(0);
    assert_eq!(peer.join().unwrap(), [b"second"]);
}

#[test]
fn a_socket_that_never_connected_is_released_at_once() {
    let mut guest = Guest::new();
    for abort in [false, true] {
        guest.open(3, Family::V6, 4096);
        guest.close(3, abort);
        guest.released(3);
    }
}
