// SPDX-License-Identifier: GPL-2.0-only
//! `TCP_INFO`.

use super::conn::{Connection, Phase};
use super::Stream;
use crate::field::put;

/// `sizeof(struct tcp_info)` up to and with `tcpi_bytes_retrans`: what Linux 4.19 has.
pub(in crate::socket) const TCP_INFO_SIZE: usize = 216;

const TCP_ESTABLISHED: u8 = 1;
const TCP_SYN_SENT: u8 = 2;
const TCP_FIN_WAIT2: u8 = 5;
const TCP_CLOSE: u8 = 7;
const TCP_CLOSE_WAIT: u8 = 8;
const TCP_LISTEN: u8 = 10;

/// Time stamps, selective acknowledgement, window scaling: what two Linux agree on.
const OPTIONS: u8 = 7;
/// Both window scales of Linux' default buffers.
const WINDOW_SCALES: u8 = 0xaa;

/// Figures of a new connection, by their offsets: what happens to packets is not known here. Times are in microseconds.
const BEGINNINGS: [(usize, u32); 7] = [
    (8, 204_000),     // tcpi_rto
    (16, 1448),       // tcpi_snd_mss
    (20, 536),        // tcpi_rcv_mss
    (60, 1500),       // tcpi_pmtu
    (76, 0x7fff_ffff), // tcpi_snd_ssthresh
    (80, 10),         // tcpi_snd_cwnd
    (88, 3),          // tcpi_reordering
];
const TCPI_OPTIONS: usize = 5;
const TCPI_WSCALES: usize = 6;
const TCPI_MAX_PACING_RATE: usize = 112;
const TCPI_BYTES_ACKED: usize = 120;
const TCPI_BYTES_RECEIVED: usize = 128;
const TCPI_NOTSENT_BYTES: usize = 144;
const TCPI_BYTES_SENT: usize = 200;

impl Stream {
    /// `struct tcp_info`: the state, and how many bytes went which way.
    pub(in crate::socket) fn info(&self) -> [u8; TCP_INFO_SIZE] {
        let mut info = [0; TCP_INFO_SIZE];
        put(&mut info, TCPI_MAX_PACING_RATE, &u64::MAX.to_ne_bytes());
        info[0] = match self.endpoint() {
            None if self.listener().is_some() => TCP_LISTEN,
            None => TCP_CLOSE,
            Some(endpoint) => {
                let state = endpoint.state.lock();
                count(&state.conn, &mut info);
                state_of(&state.conn)
            }
        };
        info
    }
}

fn state_of(conn: &Connection) -> u8 {
    match conn.phase() {
        Phase::Connecting => TCP_SYN_SENT,
        // Both ended: TIME_WAIT, which no user sees.
        Phase::Connected if conn.is_closed() => TCP_CLOSE,
        Phase::Connected if conn.has_eof() => TCP_CLOSE_WAIT,
        Phase::Connected if conn.write_ended() => TCP_FIN_WAIT2,
        Phase::Connected => TCP_ESTABLISHED,
        Phase::Failed | Phase::Closing | Phase::Released => TCP_CLOSE,
    }
}

fn count(conn: &Connection, info: &mut [u8; TCP_INFO_SIZE]) {
    info[TCPI_OPTIONS] = OPTIONS;
    info[TCPI_WSCALES] = WINDOW_SCALES;
    for (at, value) in BEGINNINGS {
        put(info, at, &value.to_ne_bytes());
    }
    let sent = conn.tx_position();
    let acked = sent - u64::from(conn.unsent());
    let received = conn.rx_position() + u64::from(conn.readable());
    put(info, TCPI_BYTES_ACKED, &acked.to_ne_bytes());
    put(info, TCPI_BYTES_RECEIVED, &received.to_ne_bytes());
    put(info, TCPI_NOTSENT_BYTES, &conn.unsent().to_ne_bytes());
    put(info, TCPI_BYTES_SENT, &sent.to_ne_bytes());
}
