// SPDX-License-Identifier: GPL-2.0-only
//! `struct sock`: errors, timeouts, waiting and waking.
//!
//! C headers: [`include/net/sock.h`](srctree/include/net/sock.h).

use core::ptr::NonNull;
use kernel::{
    bindings,
    ffi::{c_int, c_long, c_void},
    prelude::*,
    types::Opaque,
};

use super::{raw, Message};
use crate::proto::limits;

/// A `struct sock` of this module, as system calls see it.
///
/// # Invariants
///
/// Made by `nexus_sk_create()`, and its `struct socket` still belongs to it: a system call is under way on it.
#[repr(transparent)]
pub(crate) struct Sock(Opaque<bindings::sock>);

impl Sock {
    /// Borrows the sock of a socket.
    ///
    /// # Safety
    ///
    /// `sk` must have been made by `nexus_sk_create()`, and a system call on its socket must be under way for `'a`.
    pub(crate) unsafe fn from_raw<'a>(sk: *mut bindings::sock) -> &'a Self {
        // INVARIANT: As the caller promises.
        // SAFETY: `Sock` is transparent, and the caller promises that `sk` is valid for `'a`.
        unsafe { &*sk.cast() }
    }

    fn as_raw(&self) -> *mut bindings::sock {
        self.0.get()
    }

    /// Takes the pending error (`SO_ERROR`), so that it is reported once.
    pub(crate) fn take_error(&self) -> Option<Error> {
        // SAFETY: The sock is valid by the type invariants.
        let error = unsafe { raw::nexus_sk_take_error(self.as_raw()) };
        (error != 0).then(|| Error::from_errno(error))
    }

    /// Whether an error is pending.
    pub(crate) fn has_error(&self) -> bool {
        // SAFETY: As above.
        unsafe { raw::nexus_sk_has_error(self.as_raw()) }
    }

    /// How long a receive may wait, in jiffies (`SO_RCVTIMEO`).
    pub(crate) fn receive_timeout(&self, nonblock: bool) -> c_long {
        // SAFETY: As above.
        unsafe { raw::nexus_sk_rcvtimeo(self.as_raw(), nonblock) }
    }

    /// How long a send or connect may wait, in jiffies (`SO_SNDTIMEO`).
    pub(crate) fn send_timeout(&self, nonblock: bool) -> c_long {
        // SAFETY: As above.
        unsafe { raw::nexus_sk_sndtimeo(self.as_raw(), nonblock) }
    }

    /// Bytes that a receive of `length` waits for: `SO_RCVLOWAT`, or all of them.
    pub(crate) fn low_water(&self, all: bool, length: usize) -> usize {
        let length = c_int::try_from(length).unwrap_or(c_int::MAX);
        // SAFETY: As above.
        let mark = unsafe { raw::nexus_sk_rcvlowat(self.as_raw(), all, length) };
        usize::try_from(mark).unwrap_or(1)
    }

    /// How long close waits, in jiffies, if `SO_LINGER` is on.
    pub(crate) fn linger(&self) -> Option<c_long> {
        // SAFETY: As above.
        let jiffies = unsafe { raw::nexus_sk_linger(self.as_raw()) };
        (jiffies >= 0).then_some(jiffies)
    }

    /// Whether `MSG_ZEROCOPY` means something (`SO_ZEROCOPY`); TCP ignores it otherwise.
    pub(crate) fn zero_copy(&self) -> bool {
        // SAFETY: As above.
        unsafe { raw::nexus_sk_zerocopy(self.as_raw()) }
    }

    /// `SO_BROADCAST`
    pub(crate) fn may_broadcast(&self) -> bool {
        // SAFETY: As above.
        unsafe { raw::nexus_sk_broadcast(self.as_raw()) }
    }

    /// `SO_REUSEADDR`
    pub(crate) fn reuse_address(&self) -> bool {
        // SAFETY: As above.
        unsafe { raw::nexus_sk_reuse(self.as_raw()) }
    }

