// SPDX-License-Identifier: GPL-2.0-only
//! `TCP_CONGESTION`: names only, since no packets are sent here.

use kernel::prelude::*;

/// `TCP_CA_NAME_MAX`
pub(in crate::socket) const NAME_MAX: usize = 16;

/// The algorithms that every Linux has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::socket) enum Congestion {
    /// The default.
    #[default]
    Cubic,
    /// The oldest.
    Reno,
}

impl Congestion {
    const ALL: [(Self, &'static [u8]); 2] = [(Self::Cubic, b"cubic"), (Self::Reno, b"reno")];

    /// The algorithm of a name, which ends at a zero byte if there is one.
    ///
    /// # Errors
    ///
    /// `ENOENT` if there is none of this name.
    pub(in crate::socket) fn from_name(name: &[u8]) -> Result<Self> {
        let name = name.split(|byte| *byte == 0).next().unwrap_or(name);
        let found = Self::ALL.iter().find(|(_, known)| *known == name);
        found.map(|(congestion, _)| *congestion).ok_or(ENOENT)
    }

    /// The name, as `getsockopt()` shows it.
    pub(in crate::socket) fn name(self) -> [u8; NAME_MAX] {
        let mut name = [0; NAME_MAX];
        for (_, known) in Self::ALL.iter().filter(|(congestion, _)| *congestion == self) {
            crate::field::put(&mut name, 0, known);
        }
        name
    }
}
