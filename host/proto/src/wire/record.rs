// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//! Datagrams in a ring: records of a header, a payload, and padding up to a multiple of [`ALIGN`].
//!
//! A record is produced as a whole, so whoever sees its first byte sees its last. Positions of records are multiples of
//! [`ALIGN`].

use super::field::{Reader, Writer};
use super::{Address, DecodeError};

/// Size of a record's header in bytes.
pub const HEADER_SIZE: usize = 40;

/// The same, for arithmetic with lengths.
pub const HEADER_LENGTH: u32 = 40;
const _: () = assert!(HEADER_LENGTH as usize == HEADER_SIZE);

/// Alignment of records in bytes.
pub const ALIGN: u32 = 8;

/// Flag bits of a record.
pub mod flag {
    /// No datagram: `address` is where one went that failed with `error`.
    pub const ERROR: u16 = 1 << 0;
}

/// A record's header: 40 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Bytes of payload, without padding.
    pub length: u32,
    /// What became of an earlier datagram, as a Linux errno (asm-generic), if the record says so ([`flag::ERROR`]). Only a
    /// device produces such records.
    pub error: Option<u16>,
    /// Where the datagram goes, or comes from.
    pub address: Address,
}

impl Record {
    /// Bytes of the whole record in its ring.
    pub const fn span(&self) -> u64 {
        let bytes = HEADER_SIZE as u64 + self.length as u64;
        bytes.next_multiple_of(ALIGN as u64)
    }

    /// The largest payload that a ring of `size` bytes has room for.
    pub const fn largest(size: u32) -> u32 {
        size - HEADER_LENGTH
    }

    /// Writes the header.
    pub fn encode(&self) -> [u8; HEADER_SIZE] {
        let mut bytes = [0; HEADER_SIZE];
        let mut writer = Writer::new(&mut bytes);
        writer.u32(self.length);
        writer.u16(if self.error.is_some() { flag::ERROR } else { 0 });
        writer.u16(self.error.unwrap_or(0));
        self.address.write(&mut writer);
        bytes
    }

    /// Reads the header of a record in a ring with `available` bytes from there on.
    ///
    /// # Errors
    /// [`DecodeError::Record`] if the record is not there as a whole, [`DecodeError::Flags`] or [`DecodeError::Family`].
    pub fn decode(bytes: &[u8; HEADER_SIZE], available: u32) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let length = reader.u32();
        let flags = reader.u16();
        let error = reader.u16();
        if flags & !flag::ERROR != 0 {
            return Err(DecodeError::Flags(flags));
        }
        let record = Self {
            length,
            error: (flags & flag::ERROR != 0).then_some(error),
            address: Address::read(&mut reader)?,
        };
        if record.span() > u64::from(available) {
            return Err(DecodeError::Record { length, available });
        }
        Ok(record)
    }
}
