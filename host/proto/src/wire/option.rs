// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//! Socket options that the device applies to the host's socket; levels, names and values are Linux's.

use super::DecodeError;

const SOL_SOCKET: u32 = 1;
const SOL_IP: u32 = 0;
const SOL_TCP: u32 = 6;
const SOL_IPV6: u32 = 41;

/// Level and name of each option. All values are numbers.
pub const OPTIONS: [(u32, u32); 14] = [
    (SOL_SOCKET, 9), // SO_KEEPALIVE
    (SOL_TCP, 1),    // TCP_NODELAY
    (SOL_TCP, 3),    // TCP_CORK
    (SOL_TCP, 4),    // TCP_KEEPIDLE
    (SOL_TCP, 5),    // TCP_KEEPINTVL
    (SOL_TCP, 6),    // TCP_KEEPCNT
    (SOL_TCP, 7),    // TCP_SYNCNT
    (SOL_TCP, 12),   // TCP_QUICKACK
    (SOL_TCP, 18),   // TCP_USER_TIMEOUT
    (SOL_TCP, 25),   // TCP_NOTSENT_LOWAT
    (SOL_IP, 1),     // IP_TOS
    (SOL_IP, 2),     // IP_TTL
    (SOL_IPV6, 16),  // IPV6_UNICAST_HOPS
    (SOL_IPV6, 67),  // IPV6_TCLASS
];

/// One of [`OPTIONS`], by its index there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketOption(usize);

impl SocketOption {
    /// The option with this level and name, if the device takes it.
    pub fn new(level: u32, name: u32) -> Option<Self> {
        OPTIONS
            .iter()
            .position(|option| *option == (level, name))
            .map(Self)
    }

    /// As [`Self::new`], of numbers on the wire.
    ///
    /// # Errors
    /// [`DecodeError::Option`] for an option that is not listed.
    pub(super) fn from_wire(level: u32, name: u32) -> Result<Self, DecodeError> {
        Self::new(level, name).ok_or(DecodeError::Option { level, name })
    }

    /// Its index in [`OPTIONS`].
    pub const fn index(self) -> usize {
        self.0
    }

    /// The option of an index in [`OPTIONS`].
    pub const fn from_index(index: usize) -> Option<Self> {
        if index < OPTIONS.len() {
            Some(Self(index))
        } else {
            None
        }
    }

    /// Its level.
    pub fn level(self) -> u32 {
        self.numbers().0
    }

    /// Its name.
    pub fn name(self) -> u32 {
        self.numbers().1
    }

    fn numbers(self) -> (u32, u32) {
        // An index is below the length, by construction.
        OPTIONS.get(self.0).copied().unwrap_or_default()
    }
}
