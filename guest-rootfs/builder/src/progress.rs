// SPDX-License-Identifier: Apache-2.0
//! How the builder tells what it is doing.

/// Hears of the builder's progress. `()` hears nothing.
pub trait Progress {
    /// A stage begins; it will pass over `total` bytes (0 if unknown).
    fn stage(&self, name: &str, total: u64);
    /// `bytes` more bytes of the stage are done.
    fn advance(&self, bytes: u64);
}

impl Progress for () {
    fn stage(&self, _name: &str, _total: u64) {}
    fn advance(&self, _bytes: u64) {}
}
