// SPDX-License-Identifier: Apache-2.0
//! The VMM's doing: setup, reset, stop, and what a broken one gets.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use nexus_backend::service::Services;
use nexus_backend::session::{Limits, Session, SessionEnd};
use nexus_backend::sockets::EndpointPolicy;
use nexus_backend::writeback::Writeback;
use nexus_proto::wire::Config;

use super::guest::{Guest, PATIENCE, Setup};
use super::peer::{echo, server};

fn read_error(mut stream: std::net::TcpStream) -> ErrorKind {
    stream.read(&mut [0; 16]).map(|_| ()).unwrap_err().kind()
}

fn works(guest: &mut Guest, id: u32) {
    let (address, peer) = server(1, echo);
    guest.connect(id, address, 4096).unwrap();
    guest.write_all(id, b"works");
    assert_eq!(guest.read_exact(id, 5), b"works");
    guest.close(id, false);
    guest.released(id);
    peer.join().unwrap();
}

#[test]
fn the_configuration_says_the_limits() {
    let limits = Limits {
        max_sockets: 10,
        max_ring: 100_000,
        ..Limits::default()
    };
    let mut guest = Setup {
        limits,
        ..Setup::default()
    }
    .start();
    assert_eq!(
        guest.frontend.config(),
        Config {
            max_sockets: 10,
            max_ring: 65536,
            address_v4: [169, 254, 170, 1],
            address_v6: [
                0xfd, 0x6e, 0x65, 0x78, 0x75, 0x73, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1
            ],
            ports: [0; 16],
        }
    );
}

#[test]
fn a_reset_resets_peers_and_frees_ids() {
    let (address, peer) = server(2, read_error);
    let mut guest = Guest::new();
    guest.connect(0, address, 4096).unwrap();
    guest.connect(1, address, 4096).unwrap();
    guest.frontend.reset_device();
    assert_eq!(guest.session.statistics().sockets_open, 0);
    assert_eq!(peer.join().unwrap(), [ErrorKind::ConnectionReset; 2]);
    guest.start_queues(true);
    works(&mut guest, 0);
}

#[test]
fn a_stopped_queue_is_a_reset() {
    let (address, peer) = server(1, |mut stream| {
        // Keeps the device busy writing to the guest.
        let bytes = vec![0xaa; 65536];
        let error = loop {
            if let Err(error) = stream.write_all(&bytes) {
                break error;
            }
        };
        error.kind()
    });
    let mut guest = Guest::new();
    guest.connect(0, address, 1 << 20).unwrap();
    guest.until("bytes", |guest| guest.sockets[&0].readable() > 0);
    let ring = guest.sockets[&0].rx;
    assert!(guest.frontend.stop_queue(0) > 0);
    // From here on the memory is the guest's own.
    let mut before = vec![0; ring.size() as usize];
    guest.memory.write(ring.address(), &before);
    peer.join().unwrap();
    guest.memory.read(ring.address(), &mut before);
    assert!(
        before.iter().all(|byte| *byte == 0),
        "the device wrote after the stop"
    );
    guest.frontend.stop_queue(1);
    guest.start_queues(true);
    works(&mut guest, 0);
}

#[test]
fn stop_resets_peers() {
    let (address, peer) = server(1, read_error);
    let mut guest = Guest::new();
    guest.connect(0, address, 4096).unwrap();
    guest.session.stop();
    assert_eq!(guest.ended(), SessionEnd::Stopped);
    assert_eq!(guest.ended(), SessionEnd::Stopped, "any number of times");
    assert_eq!(peer.join().unwrap(), [ErrorKind::ConnectionReset]);
}

#[test]
fn a_broken_vmm_gets_its_session_ended_and_disturbs_nobody() {
    let mut neighbour = Guest::new();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let start = || {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let _context = runtime.enter();
        let session = Session::start(
            theirs,
            "broken".into(),
            Services::default(),
            Arc::new(EndpointPolicy::default()),
            Vec::new(),
            Writeback::off(),
            Limits::default(),
        );
        (ours, session.unwrap())
    };
    let ended = |session: &Session| {
        runtime.block_on(async {
            tokio::time::timeout(PATIENCE, session.ended())
                .await
                .expect("it goes on")
        })
    };
    // Half a message, then silence: on the only thread of its runtime, so that blocking it would show.
    let (mut half, stalled) = start();
    half.write_all(&[1, 0, 0, 0, 1, 0]).unwrap();
    let (mut whole, garbage) = start();
    whole.write_all(&[0xff; 12]).unwrap();
    assert!(matches!(ended(&garbage), SessionEnd::Failed(_)));
    works(&mut neighbour, 0);
    // Requests without end, replies never taken.
    let (mut deaf, flooding) = start();
    let get_features = [1u32, 1, 0].map(u32::to_ne_bytes).concat();
    while deaf.write_all(&get_features).is_ok() {}
    assert!(matches!(ended(&flooding), SessionEnd::Failed(reason) if reason.contains("replies")));
    drop(half);
    assert_eq!(ended(&stalled), SessionEnd::Hangup);
    works(&mut neighbour, 1);
}
