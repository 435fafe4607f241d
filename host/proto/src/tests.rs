// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//! Round trips, rejected input, and agreement with `docs/virtio-nexus.md`.
extern crate std;

use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, fs};

use proptest::prelude::*;

use crate::wire::{
    Address, Config, DecodeError, Event, Family, Ip, Kind, Progress, Record, Request, Ring,
    SocketOption, Status, config, event, limits, option, record, request,
};

fn ring() -> impl Strategy<Value = Ring> {
    (0u64..1 << 40, 12u32..=20).prop_filter_map("valid ring", |(page, log)| {
        Ring::new(page << 12, 1 << log).ok()
    })
}

fn address() -> impl Strategy<Value = Address> {
    prop_oneof![
        (any::<[u8; 4]>(), any::<u16>()).prop_map(|(ip, port)| Address {
            ip: Ip::V4(ip),
            port,
            flow: 0,
            scope: 0
        }),
        (any::<[u8; 16]>(), any::<u16>(), any::<u32>(), any::<u32>()).prop_map(
            |(ip, port, flow, scope)| Address {
                ip: Ip::V6(ip),
                port,
                flow,
                scope
            }
        ),
    ]
}

fn any_request() -> impl Strategy<Value = Request> {
    let family = prop_oneof![Just(Family::V4), Just(Family::V6)];
    let kind = prop_oneof![Just(Kind::Stream), Just(Kind::Datagram)];
    prop_oneof![
        (any::<u32>(), family, kind, any::<u32>(), ring(), ring()).prop_map(
            |(socket, family, kind, connection, tx, rx)| Request::Open {
                socket,
                family,
                kind,
                connection,
                tx,
                rx,
            }
        ),
        (any::<u32>(), address(), any::<bool>(), any::<u32>()).prop_map(
            |(socket, local, only_v6, backlog)| Request::Listen {
                socket,
                local,
                only_v6,
                backlog,
            }
        ),
        (any::<u32>(), address(), any::<u16>()).prop_map(|(socket, peer, source_port)| {
            Request::Connect {
                socket,
                peer,
                source_port,
            }
        }),
        (
            any::<u32>(),
            any::<u64>(),
            any::<u64>(),
            any::<bool>(),
            any::<bool>(),
            any::<Option<u64>>()
        )
            .prop_map(
                |(socket, tx_produced, rx_consumed, shut_wr, shut_rd, urgent)| Request::Update {
                    socket,
                    progress: Progress {
                        tx_produced,
                        rx_consumed,
                        shut_wr,
                        shut_rd,
                        urgent,
                    },
                }
            ),
        (any::<u32>(), 0..option::OPTIONS.len(), any::<i32>()).prop_map(
            |(socket, index, value)| Request::Option {
                socket,
                option: SocketOption::from_index(index).unwrap(),
                value,
            }
        ),
        (any::<u32>(), any::<u64>(), any::<bool>()).prop_map(|(socket, tx_produced, abort)| {
            Request::Close {
                socket,
                tx_produced,
                abort,
            }
        }),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    let status = (
        any::<bool>(),
        any::<bool>(),
        any::<Option<u16>>(),
        any::<u64>(),
        any::<u64>(),
        address(),
    )
        .prop_map(
            |(connected, rx_eof, error, rx_produced, tx_consumed, local)| Status {
                connected,
                rx_eof,
                error,
                rx_produced,
                tx_consumed,
                local,
            },
        );
    prop_oneof![
        (any::<u32>(), status).prop_map(|(socket, status)| Event::Status { socket, status }),
        any::<u32>().prop_map(|socket| Event::Released { socket }),
        (any::<u32>(), any::<u32>(), address()).prop_map(|(socket, connection, peer)| {
            Event::Incoming {
                socket,
                connection,
                peer,
            }
        }),
    ]
}

proptest! {
    #[test]
    fn requests_survive_the_wire(request in any_request()) {
        prop_assert_eq!(Request::decode(&request.encode()), Ok(request));
    }

    #[test]
    fn events_survive_the_wire(event in any_event()) {
        prop_assert_eq!(Event::decode(&event.encode()), Ok(event));
    }

    #[test]
    fn records_survive_the_ring(length in 0u32..1 << 20, error in any::<Option<u16>>(), address in address()) {
        let record = Record { length, error, address };
        let span = u32::try_from(record.span()).unwrap();
        prop_assert_eq!(Record::decode(&record.encode(), span), Ok(record));
        prop_assert_eq!(span % record::ALIGN, 0);
        let available = span - 1;
        prop_assert_eq!(
            Record::decode(&record.encode(), available),
            Err(DecodeError::Record { length, available })
        );
    }

    #[test]
    fn any_bytes_are_a_record_or_an_error(bytes in any::<[u8; record::HEADER_SIZE]>(), available in any::<u32>()) {
        if let Ok(record) = Record::decode(&bytes, available) {
            prop_assert!(record.span() <= u64::from(available));
        }
    }

    #[test]
    fn what_decodes_also_encodes_to_the_same_meaning(bytes in any::<[u8; 32]>(), code in 0u16..7, flags in 0u16..8) {
        let mut message = [0; limits::MESSAGE_SIZE];
        message[8..40].copy_from_slice(&bytes);
        message[..2].copy_from_slice(&code.to_le_bytes());
        message[2..4].copy_from_slice(&flags.to_le_bytes());
        if let Ok(request) = Request::decode(&message) {
            prop_assert_eq!(Request::decode(&request.encode()), Ok(request));
        }
        if let Ok(event) = Event::decode(&message) {
            prop_assert_eq!(Event::decode(&event.encode()), Ok(event));
        }
    }

    #[test]
    fn runs_cover_exactly_the_bytes_asked_for(ring in ring(), position in any::<u64>(), length in any::<u32>()) {
        let [(offset, first), (start, second)] = ring.runs(position, length);
        prop_assert_eq!(first + second, length.min(ring.size()));
        prop_assert!(offset + first <= ring.size());
        prop_assert_eq!(start, 0);
        prop_assert!(second == 0 || offset + first == ring.size());
        prop_assert_eq!(u64::from(offset), position % u64::from(ring.size()));
    }

    #[test]
    fn a_full_ring_half_consumed_is_reported(ring in ring(), start in 0u64..1 << 40) {
        let half = u64::from(ring.size() / 2);
        prop_assert!(ring.report_due(start + half, start));
        prop_assert!(!ring.report_due(start + half - 1, start));
        prop_assert_eq!(ring.credit(start + u64::from(ring.size()), start), Some(0));
        prop_assert_eq!(ring.credit(start + u64::from(ring.size()) + 1, start), None);
        prop_assert_eq!(ring.used(start, start + 1), None);
    }
}

#[test]
fn rings_that_break_the_rules_are_refused() {
    for (address, size) in [
        (0, 0),
        (0, 2048),
        (0, 4097),
        (0, 12288),
        (0, limits::RING_MAX * 2),
        (1, 4096),
        (2048, 4096),
        (u64::MAX - 4095, 4096),
    ] {
        assert_eq!(
            Ring::new(address, size),
            Err(DecodeError::Ring { address, size })
        );
    }
}

#[test]
fn undefined_flags_and_codes_are_refused() {
    let mut message = Request::Connect {
        socket: 1,
        peer: Address::unspecified(Family::V4),
        source_port: 0,
    }
    .encode();
    message[2] = 1;
    assert_eq!(Request::decode(&message), Err(DecodeError::Flags(1)));
    message[..4].copy_from_slice(&[9, 0, 0, 0]);
    assert_eq!(Request::decode(&message), Err(DecodeError::Operation(9)));
    assert_eq!(Event::decode(&message), Err(DecodeError::Operation(9)));
    message[0] = 0;
    assert_eq!(Request::decode(&message), Err(DecodeError::Operation(0)));
}

#[test]
fn a_config_of_another_version_is_refused() {
    let config = Config {
        max_sockets: 1024,
        max_ring: 1 << 17,
        address_v4: [10, 0, 0, 1],
        address_v6: [7; 16],
        ports: core::array::from_fn(|at| if at == 0 { 8080 } else { 0 }),
    };
    assert!(config.may_reach(8080) && !config.may_reach(80) && !config.may_reach(0));
    let mut bytes = config.encode();
    assert_eq!(Config::decode(&bytes), Ok(config));
    bytes[0] = 2;
    assert_eq!(Config::decode(&bytes), Err(DecodeError::Version(2)));
}

/// The cells of each table row of the specification.
fn specification_rows() -> Vec<Vec<String>> {
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let path = format!("{folder}/../../docs/virtio-nexus.md");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.lines()
        .filter(|line| line.starts_with('|'))
        .map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_string())
                .collect()
        })
        .collect()
}

