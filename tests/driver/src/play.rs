// SPDX-License-Identifier: GPL-2.0-only
//! Plays a connection's life out of bytes, and checks what must hold whatever happens.

use crate::conn::{Connection, Phase};
use crate::proto::{Address, Event, Family, Message, Request, Ring, SocketOption, Status, option};
use crate::virtio::News;

const ID: u32 = 7;

/// Lets device and user do what the bytes say.
///
/// # Panics
/// If the state machine breaks one of its promises: a violation changes nothing, phases never go back, positions stay within the
/// rings, and the device is told things in an order that the specification allows.
pub fn play(data: &[u8]) {
    let mut bytes = Bytes(data);
    let mut told = Told::default();
    let (mut conn, is_open) = begin(&mut bytes);
    told.open = !is_open;
    let mut phase = rank(conn.phase());
    while let Some(step) = bytes.next() {
        act(step, &mut conn, &mut bytes, &mut told);
        let now = rank(conn.phase());
        assert!(now >= phase, "the phase went back from {phase} to {now}");
        phase = now;
        // Either panics in arithmetic, or gives more than a ring holds, if a position is out of order.
        assert!(conn.readable() <= told.ring && conn.unsent() <= told.ring);
        assert!(conn.room() <= told.ring);
    }
}

/// Bytes to decide by; zero when there are no more.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn byte(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    fn word(&mut self) -> u32 {
        u32::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }
}

/// What the device was told.
#[derive(Default)]
struct Told {
    /// Size of both rings.
    ring: u32,
    /// Whether there was an OPEN, or none is due.
    open: bool,
    closed: bool,
    tx_produced: u64,
    rx_consumed: u64,
}

fn begin(bytes: &mut Bytes<'_>) -> (Connection, bool) {
    let ring = Ring::new(0, RING).unwrap_or_else(|error| panic!("{error}"));
    let peer = Address {
        port: 80,
        ..Address::unspecified(Family::V4)
    };
    match bytes.byte() % 4 {
        0 => (Connection::new(peer, 0, ring, ring), true),
        1 => (Connection::datagram(Family::V4, ring, ring), true),
        2 => (Connection::arrived(5, peer, peer, ring, ring), true),
        _ => (Connection::accepted(peer, peer, ring, ring), false),
    }
}

const RING: u32 = 4096;

fn rank(phase: Phase) -> u8 {
    match phase {
        Phase::Connecting => 0,
        Phase::Connected => 1,
        Phase::Failed => 2,
        Phase::Closing => 3,
        Phase::Released => 4,
    }
}

fn act(step: u8, conn: &mut Connection, bytes: &mut Bytes<'_>, told: &mut Told) {
    told.ring = RING;
    match step % 10 {
        0 => {
            let message: Message = std::array::from_fn(|_| bytes.byte());
            if let Ok(Event::Status { status, .. }) = Event::decode(&message) {
                apply(conn, &status);
            }
        }
        1 | 2 => {
            let status = plausible(conn, bytes);
            apply(conn, &status);
        }
        3 => {
            let length = bytes.word() % (RING + 2);
            // What the user writes beyond the room is not written.
            let open = !conn.write_ended();
            assert_eq!(
                conn.wrote(length.min(conn.room()), bytes.byte() & 1 != 0),
                open
            );
        }
        4 => conn.read(bytes.word() % (RING + 2)),
        5 => {
            let how = bytes.byte();
            let connected = conn.phase() == Phase::Connected;
            assert_eq!(conn.shutdown(how & 1 != 0, how & 2 != 0), connected);
        }
        6 if bytes.byte().is_multiple_of(4) => conn.close(bytes.byte() & 1 != 0),
        7 => {
            let index = usize::from(bytes.byte()) % option::OPTIONS.len();
            if let Some(option) = SocketOption::from_index(index) {
                conn.set_option(option, 1);
            }
        }
        8 => tell(conn, told),
        9 => match bytes.byte() % 16 {
            0 => conn.reset(),
            1 => drop(conn.fail()),
            2 => drop(conn.released()),
            _ => conn.want_room(),
        },
        _ => {}
    }
}

/// A violation must change nothing, and what is none must be taken in as it is.
fn apply(conn: &mut Connection, status: &Status) {
    let before = format!("{conn:?}");
    let listens = matches!(conn.phase(), Phase::Connecting | Phase::Connected);
    if conn.apply(status).is_ok() {
        if listens {
            let rx_produced = conn.rx_position() + u64::from(conn.readable());
            let tx_consumed = conn.tx_position() - u64::from(conn.unsent());
            assert_eq!(
                (rx_produced, tx_consumed),
                (status.rx_produced, status.tx_consumed),
                "positions that no ring can have were taken in"
            );
        }
    } else {
        assert_eq!(
            format!("{conn:?}"),
            before,
            "a violation has changed something"
        );
    }
}

/// A status that an honest device might send, more or less.
fn plausible(conn: &Connection, bytes: &mut Bytes<'_>) -> Status {
    let flags = bytes.byte();
    let consumed = conn.tx_position() - u64::from(conn.unsent());
    Status {
        connected: flags & 1 == 0,
        rx_eof: flags & 2 != 0,
        error: (flags & 0x1c == 0x1c).then_some(104),
        rx_produced: conn.rx_position()
            + u64::from(conn.readable())
            + u64::from(bytes.word() % (RING / 2)),
        tx_consumed: consumed + u64::from(bytes.word() % (conn.unsent() + 2)),
        local: Address::unspecified(Family::V4),
    }
}

/// Takes the requests that are due, and holds them to the specification.
fn tell(conn: &mut Connection, told: &mut Told) {
    while conn.has_news() {
        let Some(request) = conn.next_request(ID) else {
            panic!("there are news, and no request for them");
        };
        assert_eq!(request.socket(), ID);
        assert!(!told.closed, "a request after CLOSE: {request:?}");
        match request {
            Request::Open { .. } => {
                assert!(!std::mem::replace(&mut told.open, true), "a second OPEN");
            }
            Request::Update { progress, .. } => {
                assert!(told.open, "UPDATE before OPEN");
                assert!(progress.tx_produced >= told.tx_produced);
                assert!(progress.rx_consumed >= told.rx_consumed);
                told.tx_produced = progress.tx_produced;
                told.rx_consumed = progress.rx_consumed;
            }
            Request::Close { tx_produced, .. } => {
                assert!(told.open, "CLOSE before OPEN");
                assert!(tx_produced >= told.tx_produced);
                told.closed = true;
            }
            Request::Connect { .. } | Request::Option { .. } | Request::Listen { .. } => {
                assert!(told.open, "{request:?} before OPEN");
            }
        }
    }
}
