// SPDX-License-Identifier: GPL-2.0-only
//! The options that are known, with Linux' defaults and its rules for values: `do_tcp_setsockopt()`, `udp_lib_setsockopt()`,
//! `do_ip_setsockopt()`, `do_ipv6_setsockopt()`.
//!
//! What is missing here is refused with `ENOPROTOOPT`, so that programs do without: options that act on packets below what
//! the device carries (source routes, extension headers, MD5 signatures, repair, segmentation offload).

use kernel::{ffi::c_int, prelude::*};

use super::{Kind, SOL_IP, SOL_IPV6, SOL_TCP, SOL_UDP};
use crate::local::route;

const IP_MULTICAST_TTL: c_int = 33;
const IPV6_MULTICAST_IF: c_int = 17;
const IPV6_MULTICAST_HOPS: c_int = 18;

/// What may be set, and what it becomes.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// Anything; all but zero is one.
    Switch,
    /// Zero or one.
    Flag,
    /// A number from one to another.
    Range(c_int, c_int),
    /// As [`Rule::Range`], with -1 for the default.
    RangeOrDefault(c_int, c_int),
    /// Anything.
    Any,
    /// A byte of service: streams leave its two bits for congestion to TCP. -1 is zero where that is allowed.
    Service {
        /// Whether a value that does not fit is refused, and not cut.
        strict: bool,
    },
    /// `TCP_MAXSEG`: zero is the default.
    SegmentSize,
    /// `TCP_LINGER2`: seconds, none if negative, at most two minutes.
    FinTimeout,
    /// `TCP_DEFER_ACCEPT`: seconds, rounded up to what retransmissions take.
    DeferAccept,
    /// `TCP_WINDOW_CLAMP`: at least half of the smallest buffer.
    WindowClamp,
    /// `TCP_FASTOPEN`: at most the largest backlog.
    Backlog,
    /// An interface's index, or zero.
    Interface,
}

/// An option.
pub(super) struct Known {
    pub(super) level: c_int,
    pub(super) name: c_int,
    pub(super) default: c_int,
    pub(super) rule: Rule,
}

const fn known(level: c_int, name: c_int, default: c_int, rule: Rule) -> Known {
    Known {
        level,
        name,
        default,
        rule,
    }
}

use Rule::{
    Any, Backlog, DeferAccept, FinTimeout, Flag, Interface, Range, RangeOrDefault, SegmentSize, Service,
    Switch, WindowClamp,
};

/// Every option that is stored.
pub(super) static KNOWN: [Known; 63] = [
    known(SOL_TCP, 1, 0, Switch),                     // TCP_NODELAY
    known(SOL_TCP, 2, 536, SegmentSize),              // TCP_MAXSEG
    known(SOL_TCP, 3, 0, Switch),                     // TCP_CORK
    known(SOL_TCP, 4, 7200, Range(1, 32767)),         // TCP_KEEPIDLE
    known(SOL_TCP, 5, 75, Range(1, 32767)),           // TCP_KEEPINTVL
    known(SOL_TCP, 6, 9, Range(1, 127)),              // TCP_KEEPCNT
    known(SOL_TCP, 7, 6, Range(1, 127)),              // TCP_SYNCNT
    known(SOL_TCP, 8, 60, FinTimeout),                // TCP_LINGER2
    known(SOL_TCP, 9, 0, DeferAccept),                // TCP_DEFER_ACCEPT
    known(SOL_TCP, 10, 0, WindowClamp),               // TCP_WINDOW_CLAMP
    known(SOL_TCP, 12, 1, Switch),                    // TCP_QUICKACK
    known(SOL_TCP, 16, 0, Flag),                      // TCP_THIN_LINEAR_TIMEOUTS
    known(SOL_TCP, 18, 0, Range(0, c_int::MAX)),      // TCP_USER_TIMEOUT
    known(SOL_TCP, 23, 0, Backlog),                   // TCP_FASTOPEN
    known(SOL_TCP, 25, 0, Any),                       // TCP_NOTSENT_LOWAT
    known(SOL_TCP, 30, 0, Flag),                      // TCP_FASTOPEN_CONNECT
    known(SOL_TCP, 34, 0, Flag),                      // TCP_FASTOPEN_NO_COOKIE
    known(SOL_UDP, 1, 0, Switch),                     // UDP_CORK
    known(SOL_UDP, 103, 0, Range(0, 65535)),          // UDP_SEGMENT
    known(SOL_UDP, 104, 0, Switch),                   // UDP_GRO
    known(SOL_IP, 1, 0, Service { strict: false }),   // IP_TOS
    known(SOL_IP, 2, 64, RangeOrDefault(1, 255)),     // IP_TTL
    known(SOL_IP, 6, 0, Switch),                      // IP_RECVOPTS
    known(SOL_IP, 7, 0, Switch),                      // IP_RETOPTS
    known(SOL_IP, 8, 0, Switch),                      // IP_PKTINFO
    known(SOL_IP, 10, 1, Range(0, 5)),                // IP_MTU_DISCOVER
    known(SOL_IP, 11, 0, Switch),                     // IP_RECVERR
    known(SOL_IP, 12, 0, Switch),                     // IP_RECVTTL
    known(SOL_IP, 13, 0, Switch),                     // IP_RECVTOS
    known(SOL_IP, 15, 0, Switch),                     // IP_FREEBIND
    known(SOL_IP, 18, 0, Switch),                     // IP_PASSSEC
    known(SOL_IP, 20, 0, Switch),                     // IP_RECVORIGDSTADDR
    known(SOL_IP, 21, 0, Range(0, 255)),              // IP_MINTTL
    known(SOL_IP, 24, 0, Switch),                     // IP_BIND_ADDRESS_NO_PORT
    known(SOL_IP, 26, 0, Flag),                       // IP_RECVERR_RFC4884
    known(SOL_IP, 33, 1, RangeOrDefault(0, 255)),     // IP_MULTICAST_TTL
    known(SOL_IP, 34, 1, Switch),                     // IP_MULTICAST_LOOP
    known(SOL_IP, 49, 1, Flag),                       // IP_MULTICAST_ALL
    known(SOL_IP, 51, 0, Any),                        // IP_LOCAL_PORT_RANGE
    known(SOL_IPV6, 8, 0, Switch),                    // IPV6_2292HOPLIMIT
    known(SOL_IPV6, 2, 0, Switch),                    // IPV6_2292PKTINFO
    known(SOL_IPV6, 11, 0, Switch),                   // IPV6_FLOWINFO
    known(SOL_IPV6, 16, 64, RangeOrDefault(0, 255)),  // IPV6_UNICAST_HOPS
    known(SOL_IPV6, 17, 0, Interface),                // IPV6_MULTICAST_IF
    known(SOL_IPV6, 18, 1, RangeOrDefault(0, 255)),   // IPV6_MULTICAST_HOPS
    known(SOL_IPV6, 19, 1, Flag),                     // IPV6_MULTICAST_LOOP
    known(SOL_IPV6, 23, 1, Range(0, 5)),              // IPV6_MTU_DISCOVER
    known(SOL_IPV6, 25, 0, Switch),                   // IPV6_RECVERR
    known(SOL_IPV6, 26, 0, Switch),                   // IPV6_V6ONLY
    known(SOL_IPV6, 29, 1, Switch),                   // IPV6_MULTICAST_ALL
    known(SOL_IPV6, 31, 0, Flag),                     // IPV6_RECVERR_RFC4884
    known(SOL_IPV6, 33, 0, Switch),                   // IPV6_FLOWINFO_SEND
    known(SOL_IPV6, 49, 0, Switch),                   // IPV6_RECVPKTINFO
    known(SOL_IPV6, 51, 0, Switch),                   // IPV6_RECVHOPLIMIT
    known(SOL_IPV6, 60, 0, Switch),                   // IPV6_RECVPATHMTU
    known(SOL_IPV6, 62, 0, Switch),                   // IPV6_DONTFRAG
    known(SOL_IPV6, 66, 0, Switch),                   // IPV6_RECVTCLASS
    known(SOL_IPV6, 67, 0, Service { strict: true }), // IPV6_TCLASS
    known(SOL_IPV6, 70, 1, Switch),                   // IPV6_AUTOFLOWLABEL
    known(SOL_IPV6, 73, 0, Range(0, 255)),            // IPV6_MINHOPCOUNT
    known(SOL_IPV6, 74, 0, Switch),                   // IPV6_RECVORIGDSTADDR
    known(SOL_IPV6, 77, 0, Switch),                   // IPV6_RECVFRAGSIZE
    known(SOL_IPV6, 78, 0, Switch),                   // IPV6_FREEBIND
];