#[test]
fn the_specification_says_the_same_numbers() {
    let rows = specification_rows();
    let has = |cells: &[&str]| {
        let found = rows.iter().any(|row| {
            cells
                .iter()
                .zip(row)
                .all(|(want, cell)| cell.starts_with(want))
        });
        assert!(found, "docs/virtio-nexus.md has no row {cells:?}");
    };
    has(&["virtio device id", &config::DEVICE_ID.to_string()]);
    has(&[&format!("queue {}", config::QUEUE_REQUEST), "request queue"]);
    has(&[&format!("queue {}", config::QUEUE_EVENT), "event queue"]);
    has(&["queue size offered", &limits::QUEUE_SIZE.to_string()]);
    has(&["message size", &format!("{} bytes", limits::MESSAGE_SIZE)]);
    has(&["0", "u32", "version", &config::VERSION.to_string()]);
    has(&[
        "4",
        "u32",
        "max_sockets",
        &format!(
            "sockets that may be open at once, at most {}",
            limits::SOCKETS_MAX
        ),
    ]);
    has(&[
        "8",
        "u32",
        "max_ring",
        &format!(
            "largest ring in bytes, {} to {}",
            limits::RING_MIN,
            limits::RING_MAX
        ),
    ]);
    has(&["12", "u8[4]", "address_v4"]);
    has(&["16", "u8[16]", "address_v6"]);
    has(&["32", &format!("u16[{}]", limits::PORTS), "ports"]);
    has(&["0", "u32", "length of the payload"]);
    has(&["4", "u16", &format!("flags: {} ERROR", record::flag::ERROR)]);
    has(&["8", "28 bytes", "address"]);
    for (bit, name) in [
        (config::feature::STREAM, "STREAM"),
        (config::feature::DATAGRAM, "DATAGRAM"),
        (config::feature::LISTEN, "LISTEN"),
        (config::feature::OPTIONS, "OPTIONS"),
        (config::feature::ARENA, "ARENA"),
        (config::feature::RESUME, "RESUME"),
        (config::feature::INTERFACE, "INTERFACE"),
        (config::feature::BIND, "BIND"),
    ] {
        has(&[&bit.trailing_zeros().to_string(), name]);
    }
    let (update, close) = (request::flag::SHUT_WR, request::flag::ABORT);
    has(&[&request::op::OPEN.to_string(), "OPEN", "-"]);
    has(&[&request::op::CONNECT.to_string(), "CONNECT", "-"]);
    has(&[
        &request::op::UPDATE.to_string(),
        "UPDATE",
        &format!("{update} SHUT_WR, {} SHUT_RD", request::flag::SHUT_RD),
    ]);
    has(&[
        &request::op::CLOSE.to_string(),
        "CLOSE",
        &format!("{close} ABORT"),
    ]);
    has(&[&request::op::OPTION.to_string(), "OPTION", "-"]);
    let only_v6 = format!("{} ONLY_V6", request::flag::ONLY_V6);
    has(&[&request::op::LISTEN.to_string(), "LISTEN", &only_v6]);
    for (level, name) in option::OPTIONS {
        let cells = [level.to_string(), name.to_string()];
        assert!(
            rows.iter().any(|row| row.len() == 3 && row[1..] == cells),
            "docs/virtio-nexus.md does not list the option {cells:?}"
        );
    }
    let status = format!(
        "{} CONNECTED, {} RX_EOF, {} FAILED",
        event::flag::CONNECTED,
        event::flag::RX_EOF,
        event::flag::FAILED
    );
    has(&[&event::op::STATUS.to_string(), "STATUS", &status]);
    has(&[&event::op::RELEASED.to_string(), "RELEASED", "-"]);
    has(&[&event::op::INCOMING.to_string(), "INCOMING", "-"]);
}

