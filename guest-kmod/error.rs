// SPDX-License-Identifier: GPL-2.0-only
//! Error numbers of the wire against those of the kernel: one place.

use kernel::prelude::*;

/// Largest number that the kernel takes for an error (`MAX_ERRNO`).
const ERRNO_MAX: u16 = 4095;

/// The error that a device reported for a socket.
///
/// Both use the numbers of asm-generic. A number that no error can have says that the device is broken: `EPROTO`.
pub(crate) fn from_wire(error: u16) -> Error {
    match error {
        1..=ERRNO_MAX => Error::from_errno(-i32::from(error)),
        _ => EPROTO,
    }
}