impl Known {
    /// What a value becomes when it is set.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a value that the rule does not allow.
    pub(super) fn accept(&self, kind: Kind, value: c_int) -> Result<c_int> {
        let within = |least: c_int, most: c_int| {
            if (least..=most).contains(&value) {
                Ok(value)
            } else {
                Err(EINVAL)
            }
        };
        if kind.transport == SOL_TCP {
            match (self.level, self.name) {
                (SOL_IP, IP_MULTICAST_TTL) => return Err(EINVAL),
                (SOL_IPV6, IPV6_MULTICAST_IF..=IPV6_MULTICAST_HOPS) => return Err(ENOPROTOOPT),
                _ => {}
            }
        }
        match self.rule {
            Switch => Ok(c_int::from(value != 0)),
            Flag => within(0, 1),
            RangeOrDefault(..) if value == -1 => Ok(self.default),
            Range(least, most) | RangeOrDefault(least, most) => within(least, most),
            Any => Ok(value),
            Service { strict } => service(kind, value, strict),
            SegmentSize if value == 0 => Ok(self.default),
            SegmentSize => within(88, 32767),
            FinTimeout => Ok(match value {
                c_int::MIN..=-1 => -1,
                0 => self.default,
                1..=119 => value,
                _ => 120,
            }),
            DeferAccept => Ok(defer_accept(value)),
            WindowClamp if value == 0 => Ok(0),
            WindowClamp => Ok(value.max(1152)),
            Backlog if value < 0 => Err(EINVAL),
            Backlog => Ok(value.min(4096)),
            Interface if value == 0 => Ok(0),
            Interface => {
                let known = u32::try_from(value).is_ok_and(route::has_interface);
                if known {
                    Ok(value)
                } else {
                    Err(ENODEV)
                }
            }
        }
    }
}

fn service(kind: Kind, value: c_int, strict: bool) -> Result<c_int> {
    let value = match value {
        -1 if strict => 0,
        value if strict && !(0..=255).contains(&value) => return Err(EINVAL),
        value => value & 0xff,
    };
    Ok(if kind.transport == SOL_TCP {
        value & !3
    } else {
        value
    })
}

/// Seconds to retransmissions and back: `secs_to_retrans()` and `retrans_to_secs()`, whose time-out doubles from one second
/// up to two minutes.
fn defer_accept(seconds: c_int) -> c_int {
    let (mut period, mut timeout) = (0, 1);
    // Counted in a byte.
    for _ in 0..u8::MAX {
        if period >= seconds {
            break;
        }
        period += timeout;
        timeout = (timeout * 2).min(120);
    }
    period
}
