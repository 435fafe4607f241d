// SPDX-License-Identifier: Apache-2.0
//! Directories: blocks of entries and names, each block complete in itself.

use std::ops::Range;

use super::format::{BLOCK, BLOCK_BYTES};

/// Size of `erofs_dirent`: nid, offset of the name, type.
const DIRENT: usize = 12;

/// An entry of a directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dirent<'a> {
    pub(super) name: &'a [u8],
    pub(super) nid: u64,
    pub(super) file_type: u8,
}

/// Size in bytes of a directory with these names, which are in their order: blocks but the last are full.
pub(super) fn size<'a>(names: impl Iterator<Item = &'a [u8]>) -> u64 {
    let lengths: Vec<usize> = names.map(<[u8]>::len).collect();
    let blocks = split(&lengths);
    let last = blocks.last().cloned().unwrap_or_default();
    let used: usize = lengths[last].iter().map(|length| DIRENT + length).sum();
    blocks.len().saturating_sub(1) as u64 * BLOCK + used as u64
}

/// Encodes a directory. The entries must be sorted by name, bytewise: Linux finds names by bisection.
pub(super) fn encode(entries: &[Dirent<'_>]) -> Vec<u8> {
    let lengths: Vec<usize> = entries.iter().map(|entry| entry.name.len()).collect();
    let mut bytes = Vec::new();
    for block in split(&lengths) {
        bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
        let entries = &entries[block];
        let mut name_offset = entries.len() * DIRENT;
        for entry in entries {
            bytes.extend(entry.nid.to_le_bytes());
            // Below the block size, as `split` made it so.
            let offset = u16::try_from(name_offset).unwrap_or(u16::MAX);
            bytes.extend(offset.to_le_bytes());
            bytes.extend([entry.file_type, 0]);
            name_offset += entry.name.len();
        }
        for entry in entries {
            bytes.extend(entry.name);
        }
    }
    bytes
}

/// Which entries go into which block, by the lengths of their names.
fn split(lengths: &[usize]) -> Vec<Range<usize>> {
    let mut blocks = Vec::new();
    let (mut start, mut used) = (0, 0);
    for (index, length) in lengths.iter().enumerate() {
        if used + DIRENT + length > BLOCK_BYTES {
            blocks.push(start..index);
            (start, used) = (index, 0);
        }
        used += DIRENT + length;
    }
    if start < lengths.len() {
        blocks.push(start..lengths.len());
    }
    blocks
}
