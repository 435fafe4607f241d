// SPDX-License-Identifier: Apache-2.0
//! The last bytes of a stream, by position.

use std::collections::VecDeque;

/// Keeps the last `capacity` bytes of all that was pushed.
#[derive(Debug)]
pub struct Ring {
    bytes: VecDeque<u8>,
    capacity: usize,
    end: u64,
}

impl Ring {
    /// An empty ring. It takes memory only as it fills.
    pub fn new(capacity: usize) -> Self {
        Self {
            bytes: VecDeque::new(),
            capacity,
            end: 0,
        }
    }

    /// Adds bytes and forgets the oldest that do not fit.
    pub fn push(&mut self, bytes: &[u8]) {
        self.end += bytes.len() as u64;
        let kept = &bytes[bytes.len().saturating_sub(self.capacity)..];
        let excess = (self.bytes.len() + kept.len()).saturating_sub(self.capacity);
        self.bytes.drain(..excess);
        self.bytes.extend(kept);
    }

    /// The position behind the last byte: how many were ever pushed.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The bytes from position `from` on that are still there.
    pub fn read(&self, from: u64) -> Vec<u8> {
        let wanted = usize::try_from(self.end.saturating_sub(from)).unwrap_or(usize::MAX);
        let skip = self.bytes.len().saturating_sub(wanted);
        self.bytes.range(skip..).copied().collect()
    }

    /// Forgets everything; positions start again.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.end = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Ring;

    proptest! {
        #[test]
        fn a_ring_is_the_end_of_the_stream(capacity in 1_usize..40, chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..20), from in 0_u64..200) {
            let mut ring = Ring::new(capacity);
            let mut all = Vec::new();
            for chunk in &chunks {
                ring.push(chunk);
                all.extend_from_slice(chunk);
            }
            prop_assert_eq!(ring.end(), all.len() as u64);
            let start = all.len().saturating_sub(capacity).max(usize::try_from(from).expect("small")).min(all.len());
            prop_assert_eq!(ring.read(from), &all[start..]);
        }
    }
}
