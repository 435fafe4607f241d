// SPDX-License-Identifier: GPL-2.0-only
//! Receiving: from the rx ring into the user's memory, one copy.

use kernel::{ffi::c_long, iov::IovIterDest, prelude::*};

use super::conn::Connection;
use super::endpoint::Endpoint;
use super::Stream;
use crate::ffi::Sock;
use crate::virtio::News as _;

/// The flags of a receive that change its course.
#[derive(Clone, Copy)]
pub(in crate::socket) struct Flags {
    /// `MSG_DONTWAIT`, or the descriptor's `O_NONBLOCK`.
    pub(in crate::socket) nonblock: bool,
    /// `MSG_PEEK`: leave the bytes where they are, and pass over so many (`SO_PEEK_OFF`).
    pub(in crate::socket) peek: Option<u32>,
    /// `MSG_WAITALL`: wait for all bytes.
    pub(in crate::socket) all: bool,
    /// `MSG_TRUNC`: drop the bytes instead of copying them, as TCP does.
    pub(in crate::socket) discard: bool,
    /// `SO_OOBINLINE`: an urgent byte is a byte like others.
    pub(in crate::socket) inline: bool,
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
        if flags.peek.is_some() {
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
            // Who asks for no byte waits for one nevertheless, and hears of errors.
            let enough = length > 0 || endpoint.state.lock().conn.readable() > 0;
            if received >= wanted || (received == length && enough) {
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
            match await_bytes(sk, &endpoint, timeout, received, flags) {
                Ok(left) => timeout = left,
                Err(_) if received > 0 => return Ok(received),
                Err(error) => return Err(error),
            }
        }
    }

    /// Bytes that can be read now, up to an urgent one (`FIONREAD`).
    ///
    /// # Errors
    ///
    /// `EINVAL` for a listener, as `tcp_ioctl()` says.
    pub(in crate::socket) fn readable(&self, inline: bool) -> Result<u32> {
        self.count(|endpoint| {
            let state = endpoint.state.lock();
            let readable = state.conn.readable();
            match state.conn.urgent() {
                Some(urgent) if !inline => {
                    // At most a ring's size.
                    readable.min((urgent.at - state.conn.rx_position()) as u32)
                }
                _ => readable,
            }
        })
    }

    /// Bytes that the other side has not reported as taken (`SIOCOUTQ`).
    ///
    /// # Errors
    ///
    /// `EINVAL` for a listener, as `tcp_ioctl()` says.
    pub(in crate::socket) fn unsent(&self) -> Result<u32> {
        self.count(Endpoint::unsent)
    }

    /// Receives the urgent byte (`MSG_OOB`): `tcp_recv_urg()`.
    ///
    /// # Errors
    ///
    /// `ENOTCONN` for a listener and after a reset, `EINVAL` if there is none, or it is to be received inline.
    pub(in crate::socket) fn receive_urgent(
        &self,
        target: &mut IovIterDest<'_>,
        flags: Flags,
    ) -> Result<usize> {
        if self.listener().is_some() {
            return Err(ENOTCONN);
        }
        let endpoint = self.endpoint().ok_or(EINVAL)?;
        let mut state = endpoint.state.lock();
        let urgent = state.conn.urgent().filter(|urgent| !urgent.was_read);
        let urgent = urgent.filter(|_| !flags.inline).ok_or(EINVAL)?;
        if state.conn.is_closed() && !state.conn.has_eof() {
            return Err(ENOTCONN);
        }
        if flags.peek.is_none() {
            state.conn.read_urgent();
        }
        drop(state);
        let byte = endpoint.rx.byte(urgent.at).ok_or(EINVAL)?;
        if target.is_empty() {
            return Ok(0);
        }
        match target.copy_to_iter(&[byte]) {
            1 => Ok(1),
            _ => Err(EFAULT),
        }
    }

    /// Whether the next byte is urgent (`SIOCATMARK`).
    pub(in crate::socket) fn is_at_mark(&self) -> bool {
        self.endpoint().is_some_and(|endpoint| {
            let state = endpoint.state.lock();
            let next = state.conn.rx_position();
            state.conn.urgent().is_some_and(|urgent| urgent.at == next)
        })
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

/// Waits until there are bytes to take behind the `received` ones, or never will be.
fn await_bytes(
    sk: &Sock,
    endpoint: &Endpoint,
    timeout: c_long,
    received: usize,
    flags: Flags,
) -> Result<c_long> {
    sk.wait_until(timeout, || {
        let state = endpoint.state.lock();
        let span = Span::new(&state.conn, usize::MAX, received, flags);
        span.length > 0 || (span.hole > 0 && flags.peek.is_none()) || state.conn.read_ended()
    })
}

/// Bytes to receive at once.
struct Span {
    /// Position of the first.
    from: u64,
    length: u32,
    /// An urgent byte before them, which is left out.
    hole: u32,
    /// An urgent byte is next: a receive that has something ends here, so that its user can see the mark.
    stops_before_more: bool,
}

impl Span {
    /// Up to `length` bytes, no further than to the next urgent one (`tcp_recvmsg_locked()`). The `received` ones are still in
    /// the ring if they were peeked at, behind those that the peek passes over.
    fn new(conn: &Connection, length: usize, received: usize, flags: Flags) -> Self {
        let skip = flags.peek.map_or(0, |over| over as usize + received);
        let from = conn.rx_position() + skip as u64;
        let readable = (conn.readable() as usize).saturating_sub(skip) as u32;
        let mark = conn.urgent().map(|urgent| urgent.at);
        let at_mark = mark == Some(from);
        let hole = u32::from(at_mark && !flags.inline && readable > 0);
        let start = from + u64::from(hole);
        let limit = match mark {
            Some(at) if at > start => at - start,
            _ => u64::MAX,
        };
        let length = (length as u64)
            .min(u64::from(readable - hole))
            .min(limit);
        Self {
            from: start,
            // At most a ring's size.
            length: length as u32,
            hole,
            stops_before_more: at_mark,
        }
    }
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
        let (span, ended) = {
            let state = self.state.lock();
            let span = Span::new(&state.conn, length, received, flags);
            (span, state.conn.read_ended())
        };
        if span.stops_before_more && received > 0 {
            return Ok((0, true));
        }
        if span.length == 0 {
            let steps_over = span.hole > 0 && flags.peek.is_none();
            if steps_over {
                self.consume(span.hole);
            }
            return Ok((0, ended && !steps_over));
        }
        let copied = if flags.discard {
            span.length
        } else {
            self.rx.drain(span.from, span.length, target)?
        };
        if flags.peek.is_none() {
            self.rx.release(span.from - u64::from(span.hole), span.hole + copied);
            self.consume(span.hole + copied);
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
