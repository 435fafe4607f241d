// SPDX-License-Identifier: Apache-2.0
//! Bytes arrive, all of them, in order, bounded by credit.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nexus_proto::wire::Event;
use nix::sys::socket::{MsgFlags, recv, send};

use super::guest::{Guest, Setup};
use super::peer::{Pattern, echo, pattern, server};

#[test]
fn echo_comes_back() {
    let (address, peer) = server(1, echo);
    let mut guest = Guest::new();
    guest.connect(7, address, 4096).unwrap();
    for text in [&b"hello"[..], b"world", &[b'x'; 4096]] {
        guest.write_all(7, text);
        assert_eq!(guest.read_exact(7, text.len()), text);
    }
    guest.close(7, false);
    guest.released(7);
    peer.join().unwrap();
    let statistics = guest.session.statistics();
    assert_eq!(
        (statistics.bytes_sent, statistics.bytes_received),
        (4106, 4106)
    );
    assert_eq!((statistics.sockets_open, statistics.sockets_opened), (0, 1));
    assert!(statistics.kicks > 0 && statistics.interrupts > 0 && statistics.events > 0);
}

#[test]
fn sixty_four_mebibytes_both_ways() {
    const TOTAL: usize = 64 << 20;
    let (address, peer) = server(1, |stream| {
        let mut sender = stream.try_clone().unwrap();
        let sending = std::thread::spawn(move || {
            let mut bytes = pattern(2);
            for _ in 0..TOTAL / (64 << 10) {
                sender.write_all(&bytes.take(64 << 10)).unwrap();
            }
        });
        let received = checked(stream, pattern(1));
        sending.join().unwrap();
        received
    });
    let mut guest = Guest::new();
    guest.connect(0, address, 1 << 20).unwrap();
    let (mut source, mut expected) = (pattern(1), pattern(2));
    let (mut sent, mut received) = (0, 0);
    let mut outgoing: Vec<u8> = Vec::new();
    let mut incoming = vec![0; 256 << 10];
    while sent < TOTAL || received < TOTAL {
        guest.until("progress", |guest| {
            let socket = &guest.sockets[&0];
            (sent < TOTAL && socket.writable() > 0) || socket.readable() > 0
        });
        if outgoing.is_empty() {
            outgoing = source.take((TOTAL - sent).min(256 << 10));
        }
        let written = guest.write(0, &outgoing);
        outgoing.drain(..written);
        sent += written;
        if sent == TOTAL && written > 0 {
            guest.shut_wr(0);
        }
        let read = guest.read(0, &mut incoming);
        expected.expect(&incoming[..read]);
        received += read;
    }
    guest.close(0, false);
    guest.released(0);
    assert_eq!(peer.join().unwrap(), [TOTAL]);
}

/// Compares all that comes with `expected`; its length.
fn checked(mut stream: TcpStream, mut expected: Pattern) -> usize {
    let mut buffer = vec![0; 256 << 10];
    let mut total = 0;
    loop {
        let length = stream.read(&mut buffer).unwrap();
        if length == 0 {
            return total;
        }
        expected.expect(&buffer[..length]);
        total += length;
    }
}

/// A receive ends at an urgent byte, with more behind it of which nothing announces itself again.
#[test]
fn bytes_behind_an_urgent_one_arrive() {
    let (address, peer) = server(1, |mut stream| {
        stream.write_all(b"before").unwrap();
        send(stream.as_raw_fd(), b"!", MsgFlags::MSG_OOB).unwrap();
        stream.write_all(b"behind").unwrap();
        // The connection stays open: no end of file wakes anybody.
        assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
    });
    let mut guest = Guest::new();
    guest.connect(0, address, 4096).unwrap();
    assert_eq!(guest.read_exact(0, 12), b"beforebehind");
    guest.close(0, false);
    guest.released(0);
    peer.join().unwrap();
}

#[test]
fn an_urgent_byte_goes_out_as_one() {
    let (address, peer) = server(1, |mut stream| {
        let mut bytes = [0; 6];
        stream.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"before");
        // Announced at once, it may come a little later.
        let mut urgent = [0; 1];
        while recv(stream.as_raw_fd(), &mut urgent, MsgFlags::MSG_OOB).is_err() {
            std::thread::yield_now();
        }
        assert_eq!(&urgent, b"!");
        stream.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"behind");
    });
    let mut guest = Guest::new();
    guest.connect(0, address, 4096).unwrap();
    guest.sockets.get_mut(&0).unwrap().progress.urgent = Some(6);
    guest.write_all(0, b"before!behind");
    guest.close(0, false);
    guest.released(0);
    peer.join().unwrap();
}

