// SPDX-License-Identifier: Apache-2.0
//! A guest that breaks the rules is stopped, with a reason; its neighbour works on.

use nexus_backend::session::{Limits, SessionEnd};
use nexus_proto::wire::{Address, Family, Kind, Message, Progress, Request, Ring, request::op};

use super::guest::queue::{INDIRECT, NEXT, WRITE};
use super::guest::{Guest, Setup};
use super::peer::{echo, server};

/// Has a guest with a connected socket 0 misbehave; it must be stopped for `reason`, and a neighbour not.
fn violation(reason: &str, misbehave: impl FnOnce(&mut Guest)) {
    let (address, peer) = server(3, |mut stream| {
        drop(std::io::copy(&mut stream.try_clone().unwrap(), &mut stream));
    });
    let mut neighbour = Guest::new();
    neighbour.connect(0, address, 4096).unwrap();
    let limits = Limits {
        max_sockets: 64,
        max_ring: 65536,
        ..Limits::default()
    };
    let mut guest = Setup {
        limits,
        ..Setup::default()
    }
    .start();
    guest.connect(0, address, 4096).unwrap();
    misbehave(&mut guest);
    match guest.ended() {
        SessionEnd::Violation(said) => {
            assert!(said.contains(reason), "stopped for another reason: {said}");
        }
        other => panic!("ended otherwise: {other:?}"),
    }
    assert_eq!(guest.session.statistics().sockets_open, 0);
    neighbour.write_all(0, b"unharmed");
    assert_eq!(neighbour.read_exact(0, 8), b"unharmed");
    neighbour.connect(1, address, 4096).unwrap();
    drop(neighbour);
    peer.join().unwrap();
}

fn update(guest: &mut Guest, id: u32, tx_produced: u64, rx_consumed: u64) {
    let progress = Progress {
        tx_produced,
        rx_consumed,
        shut_wr: false,
        shut_rd: false,
        urgent: None,
    };
    guest.request(&Request::Update {
        socket: id,
        progress,
    });
}

fn open(guest: &mut Guest, id: u32, address: u64, size: u32) {
    let ring = Ring::new(address, size).unwrap();
    guest.request(&Request::Open {
        socket: id,
        family: Family::V4,
        kind: Kind::Stream,
        connection: 0,
        tx: ring,
        rx: ring,
    });
}

#[test]
fn ids() {
    violation("request for socket 5, which is free", |guest| {
        update(guest, 5, 0, 0);
    });
    violation("ids are below 64", |guest| open(guest, 64, 0x20_0000, 4096));
    violation("socket 0, which is in use", |guest| {
        open(guest, 0, 0x20_0000, 4096);
    });
    violation("a second connect", |guest| {
        guest.start_connect(0, "10.0.0.1:1".parse().unwrap());
    });
}

#[test]
fn requests_after_close() {
    // Without buffers for events no release can be told, and the socket stays in use.
    let mut guest = Setup {
        event_buffers: false,
        ..Setup::default()
    }
    .start();
    guest.open(1, Family::V4, 4096);
    guest.close(1, false);
    update(&mut guest, 1, 0, 0);
    let reason = "socket 1: a request after close".into();
    assert_eq!(guest.ended(), SessionEnd::Violation(reason));
}

#[test]
fn rings() {
    violation("not within one region", |guest| {
        open(guest, 1, 1 << 40, 4096);
    });
    violation("not within one region", |guest| {
        open(guest, 1, (64 << 20) - 4096, 8192);
    });
    violation("at most 65536", |guest| open(guest, 1, 0x20_0000, 1 << 17));
    violation("a power of two", |guest| {
        let mut message = [0; 64];
        message[0] = u8::try_from(op::OPEN).unwrap();
        (message[4], message[8], message[10]) = (1, 2, 1);
        guest.raw_request(&message);
    });
}

#[test]
fn positions() {
    violation("tx_produced 4097 with 0", |guest| update(guest, 0, 4097, 0));
    violation("tx_produced went back from 5 to 4", |guest| {
        update(guest, 0, 5, 0);
        update(guest, 0, 4, 0);
    });
    violation("byte 5 is urgent", |guest| {
        guest.sockets.get_mut(&0).unwrap().progress.urgent = Some(5);
        guest.write_all(0, b"five!");
    });
    violation("exceeds rx_produced", |guest| update(guest, 0, 0, u64::MAX));
    violation("rx_consumed went back", |guest| {
        guest.write_all(0, b"four");
        guest.read_exact(0, 4);
        update(guest, 0, 4, 4);
        update(guest, 0, 4, 3);
    });
    violation("after the shutdown", |guest| {
        guest.shut_wr(0);
        update(guest, 0, 1, 0);
    });
    violation("tx_produced 18446744073709551615", |guest| {
        guest.request(&Request::Close {
            socket: 0,
            tx_produced: u64::MAX,
            abort: true,
        });
    });
}

