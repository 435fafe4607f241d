// SPDX-License-Identifier: GPL-2.0-only
//! Fields of C structures that cross the system call border as bytes.

/// The bytes at an offset, if they are all there.
pub(crate) fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// Writes bytes at an offset, as far as there is room.
pub(crate) fn put(to: &mut [u8], at: usize, from: &[u8]) {
    for (to, from) in to.iter_mut().skip(at).zip(from) {
        *to = *from;
    }
}