#[test]
fn two_hundred_connections_at_once() {
    const COUNT: u32 = 200;
    let (address, peer) = server(COUNT as usize, echo);
    let mut guest = Guest::new();
    for id in 0..COUNT {
        guest.open(id, nexus_proto::wire::Family::V4, 16 << 10);
        guest.start_connect(id, address);
    }
    guest.until("all connections", |guest| {
        guest.sockets.values().all(|socket| socket.status.connected)
    });
    assert_eq!(guest.session.statistics().sockets_open, u64::from(COUNT));
    let texts: Vec<_> = std::iter::repeat_with({
        let mut source = pattern(8);
        move || source.take(20_000)
    })
    .take(COUNT as usize)
    .collect();
    let text = |id: u32, round: usize| &texts[id as usize][round * 10_000..][..10_000];
    for round in 0..2 {
        // More than a ring each, so that no socket can do without the others getting their turn.
        for id in 0..COUNT {
            guest.write(id, text(id, round));
        }
        for id in 0..COUNT {
            assert_eq!(guest.read_exact(id, 10_000), text(id, round), "socket {id}");
        }
    }
    for id in 0..COUNT {
        guest.close(id, false);
    }
    guest.until("all releases", |guest| {
        guest.sockets.values().all(|socket| socket.released == 1)
    });
    peer.join().unwrap();
    assert_eq!(guest.session.statistics().sockets_open, 0);
}

#[test]
fn a_slow_reader_gets_its_ring_and_no_more() {
    const TOTAL: usize = 32 << 20;
    const RING: u32 = 64 << 10;
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let (address, peer) = server(1, move |mut stream| {
        let bytes = pattern(9).take(TOTAL);
        for chunk in bytes.chunks(16 << 10) {
            stream.write_all(chunk).unwrap();
            counter.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        }
    });
    let mut guest = Guest::new();
    guest.connect(0, address, RING).unwrap();
    guest.until("a full ring", |guest| guest.sockets[&0].readable() == RING);
    // The rest waits in the kernel's buffers and then at the sender, whose write blocks.
    assert_eq!(guest.session.statistics().bytes_received, u64::from(RING));
    assert!(sent.load(Ordering::Relaxed) < TOTAL as u64);
    let received = guest.read_to_end(0);
    assert_eq!(received.len(), TOTAL);
    pattern(9).expect(&received);
    guest.close(0, false);
    guest.released(0);
    peer.join().unwrap();
}

#[test]
fn a_slow_peer_fills_the_tx_ring_and_holds_up_nobody() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = Arc::new(std::sync::Mutex::new(wait));
    let (slow, slow_peer) = server(1, move |stream| {
        wait.lock().unwrap().recv().unwrap();
        checked(stream, pattern(3))
    });
    let (quick, quick_peer) = server(1, echo);
    let mut guest = Guest::new();
    guest.connect(0, slow, 64 << 10).unwrap();
    guest.connect(1, quick, 64 << 10).unwrap();
    // Until the kernel's buffers are full too; how large they grow is its own choice.
    let mut source = pattern(3);
    let mut sent = 0;
    loop {
        let chunk = source.take(32 << 10);
        guest.write_all(0, &chunk);
        sent += chunk.len();
        guest.write_all(1, b"ping");
        assert_eq!(guest.read_exact(1, 4), b"ping");
        guest.take_events();
        if sent >= 16 << 20 || guest.sockets[&0].writable() < 32 << 10 {
            break;
        }
    }
    go.send(()).unwrap();
    guest.shut_wr(0);
    guest.until("the end of the slow peer", |guest| {
        guest.sockets[&0].status.rx_eof
    });
    assert_eq!(slow_peer.join().unwrap(), [sent]);
    guest.close(1, false);
    guest.released(1);
    quick_peer.join().unwrap();
}

#[test]
fn without_event_buffers_news_coalesce() {
    let (address, peer) = server(3, |mut stream| {
        for part in pattern(4).take(3000).chunks(1000) {
            stream.write_all(part).unwrap();
        }
        stream
    });
    let mut guest = Setup {
        event_buffers: false,
        ..Setup::default()
    }
    .start();
    for id in 0..3 {
        guest.open(id, nexus_proto::wire::Family::V4, 4096);
        guest.start_connect(id, address);
    }
    // The servers are done, and so all that happens has happened once the device has taken it in.
    let streams = peer.join().unwrap();
    let start = std::time::Instant::now();
    while guest.session.statistics().bytes_received < 9000 {
        assert!(start.elapsed() < super::guest::PATIENCE);
        std::thread::yield_now();
    }
    assert_eq!(guest.session.statistics().events, 0);
    for _ in 0..3 {
        guest.events.post_one();
    }
    guest.until("all bytes", |guest| {
        guest
            .sockets
            .values()
            .all(|socket| socket.readable() == 3000)
    });
    let statuses = guest
        .log
        .iter()
        .filter(|event| matches!(event, Event::Status { .. }))
        .count();
    assert_eq!(statuses, 3, "one status says all: {:?}", guest.log);
    drop(streams);
    guest.until("the ends", |guest| {
        guest.sockets.values().all(|socket| socket.status.rx_eof)
    });
}
