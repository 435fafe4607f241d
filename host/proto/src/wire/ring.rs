// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//! Byte rings in guest memory, and the arithmetic of positions and credit.
//!
//! A position counts the bytes that passed since the socket was opened; it only grows. The byte at position `p` lies at
//! offset `p mod size` of the ring. Credit is room: `size - (produced - consumed)`.

use super::field::{Reader, Writer};
use super::{DecodeError, limits};

/// A contiguous, page-aligned run of guest memory, its size a power of two: 12 bytes on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ring {
    address: u64,
    size: u32,
}

impl Ring {
    /// Makes a ring from the guest-physical address of its first byte and its size in bytes.
    ///
    /// # Errors
    /// [`DecodeError::Ring`] unless the size is a power of two from [`limits::RING_MIN`] to [`limits::RING_MAX`], the
    /// start a multiple of [`limits::RING_ALIGN`], and the end below 2^64.
    pub const fn new(address: u64, size: u32) -> Result<Self, DecodeError> {
        let fits = size >= limits::RING_MIN && size <= limits::RING_MAX && size.is_power_of_two();
        let placed = address.is_multiple_of(limits::RING_ALIGN)
            && address.checked_add(size as u64).is_some();
        if fits && placed {
            Ok(Self { address, size })
        } else {
            Err(DecodeError::Ring { address, size })
        }
    }

    /// A ring for the arithmetic of positions alone, whose bytes no device reaches: at no address, and as large as its owner likes.
    ///
    /// # Errors
    /// [`DecodeError::Ring`] unless the size is a power of two from [`limits::RING_MIN`] on.
    pub const fn without_address(size: u32) -> Result<Self, DecodeError> {
        if size >= limits::RING_MIN && size.is_power_of_two() {
            Ok(Self { address: 0, size })
        } else {
            Err(DecodeError::Ring { address: 0, size })
        }
    }

    /// Guest-physical address of the first byte.
    pub const fn address(&self) -> u64 {
        self.address
    }

    /// Size in bytes.
    pub const fn size(&self) -> u32 {
        self.size
    }

    /// Offset in the ring of the byte at `position`.
    pub const fn offset(&self, position: u64) -> u32 {
        // The mask is below 2^32, so the result is too.
        #[allow(
            clippy::cast_possible_truncation,
            reason = "masked to below the size, a u32"
        )]
        let offset = (position & (self.size as u64 - 1)) as u32;
        offset
    }

    /// Bytes between `consumed` and `produced`, or `None` if no honest peer can have reported such a pair.
    pub const fn used(&self, produced: u64, consumed: u64) -> Option<u32> {
        match produced.checked_sub(consumed) {
            #[allow(clippy::cast_possible_truncation, reason = "at most the size, a u32")]
            Some(used) if used <= self.size as u64 => Some(used as u32),
            _ => None,
        }
    }

    /// Room in bytes, or `None` as for [`Ring::used`].
    pub const fn credit(&self, produced: u64, consumed: u64) -> Option<u32> {
        match self.used(produced, consumed) {
            Some(used) => Some(self.size - used),
            None => None,
        }
    }

    /// Splits `length` bytes from `position` on into the run up to the ring's end and the run at its start.
    /// Each run is an offset and a length; the second may be empty. `length` is cut to the ring's size.
    pub const fn runs(&self, position: u64, length: u32) -> [(u32, u32); 2] {
        let length = if length > self.size {
            self.size
        } else {
            length
        };
        let offset = self.offset(position);
        let first = if self.size - offset < length {
            self.size - offset
        } else {
            length
        };
        [(offset, first), (0, length - first)]
    }

    /// Whether the consumer has to tell the producer now: at half a ring of credit that it has not told yet.
    /// Reporting earlier would cost messages, later would stall a producer that fills the ring.
    pub const fn report_due(&self, consumed: u64, reported: u64) -> bool {
        consumed.wrapping_sub(reported) >= (self.size / 2) as u64
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.address);
        writer.u32(self.size);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let address = reader.u64();
        Self::new(address, reader.u32())
    }
}