#[test]
fn messages() {
    let raw = |code: u16, flags: u16| {
        let mut message: Message = [0; 64];
        message[..2].copy_from_slice(&code.to_le_bytes());
        message[2..4].copy_from_slice(&flags.to_le_bytes());
        message
    };
    violation("unknown operation code 77", |guest| {
        guest.raw_request(&raw(77, 0));
    });
    violation("undefined flag bits", |guest| {
        guest.raw_request(&raw(op::CLOSE, 2));
    });
    violation("neither IPv4", |guest| {
        guest.raw_request(&raw(op::CONNECT, 0));
    });
}

#[test]
fn chains() {
    type Misbehaviour = fn(&mut Guest);
    let cases: [(&str, Misbehaviour); 9] = [
        ("has 63 bytes", |guest| {
            guest.requests.describe(1, 0x5000, 63, 0, 0);
        }),
        ("has 65 bytes or more", |guest| {
            guest.requests.describe(1, 0x5000, 65, 0, 0);
        }),
        ("has 4294967295 bytes or more", |guest| {
            guest.requests.describe(1, 0x5000, u32::MAX, 0, 0);
        }),
        (
            "device-writable where it must be device-readable",
            |guest| guest.requests.describe(1, 0x5000, 64, WRITE, 0),
        ),
        ("indirect", |guest| {
            guest.requests.describe(1, 0x5000, 64, INDIRECT, 0);
        }),
        ("outside guest memory", |guest| {
            guest.requests.describe(1, u64::MAX - 10, 64, 0, 0);
        }),
        ("goes on with descriptor 128", |guest| {
            guest.requests.describe(1, 0x5000, 32, NEXT, 128);
        }),
        ("has a loop", |guest| {
            guest.requests.describe(1, 0x5000, 0, NEXT, 1);
        }),
        ("has 65 bytes or more", |guest| {
            guest.requests.describe(1, 0x5000, 64, NEXT, 2);
            guest.requests.describe(2, 0x5000, 1, 0, 0);
        }),
    ];
    for (reason, describe) in cases {
        violation(reason, |guest| {
            describe(guest);
            guest.requests.publish(1);
        });
    }
    violation("starts at or goes on with descriptor 65535", |guest| {
        guest.requests.publish(65535);
    });
}

#[test]
fn a_message_may_lie_in_pieces() {
    let (address, peer) = server(1, echo);
    let mut guest = Guest::new();
    guest.open(0, Family::V4, 4096);
    let peer_address = Address {
        ip: match address.ip() {
            std::net::IpAddr::V4(ip) => nexus_proto::wire::Ip::V4(ip.octets()),
            std::net::IpAddr::V6(ip) => nexus_proto::wire::Ip::V6(ip.octets()),
        },
        port: address.port(),
        flow: 0,
        scope: 0,
    };
    let message = Request::Connect {
        socket: 0,
        peer: peer_address,
        source_port: 0,
    }
    .encode();
    guest.memory.write(0xf0_0001, &message);
    guest.requests.describe(10, 0xf0_0001, 1, NEXT, 12);
    guest.requests.describe(12, 0xf0_0002, 40, NEXT, 11);
    guest.requests.describe(11, 0xf0_002a, 23, 0, 0);
    guest.requests.publish(10);
    guest.until("the connection", |guest| guest.sockets[&0].status.connected);
    guest.close(0, false);
    guest.released(0);
    peer.join().unwrap();
}

#[test]
fn queues() {
    violation("avail ring is inconsistent", |guest| {
        guest
            .requests
            .set_avail(guest.requests.avail().wrapping_add(1000));
        guest.requests.notify();
    });
    violation("event queue: the avail ring is inconsistent", |guest| {
        guest
            .events
            .set_avail(guest.events.avail().wrapping_add(1000));
        guest.write_all(0, b"make an event");
    });
    violation("event queue: a chain is device-readable", |guest| {
        for index in 0..128 {
            guest.events.describe(index, 0x5000, 64, 0, 0);
        }
        guest.write_all(0, b"make an event");
    });
    violation("event queue: a chain has 4 bytes", |guest| {
        for index in 0..128 {
            guest.events.describe(index, 0x5000, 4, WRITE, 0);
        }
        guest.write_all(0, b"make an event");
    });
}

#[test]
fn garbage_all_over_the_queue() {
    violation("request queue", |guest| {
        guest.memory.write(0x1000, &[0xa5; 0x2000]);
        guest.requests.notify();
    });
}
