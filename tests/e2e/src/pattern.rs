// SPDX-License-Identifier: Apache-2.0
//! Bytes that both halves can make without telling each other: a generator, and a checksum over what arrived.

use std::io::{self, ErrorKind, Read, Write};

/// Bytes moved at once. Odd, so that nothing falls on a ring's or a page's edge by chance.
const CHUNK: usize = 65_521;

/// An endless stream of bytes that depends on a seed (xorshift64).
struct Pattern {
    state: u64,
}

impl Pattern {
    fn new(seed: u64) -> Self {
        Self {
            state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        }
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            chunk.copy_from_slice(&self.state.to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Sends `length` bytes of the pattern of `seed`.
pub(crate) fn send(mut to: impl Write, seed: u64, length: usize) -> io::Result<()> {
    let mut pattern = Pattern::new(seed);
    let mut buffer = vec![0; CHUNK - CHUNK % 8];
    let mut left = length;
    while left > 0 {
        let part = left.min(buffer.len());
        pattern.fill(&mut buffer[..part]);
        to.write_all(&buffer[..part])?;
        left -= part;
    }
    Ok(())
}

/// Receives exactly `length` bytes and compares each with the pattern of `seed`.
pub(crate) fn expect(mut from: impl Read, seed: u64, length: usize) -> io::Result<()> {
    let mut pattern = Pattern::new(seed);
    let size = CHUNK - CHUNK % 8;
    let (mut expected, mut buffer) = (vec![0; size], vec![0; size]);
    let mut left = length;
    while left > 0 {
        let part = left.min(size);
        from.read_exact(&mut buffer[..part])?;
        pattern.fill(&mut expected[..part]);
        if buffer[..part] != expected[..part] {
            let message = format!(
                "wrong bytes between {} and {}",
                length - left,
                length - left + part
            );
            return Err(io::Error::new(ErrorKind::InvalidData, message));
        }
        left -= part;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_expected_and_nothing_else() {
        let mut bytes = Vec::new();
        send(&mut bytes, 7, 200_001).unwrap();
        expect(bytes.as_slice(), 7, 200_001).unwrap();
        bytes[150_000] ^= 1;
        assert!(expect(bytes.as_slice(), 7, 200_001).is_err());
        assert!(expect(bytes.as_slice(), 8, 100).is_err());
    }
}
