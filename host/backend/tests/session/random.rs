// SPDX-License-Identifier: Apache-2.0
//! Whatever a guest sends, the session goes on or ends with a violation, and what is honest never is one.

use std::sync::Arc;
use std::time::Instant;

use nexus_backend::service::{SERVICE_IP, Service, ServiceStream, Services, Serving};
use nexus_backend::session::SessionEnd;
use nexus_proto::wire::{Event, Family, Message};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::Config;

use super::guest::{Guest, PATIENCE, Setup};

const ECHO: u16 = 7;

struct Echo;

impl Service for Echo {
    fn serve(self: Arc<Self>, stream: ServiceStream) -> Serving {
        Box::pin(async move {
            let (mut read, mut write) = tokio::io::split(stream);
            // A guest that resets its socket is an error here and nothing to fail for.
            drop(tokio::io::copy(&mut read, &mut write).await);
        })
    }
}

fn guest() -> Guest {
    let mut services = Services::default();
    services.register(ECHO, Arc::new(Echo));
    Setup {
        services,
        rules: vec![],
        ..Setup::default()
    }
    .start()
}

/// What an honest driver may do next with one of its sockets.
#[derive(Debug, Clone, Copy)]
enum Step {
    Write(u16),
    Read(u16),
    ShutWr,
    Close { abort: bool },
}

fn step() -> impl Strategy<Value = (u32, Step)> {
    let step = prop_oneof![
        6 => (1u16..9000).prop_map(Step::Write),
        6 => (1u16..9000).prop_map(Step::Read),
        1 => Just(Step::ShutWr),
        1 => any::<bool>().prop_map(|abort| Step::Close { abort }),
    ];
    (0u32..4, step)
}

/// A message that is likely to get past the first checks.
fn message() -> impl Strategy<Value = Message> {
    (
        prop::array::uniform32(prop_oneof![3 => Just(0u8), 1 => any::<u8>()]),
        0u16..6,
        prop_oneof![8 => Just(0u16), 1 => 0u16..4],
        0u32..4,
        prop::sample::select(vec![0u64, 0x10_0000, 0x20_0000, 1 << 40]),
        prop::sample::select(vec![4096u32, 4096, 8192, 1 << 20, 5]),
    )
        .prop_map(|(tail, code, flags, socket, address, size)| {
            let mut message = [0; 64];
            message[32..].copy_from_slice(&tail);
            message[..2].copy_from_slice(&code.to_le_bytes());
            message[2..4].copy_from_slice(&flags.to_le_bytes());
            message[4..8].copy_from_slice(&socket.to_le_bytes());
            if code == 1 {
                // OPEN of a stream for IPv4.
                message[8..12].copy_from_slice(&[2, 0, 1, 0]);
                message[16..24].copy_from_slice(&address.to_le_bytes());
                message[24..28].copy_from_slice(&size.to_le_bytes());
                message[28..36].copy_from_slice(&address.to_le_bytes());
                message[36..40].copy_from_slice(&size.to_le_bytes());
            } else if code == 2 {
                // CONNECT to the echo service.
                message[8..12].copy_from_slice(&[2, 0, 7, 0]);
                message[20..24].copy_from_slice(&SERVICE_IP.octets());
            } else {
                message[8] = tail[0];
                message[16] = tail[1];
            }
            message
        })
}

fn take(guest: &mut Guest, id: u32, step: Step) {
    let socket = &guest.sockets[&id];
    match step {
        _ if socket.closed => {}
        Step::Write(_) | Step::ShutWr if socket.progress.shut_wr => {}
        Step::Write(length) => {
            guest.write(id, &vec![0x5a; length.into()]);
        }
        Step::Read(length) => {
            let mut bytes = vec![0; length.into()];
            let length = guest.read(id, &mut bytes);
            assert!(bytes[..length].iter().all(|byte| *byte == 0x5a));
        }
        Step::ShutWr => guest.shut_wr(id),
        Step::Close { abort } => guest.close(id, abort),
    }
}

proptest! {
    #![proptest_config(Config { cases: 48, failure_persistence: None, ..Config::default() })]

    #[test]
    fn an_honest_driver_is_served_to_the_end(steps in vec(step(), 1..200)) {
        let mut guest = guest();
        for id in 0..4 {
            guest.open(id, Family::V4, 4096);
            guest.start_connect(id, (SERVICE_IP, ECHO).into());
        }
        guest.until("the connections", |guest| guest.sockets.values().all(|socket| socket.status.connected));
        for (id, step) in steps {
            guest.take_events();
            take(&mut guest, id, step);
        }
        // What was written and not closed comes back, all of it.
        for id in 0..4 {
            if !guest.sockets[&id].closed {
                let due = guest.sockets[&id].progress.tx_produced - guest.sockets[&id].progress.rx_consumed;
                let rest = guest.read_exact(id, usize::try_from(due).unwrap());
                prop_assert!(rest.iter().all(|byte| *byte == 0x5a));
                guest.close(id, false);
            }
        }
        guest.until("the releases", |guest| guest.sockets.values().all(|socket| socket.released == 1));
        prop_assert_eq!(guest.session.statistics().sockets_open, 0);
        guest.session.stop();
        prop_assert_eq!(guest.ended(), SessionEnd::Stopped);
    }

    #[test]
    fn any_stream_of_messages_ends_well(messages in vec(message(), 1..60)) {
        let mut guest = guest();
        let start = Instant::now();
        let count = messages.len() as u64;
        for message in &messages {
            guest.requests.send(message);
        }
        // Handled to the last, or ended before that.
        let violated = loop {
            while let Some(message) = guest.events.take() {
                prop_assert!(Event::decode(&message).is_ok());
            }
            if guest.session.statistics().requests >= count {
                break guest.end_now();
            }
            if let Some(end) = guest.end_now() {
                break Some(end);
            }
            prop_assert!(start.elapsed() < PATIENCE, "neither handled nor ended");
            std::thread::yield_now();
        };
        if let Some(end) = violated {
            prop_assert!(matches!(end, SessionEnd::Violation(_)), "{:?}", end);
        }
    }
}
