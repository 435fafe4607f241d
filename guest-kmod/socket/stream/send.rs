// SPDX-License-Identifier: GPL-2.0-only
//! Sending: from the user's memory into the tx ring, one copy.

use kernel::{ffi::c_long, iov::IovIterSource, prelude::*};

use super::endpoint::Endpoint;
use super::Stream;
use crate::ffi::Sock;

impl Stream {
    /// Sends bytes, the last of which may be urgent; returns how many. `EPIPE` says that the direction has ended, for which the caller sends SIGPIPE.
    ///
    /// The order of errors is that of `tcp_sendmsg_locked()` and `sk_stream_error()`.
    pub(in crate::socket) fn send(
        &self,
        sk: &Sock,
        source: &mut IovIterSource<'_>,
        nonblock: bool,
        urgent: bool,
    ) -> Result<usize> {
        let Some(endpoint) = self.endpoint() else {
            return Err(sk.take_error().unwrap_or(EPIPE));
        };
        if urgent && !endpoint.carries_urgent() {
            return Err(EOPNOTSUPP);
        }
        endpoint.limit_tx(sk);
        let mut timeout = sk.send_timeout(nonblock);
        let mut sent = 0;
        loop {
            match endpoint.send_some(source, urgent) {
                Ok(length) => sent += length,
                Err(_) if sent > 0 => return Ok(sent),
                Err(error) if error == EPIPE => return Err(sk.take_error().unwrap_or(EPIPE)),
                Err(error) => return Err(error),
            }
            if source.is_empty() {
                return Ok(sent);
            }
            match await_room(sk, &endpoint, timeout) {
                Ok(left) => timeout = left,
                Err(_) if sent > 0 => return Ok(sent),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Waits until something can be written, or never will be.
fn await_room(sk: &Sock, endpoint: &Endpoint, timeout: c_long) -> Result<c_long> {
    sk.wait_until(timeout, || {
        let mut state = endpoint.state.lock();
        let ready = state.conn.room() > 0 || state.conn.write_ended();
        if !ready {
            state.conn.want_room();
        }
        ready
    })
}

impl Endpoint {
    /// Takes in how much the socket's buffer may hold now.
    pub(super) fn limit_tx(&self, sk: &Sock) {
        self.state.lock().conn.limit_tx(sk.shares().send);
    }

    /// Writes what there is room for. What was written before an error counts; the next call finds the error again.
    ///
    /// # Errors
    ///
    /// As [`Self::send_piece`], if nothing was written.
    fn send_some(&self, source: &mut IovIterSource<'_>, urgent: bool) -> Result<usize> {
        let _turn = self.send_turn.lock();
        let mut sent = 0;
        loop {
            match self.send_piece(source, urgent) {
                Ok(0) => return Ok(sent),
                Ok(length) => sent += length as usize,
                Err(_) if sent > 0 => return Ok(sent),
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes half a ring at most, so that the device sends the first half while the second is copied. Zero says that
    /// there is no room, or nothing to write. To be called in the turn of this thread.
    ///
    /// # Errors
    ///
    /// `EPIPE` if nothing can be written any more; `EFAULT` if the first byte could not be read; `ENOBUFS` if memory is
    /// short.
    fn send_piece(&self, source: &mut IovIterSource<'_>, urgent: bool) -> Result<u32> {
        let (position, room) = self.writable()?;
        let piece = room.min(self.tx.ring().size() / 2);
        let length = u32::try_from(source.len()).map_or(piece, |length| length.min(piece));
        if length == 0 {
            return Ok(0);
        }
        let copied = self.tx.fill(position, length, source)?;
        // The copy may have slept, and another thread ended the direction meanwhile.
        let last_is_urgent = urgent && source.is_empty();
        if !self.state.lock().conn.wrote(copied, last_is_urgent) {
            return Err(EPIPE);
        }
        self.submit();
        Ok(copied)
    }

    /// Where to write and how much.
    fn writable(&self) -> Result<(u64, u32)> {
        let state = self.state.lock();
        let conn = &state.conn;
        if conn.write_ended() {
            return Err(EPIPE);
        }
        Ok((conn.tx_position(), conn.room()))
    }
}
