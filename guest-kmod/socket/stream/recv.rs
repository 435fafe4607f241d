// SPDX-License-Identifier: GPL-2.0-only
//! Receiving: from the rx ring into the user's memory, one copy.

use kernel::{ffi::c_long, iov::IovIterDest, prelude::*};

use super::endpoint::Endpoint;
use super::Stream;
use crate::ffi::Sock;

/// The flags of a receive that change its course.
#[derive(Clone, Copy)]
pub(in crate::socket) struct Flags {
    /// `MSG_DONTWAIT`, or the descriptor's `O_NONBLOCK`.
    pub(in crate::socket) nonblock: bool,
    /// `MSG_PEEK`: leave the bytes where they are.
    pub(in crate::socket) peek: bool,
    /// `MSG_WAITALL`: wait for all bytes.
    pub(in crate::socket) all: bool,
    /// `MSG_TRUNC`: drop the bytes instead of copying them, as TCP does.
    pub(in crate::socket) discard: bool,
}

impl Stream {
    /// Receives up to `length` bytes; returns how many, zero at the end of the stream.
    ///
    /// The order of checks is that of `tcp_recvmsg_locked()`: bytes first, then the error, then the end.
    pub(in crate::socket) fn receive(
        &self,
        sk: &Sock,
        target: &mut IovIterDest<'_>,
        length: usize,
        flags: Flags,
    ) -> Result<usize> {
        let Some(endpoint) = self.endpoint() else {
            if self.listener().is_some() {
                return Err(ENOTCONN);
            }
            return match sk.take_error() {
                Some(error) => Err(error),
                None if self.state.lock().shut.read => Ok(0),
                None => Err(ENOTCONN),
            };
        };
        let mut timeout = sk.receive_timeout(flags.nonblock);
        let mut wanted = sk.low_water(flags.all, length);
        if flags.peek {
            // Peeked bytes stay in the ring, so more than this might never come.
            wanted = wanted.min(endpoint.rx.ring().size() as usize / 2);
        }
        let mut received = 0;
        loop {
            let (copied, ended) =
                match endpoint.take_some(target, length - received, received, flags) {
                    Ok(result) => result,
                    Err(_) if received > 0 => return Ok(received),
                    Err(error) => return Err(error),
                };
            received += copied;
            if received >= wanted || received == length {
                return Ok(received);
            }
            if ended {
                // The peer's FIN comes before whatever error came after it (SOCK_DONE).
                let regular = received > 0 || endpoint.state.lock().conn.has_eof();
                return match sk_error_unless(regular, sk) {
                    Some(error) => Err(error),
                    None => Ok(received),
                };
            }
            let peeked = if flags.peek { received } else { 0 };
            match await_bytes(sk, &endpoint, timeout, peeked) {
                Ok(left) => timeout = left,
                Err(_) if received > 0 => return Ok(received),
                Err(error) => return Err(error),
            }
        }
    }

    /// Bytes that can be read now (`FIONREAD`).
    ///
    /// # Errors
    ///
    /// `EINVAL` for a listener, as `tcp_ioctl()` says.
    pub(in crate::socket) fn readable(&self) -> Result<u32> {
        self.count(|endpoint| endpoint.state.lock().conn.readable())
    }

    /// Bytes that the other side has not reported as taken (`SIOCOUTQ`).
    ///
    /// # Errors
    ///
    /// `EINVAL` for a listener, as `tcp_ioctl()` says.
    pub(in crate::socket) fn unsent(&self) -> Result<u32> {
        self.count(Endpoint::unsent)
    }

    fn count(&self, count: impl FnOnce(&Endpoint) -> u32) -> Result<u32> {
        if self.listener().is_some() {
            return Err(EINVAL);
        }
        Ok(self.endpoint().map_or(0, |endpoint| count(&endpoint)))
    }
}

/// An error that is pending, unless the call ends regularly.
fn sk_error_unless(regular: bool, sk: &Sock) -> Option<Error> {
    if regular {
        None
    } else {
        sk.take_error()
    }
}

/// Waits until there are bytes behind the `peeked` ones, or never will be.
fn await_bytes(sk: &Sock, endpoint: &Endpoint, timeout: c_long, peeked: usize) -> Result<c_long> {
    sk.wait_until(timeout, || {
        let state = endpoint.state.lock();
        state.conn.readable() as usize > peeked || state.conn.read_ended()
    })
}

impl Endpoint {
    /// Takes up to `length` bytes that are there; says how many, and whether more can come.
    ///
    /// # Errors
    ///
    /// `EFAULT` if the first byte could not be written.
    fn take_some(
        &self,
        target: &mut IovIterDest<'_>,
        length: usize,
        received: usize,
        flags: Flags,
    ) -> Result<(usize, bool)> {
        let _turn = self.receive_turn.lock();
        // Peeked bytes are still in the ring; read ones are not.
        let skip = if flags.peek { received } else { 0 };
        let (position, readable, ended) = {
            let state = self.state.lock();
            let readable = (state.conn.readable() as usize).saturating_sub(skip);
            let position = state.conn.rx_position() + skip as u64;
            (position, readable, state.conn.read_ended())
        };
        // At most a ring's size.
        let length = length.min(readable) as u32;
        if length == 0 {
            return Ok((0, ended));
        }
        let copied = if flags.discard {
            length
        } else {
            self.rx.drain(position, length, target)?
        };
        if !flags.peek {
            self.rx.release(position, copied);
            self.consume(copied);
        }
        // Whether the end is reached, the next look decides.
        Ok((copied as usize, false))
    }

    /// The user has the bytes; the device hears of it when it is due.
    fn consume(&self, length: u32) {
        let has_news = {
            let mut state = self.state.lock();
            state.conn.read(length);
            state.conn.has_news()
        };
        if has_news {
            self.submit();
        }
    }
}