    /// `SO_REUSEPORT`
    pub(crate) fn reuse_port(&self) -> bool {
        // SAFETY: As above.
        unsafe { raw::nexus_sk_reuseport(self.as_raw()) }
    }

    /// Whether the socket is bound to `lo` (`SO_BINDTODEVICE`), behind which nobody outside is.
    pub(crate) fn stays_within(&self) -> bool {
        // SAFETY: As above.
        unsafe { raw::nexus_sk_stays_within(self.as_raw()) }
    }

    /// `SO_OOBINLINE`
    pub(crate) fn urgent_inline(&self) -> bool {
        // SAFETY: As above.
        unsafe { raw::nexus_sk_urginline(self.as_raw()) }
    }

    /// Bytes that a receive with `MSG_PEEK` passes over (`SO_PEEK_OFF`).
    pub(crate) fn peek_offset(&self) -> u32 {
        // SAFETY: As above.
        unsafe { raw::nexus_sk_peek_offset(self.as_raw()) }
    }

    /// Bytes were received or peeked at, which moves the offset of the next peek.
    pub(crate) fn move_peek_offset(&self, peek: bool, bytes: u32) {
        // SAFETY: As above.
        unsafe { raw::nexus_sk_move_peek_offset(self.as_raw(), peek, bytes) }
    }

    /// Tells the receiver of a datagram when it arrived, if it wants to know (`SO_TIMESTAMP` and its kin): in
    /// nanoseconds since 1970.
    pub(crate) fn put_timestamp(&self, message: &mut Message, nanoseconds: i64) {
        // SAFETY: As above, and for the message by its type invariants.
        unsafe { raw::nexus_sk_put_timestamp(self.as_raw(), message.as_raw(), nanoseconds) }
    }

    /// Tells the receiver of a datagram how many were dropped before, if it wants to know (`SO_RXQ_OVFL`).
    pub(crate) fn put_drops(&self, message: &mut Message, dropped: u32) {
        // SAFETY: As above.
        unsafe { raw::nexus_sk_put_drops(self.as_raw(), message.as_raw(), dropped) }
    }

    /// What the socket gives to the room of a connection within the guest.
    pub(crate) fn shares(&self) -> Shares {
        self.waker().shares()
    }

    /// Has generic code see a listener, or not (`SO_ACCEPTCONN`).
    pub(crate) fn set_listening(&self, listening: bool) {
        // SAFETY: As above.
        unsafe { raw::nexus_sk_set_listening(self.as_raw(), listening) }
    }

    /// Waits until `ready` is true, which it is asked after each wake-up. `ready` must not sleep.
    ///
    /// Returns the jiffies that are left of `timeout`.
    ///
    /// # Errors
    ///
    /// `EAGAIN` if the time is over; `ERESTARTSYS` or `EINTR` for a signal, as `sock_intr_errno()` decides.
    pub(crate) fn wait_until<F: FnMut() -> bool>(
        &self,
        timeout: c_long,
        ready: F,
    ) -> Result<c_long> {
        self.wait(timeout, false, ready)
    }

    /// As [`Self::wait_until`], where one waiter of many is woken for one event.
    pub(crate) fn wait_exclusive<F: FnMut() -> bool>(
        &self,
        timeout: c_long,
        ready: F,
    ) -> Result<c_long> {
        self.wait(timeout, true, ready)
    }

    fn wait<F: FnMut() -> bool>(
        &self,
        timeout: c_long,
        exclusive: bool,
        mut ready: F,
    ) -> Result<c_long> {
        /// # Safety
        ///
        /// `closure` must point to an `F` that nobody else uses.
        unsafe extern "C" fn ask<F: FnMut() -> bool>(closure: *mut c_void) -> bool {
            // SAFETY: As the caller promises: `nexus_sk_wait()` passes on the pointer that it was given below.
            let ready = unsafe { &mut *closure.cast::<F>() };
            ready()
        }
        let closure: *mut F = &mut ready;
        // SAFETY: The sock is valid, and its wait queue is, since its socket still belongs to it. `closure` outlives the call.
        let left = unsafe {
            raw::nexus_sk_wait(
                self.as_raw(),
                timeout,
                exclusive,
                ask::<F>,
                closure.cast(),
            )
        };
        if left < 0 {
            // Error numbers fit.
            return Err(Error::from_errno(left as c_int));
        }
        Ok(left)
    }

