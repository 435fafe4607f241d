// SPDX-License-Identifier: Apache-2.0
//! Options that a program has set before it connects: the socket that takes the place of its own has them as well.

use core::ffi::c_int;

use crate::sys::socket::{option, set_option};

const SOL_IP: c_int = 0;
const SOL_SOCKET: c_int = 1;
const SOL_TCP: c_int = 6;
const SOL_IPV6: c_int = 41;

/// Longest value, in bytes: a `struct timeval`, or a congestion control's name (`TCP_CA_NAME_MAX`, include/net/tcp.h).
const VALUE_MAX: usize = 16;

/// Level and name (socket(7), tcp(7), ip(7), ipv6(7)).
const COPIED: [(c_int, c_int); 28] = [
    (SOL_SOCKET, 2),  // SO_REUSEADDR
    (SOL_SOCKET, 5),  // SO_DONTROUTE
    (SOL_SOCKET, 6),  // SO_BROADCAST
    (SOL_SOCKET, 9),  // SO_KEEPALIVE
    (SOL_SOCKET, 10), // SO_OOBINLINE
    (SOL_SOCKET, 12), // SO_PRIORITY
    (SOL_SOCKET, 13), // SO_LINGER
    (SOL_SOCKET, 18), // SO_RCVLOWAT
    (SOL_SOCKET, 20), // SO_RCVTIMEO_OLD
    (SOL_SOCKET, 21), // SO_SNDTIMEO_OLD
    (SOL_SOCKET, 29), // SO_TIMESTAMP_OLD
    (SOL_SOCKET, 60), // SO_ZEROCOPY
    (SOL_TCP, 1),     // TCP_NODELAY
    (SOL_TCP, 3),     // TCP_CORK
    (SOL_TCP, 4),     // TCP_KEEPIDLE
    (SOL_TCP, 5),     // TCP_KEEPINTVL
    (SOL_TCP, 6),     // TCP_KEEPCNT
    (SOL_TCP, 7),     // TCP_SYNCNT
    (SOL_TCP, 13),    // TCP_CONGESTION
    (SOL_TCP, 18),    // TCP_USER_TIMEOUT
    (SOL_TCP, 25),    // TCP_NOTSENT_LOWAT
    (SOL_IP, 1),      // IP_TOS
    (SOL_IP, 2),      // IP_TTL
    (SOL_IP, 8),      // IP_PKTINFO
    (SOL_IP, 11),     // IP_RECVERR
    (SOL_IPV6, 16),   // IPV6_UNICAST_HOPS
    (SOL_IPV6, 25),   // IPV6_RECVERR
    (SOL_IPV6, 67),   // IPV6_TCLASS
];

const SO_SNDBUF: c_int = 7;
const SO_RCVBUF: c_int = 8;
/// Which buffer sizes the program has set: bits (`SOCK_SNDBUF_LOCK`, `SOCK_RCVBUF_LOCK`, include/uapi/linux/socket.h).
const SO_BUF_LOCK: c_int = 72;
const SNDBUF_LOCK: c_int = 1;
const RCVBUF_LOCK: c_int = 2;

/// Gives `new` the options of `old`. One that it does not take (of another family, say) stays as it is.
pub(super) fn copy(old: c_int, new: c_int) {
    for (level, name) in COPIED {
        let (wanted, length) = read(old, level, name);
        let (found, _) = read(new, level, name);
        if wanted != found
            && let Some(value) = wanted.get(..length)
        {
            // Refused is what the program's own socket was not: nothing that it could be told of here.
            let _taken: Option<()> = set_option(new, level, name, value);
        }
    }
    copy_sizes(old, new);
}

/// Sizes that are set stay fixed from then on; others the kernel adapts.
fn copy_sizes(old: c_int, new: c_int) {
    let set = read_number(old, SO_BUF_LOCK);
    for (bit, name) in [(SNDBUF_LOCK, SO_SNDBUF), (RCVBUF_LOCK, SO_RCVBUF)] {
        if set & bit != 0 {
            // The kernel keeps, and tells, twice of what was set (socket(7)).
            let size = read_number(old, name) / 2;
            let _taken: Option<()> = set_option(new, SOL_SOCKET, name, &size.to_ne_bytes());
        }
    }
}

fn read(fd: c_int, level: c_int, name: c_int) -> ([u8; VALUE_MAX], usize) {
    let mut value = [0; VALUE_MAX];
    let length = option(fd, level, name, &mut value).unwrap_or(0);
    (value, length)
}

fn read_number(fd: c_int, name: c_int) -> c_int {
    let (value, _) = read(fd, SOL_SOCKET, name);
    let [a, b, c, d, ..] = value;
    c_int::from_ne_bytes([a, b, c, d])
}
