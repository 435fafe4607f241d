// SPDX-License-Identifier: GPL-2.0-only
//! `TCP_INFO`.

use super::conn::Phase;
use super::Stream;

/// `sizeof(struct tcp_info)` up to and without the fields that came after Linux 2.6.
pub(in crate::socket) const TCP_INFO_SIZE: usize = 104;

const TCP_ESTABLISHED: u8 = 1;
const TCP_SYN_SENT: u8 = 2;
const TCP_CLOSE: u8 = 7;
const TCP_CLOSE_WAIT: u8 = 8;
const TCP_LISTEN: u8 = 10;

impl Stream {
    /// `struct tcp_info` with the one field that is known here, the state; the others are zero.
    pub(in crate::socket) fn info(&self) -> [u8; TCP_INFO_SIZE] {
        let mut info = [0; TCP_INFO_SIZE];
        info[0] = match self.endpoint() {
            None if self.listener().is_some() => TCP_LISTEN,
            None => TCP_CLOSE,
            Some(endpoint) => {
                let state = endpoint.state.lock();
                match state.conn.phase() {
                    Phase::Connecting => TCP_SYN_SENT,
                    Phase::Connected if state.conn.read_ended() => TCP_CLOSE_WAIT,
                    Phase::Connected => TCP_ESTABLISHED,
                    Phase::Failed | Phase::Closing | Phase::Released => TCP_CLOSE,
                }
            }
        };
        info
    }
}
