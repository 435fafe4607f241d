// SPDX-License-Identifier: GPL-2.0-only
//! Options of TCP, IP and IPv6.
//!
//! They are stored and read back true, within the limits that Linux has for them. Until the device takes options, the
//! host's socket has what the host decides (no delay, keep-alive). Options of SOL_SOCKET are generic code's.

use kernel::{ffi::c_int, prelude::*};

use super::conn::Phase;
use super::Socket;
use crate::proto::Family;

const SOL_IP: c_int = 0;
const SOL_TCP: c_int = 6;
const SOL_IPV6: c_int = 41;
const TCP_INFO: c_int = 11;
/// `sizeof(struct tcp_info)` up to and without the fields that came after Linux 2.6.
const TCP_INFO_SIZE: usize = 104;
const TCP_ESTABLISHED: u8 = 1;
const TCP_SYN_SENT: u8 = 2;
const TCP_CLOSE: u8 = 7;
const TCP_CLOSE_WAIT: u8 = 8;

/// An option with a number as its value.
struct Known {
    level: c_int,
    name: c_int,
    default: c_int,
    least: c_int,
    most: c_int,
}

const fn known(level: c_int, name: c_int, default: c_int, least: c_int, most: c_int) -> Known {
    Known {
        level,
        name,
        default,
        least,
        most,
    }
}

const ANY: c_int = c_int::MAX;

/// Every option that is stored, with Linux' default and limits (`do_tcp_setsockopt()`, `do_ip_setsockopt()`,
/// `do_ipv6_setsockopt()`).
static KNOWN: [Known; 25] = [
    known(SOL_TCP, 1, 0, c_int::MIN, ANY),   // TCP_NODELAY
    known(SOL_TCP, 2, 1460, 88, 32767),      // TCP_MAXSEG
    known(SOL_TCP, 3, 0, c_int::MIN, ANY),   // TCP_CORK
    known(SOL_TCP, 4, 7200, 1, 32767),       // TCP_KEEPIDLE
    known(SOL_TCP, 5, 75, 1, 32767),         // TCP_KEEPINTVL
    known(SOL_TCP, 6, 9, 1, 127),            // TCP_KEEPCNT
    known(SOL_TCP, 7, 6, 1, 127),            // TCP_SYNCNT
    known(SOL_TCP, 8, 60, c_int::MIN, ANY),  // TCP_LINGER2
    known(SOL_TCP, 9, 0, 0, ANY),            // TCP_DEFER_ACCEPT
    known(SOL_TCP, 10, 0, 0, ANY),           // TCP_WINDOW_CLAMP
    known(SOL_TCP, 12, 1, c_int::MIN, ANY),  // TCP_QUICKACK
    known(SOL_TCP, 18, 0, 0, ANY),           // TCP_USER_TIMEOUT
    known(SOL_TCP, 25, 0, c_int::MIN, ANY),  // TCP_NOTSENT_LOWAT
    known(SOL_IP, 1, 0, 0, 255),             // IP_TOS
    known(SOL_IP, 2, 64, 1, 255),            // IP_TTL
    known(SOL_IP, 10, 1, 0, 5),              // IP_MTU_DISCOVER
    known(SOL_IP, 11, 0, c_int::MIN, ANY),   // IP_RECVERR
    known(SOL_IP, 15, 0, c_int::MIN, ANY),   // IP_FREEBIND
    known(SOL_IP, 24, 0, c_int::MIN, ANY),   // IP_BIND_ADDRESS_NO_PORT
    known(SOL_IPV6, 16, 64, -1, 255),        // IPV6_UNICAST_HOPS
    known(SOL_IPV6, 23, 1, 0, 5),            // IPV6_MTU_DISCOVER
    known(SOL_IPV6, 25, 0, c_int::MIN, ANY), // IPV6_RECVERR
    known(SOL_IPV6, 26, 0, c_int::MIN, ANY), // IPV6_V6ONLY
    known(SOL_IPV6, 67, 0, -1, 255),         // IPV6_TCLASS
    known(SOL_IPV6, 70, 0, c_int::MIN, ANY), // IPV6_AUTOFLOWLABEL
];

/// Values of the [`KNOWN`] options. The default is theirs.
pub(super) struct Options([c_int; KNOWN.len()]);

impl Default for Options {
    fn default() -> Self {
        Self(core::array::from_fn(|at| KNOWN[at].default))
    }
}

impl Options {
    fn find(&mut self, level: c_int, name: c_int) -> Option<(&'static Known, &mut c_int)> {
        KNOWN
            .iter()
            .zip(&mut self.0)
            .find(|(known, _)| known.level == level && known.name == name)
    }
}

/// A value on its way to the user.
pub(super) enum Value {
    /// A plain number.
    Number(c_int),
    /// `struct tcp_info`.
    Info([u8; TCP_INFO_SIZE]),
}

impl Socket {
    /// `setsockopt()` below SOL_SOCKET.
    ///
    /// # Errors
    ///
    /// `ENOPROTOOPT` for an option that is not known, `EINVAL` for a value beyond its limits.
    pub(super) fn set_option(&self, level: c_int, name: c_int, value: c_int) -> Result {
        let mut state = self.state.lock();
        let (known, stored) = self
            .applies(level)
            .then(|| state.options.find(level, name))
            .flatten()
            .ok_or(ENOPROTOOPT)?;
        if !(known.least..=known.most).contains(&value) {
            return Err(EINVAL);
        }
        // What has no limits is a switch.
        *stored = if known.least == c_int::MIN {
            c_int::from(value != 0)
        } else {
            value
        };
        Ok(())
    }

    /// `getsockopt()` below SOL_SOCKET.
    ///
    /// # Errors
    ///
    /// `ENOPROTOOPT` for an option that is not known.
    pub(super) fn option(&self, level: c_int, name: c_int) -> Result<Value> {
        if (level, name) == (SOL_TCP, TCP_INFO) {
            return Ok(Value::Info(self.info()));
        }
        let mut state = self.state.lock();
        self.applies(level)
            .then(|| state.options.find(level, name))
            .flatten()
            .map(|(_, stored)| Value::Number(*stored))
            .ok_or(ENOPROTOOPT)
    }

    /// IPv6's options are for IPv6 only; the others are for both.
    fn applies(&self, level: c_int) -> bool {
        level != SOL_IPV6 || self.family == Family::V6
    }

    /// `struct tcp_info` with the one field that is known here, the state; the others are zero.
    fn info(&self) -> [u8; TCP_INFO_SIZE] {
        let mut info = [0; TCP_INFO_SIZE];
        info[0] = match self.endpoint() {
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