    /// A handle through which events wake this sock.
    pub(crate) fn waker(&self) -> Waker {
        Waker(NonNull::from(&self.0))
    }
}

/// What a socket gives to the room for bytes of a connection within the guest.
#[derive(Clone, Copy)]
pub(crate) struct Shares {
    /// What may wait to be sent.
    pub(crate) send: u32,
    /// What may wait to be received.
    pub(crate) receive: u32,
}

impl Shares {
    /// What a socket gives whose user has not said anything. With two of them a connection has room for as much as a
    /// program may send to itself before it reads. As in Linux, where packets have overhead, that is no round number: a program
    /// that writes round numbers fills a connection, and still finds room for a last byte.
    const DEFAULT: u32 = limits::RING_MAX / 2 + 333;

    /// Room of the largest connection.
    const LARGEST: u32 = 2 * limits::RING_MAX;

    /// Size of a ring for bytes on their way to another socket: what the one may have sent and what the other may have
    /// received.
    pub(crate) fn to(self, other: Self) -> u32 {
        let sum = self.send.saturating_add(other.receive);
        sum.clamp(limits::RING_MIN, Self::LARGEST)
            .next_power_of_two()
    }
}

/// Wakes the waiters of a sock and sets its error, from any context.
///
/// # Invariants
///
/// Points to a `struct sock` that lives for as long as the handle is kept: whoever keeps one drops it before the sock's
/// socket is released ([`Endpoint::detach`](crate::socket::stream::endpoint::Endpoint::detach)).
pub(crate) struct Waker(NonNull<Opaque<bindings::sock>>);

// SAFETY: `struct sock` may be used from any thread.
unsafe impl Send for Waker {}

impl Waker {
    fn as_raw(&self) -> *mut bindings::sock {
        self.0.as_ptr().cast()
    }

    /// Wakes those who wait for one of `events` (`EPOLL…`), or all if it is zero.
    pub(crate) fn wake(&self, events: u32) {
        // SAFETY: The sock lives by the type invariants; waking is allowed in any context.
        unsafe { raw::nexus_sk_wake(self.as_raw(), events) }
    }

    /// What the socket gives to the room of a connection within the guest (`SO_SNDBUF`, `SO_RCVBUF`).
    pub(crate) fn shares(&self) -> Shares {
        let share = |bytes: c_int| u32::try_from(bytes).unwrap_or(Shares::DEFAULT);
        // SAFETY: The sock lives by the type invariants.
        let (send, receive) = unsafe {
            (
                raw::nexus_sk_sndbuf(self.as_raw()),
                raw::nexus_sk_rcvbuf(self.as_raw()),
            )
        };
        Shares {
            send: share(send),
            receive: share(receive),
        }
    }

    /// Sends SIGURG to whoever asked for it (`F_SETOWN`).
    pub(crate) fn send_sigurg(&self) {
        // SAFETY: The sock lives by the type invariants, and its socket is not released as long as the handle is kept.
        unsafe { raw::nexus_sk_send_sigurg(self.as_raw()) }
    }

    /// Bytes that may wait to be received (`SO_RCVBUF`).
    pub(crate) fn receive_room(&self) -> usize {
        // SAFETY: As above.
        let room = unsafe { raw::nexus_sk_receive_room(self.as_raw()) };
        usize::try_from(room).unwrap_or(0)
    }

    /// Sets the error that the next system call reports.
    pub(crate) fn set_error(&self, error: Error) {
        // SAFETY: As above. `sk_err` is positive.
        unsafe { raw::nexus_sk_set_error(self.as_raw(), -error.to_errno()) }
    }
}
