// SPDX-License-Identifier: Apache-2.0
//! What a guest's sockets send waits for its deferred writes.

use std::io::{ErrorKind, Read};
use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use nexus_backend::session::Limits;
use nexus_backend::writeback::Writeback;
use nexus_proto::wire::Family;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::guest::{Guest, Setup};
use super::peer::{listen, local_ip};

/// How long nothing is to arrive.
const WHILE: Duration = Duration::from_millis(200);

struct Deferred {
    writeback: Arc<Writeback>,
    runtime: Runtime,
}

impl Deferred {
    fn new() -> Self {
        Self {
            writeback: Writeback::new(1024 * 1024),
            runtime: Runtime::new().unwrap(),
        }
    }

    fn guest(&self) -> Guest {
        Setup {
            writeback: Arc::clone(&self.writeback),
            ..Setup::default()
        }
        .start()
    }

    /// Starts a write, which is durable when the test says so.
    fn write(&self) -> oneshot::Sender<()> {
        let (done, durable) = oneshot::channel();
        let room = self.writeback.room(1000).unwrap();
        let _context = self.runtime.enter();
        self.writeback.defer(room, self.writeback.point(), async {
            durable.await.map_err(|error| error.to_string())
        });
        done
    }
}

fn nobody_connects(listener: &TcpListener) {
    std::thread::sleep(WHILE);
    listener.set_nonblocking(true).unwrap();
    let error = listener.accept().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    listener.set_nonblocking(false).unwrap();
}

#[test]
fn bytes_wait_and_so_does_their_end() {
    let deferred = Deferred::new();
    let mut guest = deferred.guest();
    let (listener, address) = listen();
    guest.connect(0, address, 4096).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    let mut buffer = [0; 16];
    // Bytes that go at once on an idle connection do so only while nothing is deferred.
    guest.write_all(0, b"before");
    assert_eq!(peer.read(&mut buffer).unwrap(), 6);

    let done = deferred.write();
    guest.write_all(0, b"after");
    guest.shut_wr(0);
    peer.set_read_timeout(Some(WHILE)).unwrap();
    assert_eq!(
        peer.read(&mut buffer).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    done.send(()).unwrap();
    peer.set_read_timeout(None).unwrap();
    let mut rest = Vec::new();
    peer.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"after");
}

#[test]
fn what_a_peer_sends_does_not_wait() {
    let deferred = Deferred::new();
    let mut guest = deferred.guest();
    let (listener, address) = listen();
    guest.connect(0, address, 4096).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    let _done = deferred.write();
    guest.write_all(0, b"held");
    std::io::Write::write_all(&mut peer, b"news").unwrap();
    assert_eq!(guest.read_exact(0, 4), b"news");
}

#[test]
fn a_reset_waits() {
    let deferred = Deferred::new();
    let mut guest = deferred.guest();
    let (listener, address) = listen();
    guest.connect(0, address, 4096).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    let done = deferred.write();
    guest.close(0, true);
    peer.set_read_timeout(Some(WHILE)).unwrap();
    let mut buffer = [0; 16];
    assert_eq!(
        peer.read(&mut buffer).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    done.send(()).unwrap();
    peer.set_read_timeout(None).unwrap();
    assert_eq!(
        peer.read(&mut buffer).unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
}

#[test]
fn a_close_that_waits_for_a_write_is_no_close_that_waits_for_the_peer() {
    let deferred = Deferred::new();
    let mut guest = Setup {
        writeback: Arc::clone(&deferred.writeback),
        limits: Limits {
            close_timeout: Duration::from_millis(20),
            ..Limits::default()
        },
        ..Setup::default()
    }
    .start();
    let (listener, address) = listen();
    guest.connect(0, address, 4096).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    let done = deferred.write();
    guest.write_all(0, b"last words");
    guest.close(0, false);
    std::thread::sleep(WHILE);
    done.send(()).unwrap();
    let mut words = Vec::new();
    peer.read_to_end(&mut words).unwrap();
    assert_eq!(words, b"last words");
}

#[test]
fn a_connection_waits() {
    let deferred = Deferred::new();
    let mut guest = deferred.guest();
    let (listener, address) = listen();
    let done = deferred.write();
    guest.open(0, Family::V4, 4096);
    guest.start_connect(0, address);
    nobody_connects(&listener);
    done.send(()).unwrap();
    listener.accept().unwrap();
}

#[test]
fn a_datagram_waits() {
    let deferred = Deferred::new();
    let mut guest = deferred.guest();
    let peer = UdpSocket::bind((local_ip(), 0)).unwrap();
    let done = deferred.write();
    guest.open_datagram(0, Family::V4, 4096);
    guest.send_to(0, peer.local_addr().unwrap(), b"hello");
    peer.set_read_timeout(Some(WHILE)).unwrap();
    let mut buffer = [0; 16];
    assert_eq!(
        peer.recv(&mut buffer).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    done.send(()).unwrap();
    peer.set_read_timeout(None).unwrap();
    assert_eq!(peer.recv(&mut buffer).unwrap(), 5);
}