#[test]
fn message_fields_lie_where_the_specification_puts_them() {
    let (tx, rx) = (
        Ring::new(0x1000, 4096).unwrap(),
        Ring::new(0x2000, 8192).unwrap(),
    );
    let open = Request::Open {
        socket: 7,
        family: Family::V6,
        kind: Kind::Stream,
        connection: 0x0102_0304,
        tx,
        rx,
    }
    .encode();
    assert_eq!(open[..8], [1, 0, 0, 0, 7, 0, 0, 0]);
    assert_eq!(open[8..16], [10, 0, 1, 0, 4, 3, 2, 1]);
    assert_eq!(open[16..28], [0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0]);
    assert_eq!(open[28..40], [0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0]);
    let local = Address {
        ip: Ip::V4([10, 0, 0, 1]),
        port: 0x1234,
        flow: 0,
        scope: 0,
    };
    let status = Status {
        connected: true,
        rx_eof: false,
        error: Some(111),
        rx_produced: 5,
        tx_consumed: 6,
        local,
    };
    let event = Event::Status { socket: 1, status }.encode();
    assert_eq!(event[..8], [1, 0, 5, 0, 1, 0, 0, 0]);
    assert_eq!((event[8], event[16], event[24]), (5, 6, 111));
    assert_eq!(
        event[28..44],
        [2, 0, 0x34, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1]
    );
}
