// SPDX-License-Identifier: Apache-2.0
//! Directories and attributes. Whole file systems are tested in `tests/build.rs`, by the tools of other people.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::dirent::{Dirent, encode, size};
use super::format::BLOCK_BYTES;
use super::xattr;

/// Reads a directory as Linux does: each block says by its first entry how many it has.
fn decode(bytes: &[u8]) -> Vec<Vec<u8>> {
    let u16_at =
        |block: &[u8], at: usize| usize::from(u16::from_le_bytes([block[at], block[at + 1]]));
    let mut names = Vec::new();
    for block in bytes.chunks(BLOCK_BYTES) {
        let count = u16_at(block, 8) / 12;
        for index in 0..count {
            let start = u16_at(block, index * 12 + 8);
            let end = if index + 1 < count {
                u16_at(block, index * 12 + 20)
            } else {
                block.len()
            };
            let name = &block[start..end];
            let length = name
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(name.len());
            names.push(name[..length].to_vec());
        }
    }
    names
}

proptest! {
    #[test]
    fn directories_are_read_back(names in proptest::collection::btree_set("[!-~]{1,100}", 1..120)) {
        let names: Vec<&[u8]> = names.iter().map(String::as_bytes).collect();
        let entries: Vec<Dirent<'_>> = names.iter().map(|name| Dirent { name, nid: 1, file_type: 1 }).collect();
        let bytes = encode(&entries);
        prop_assert_eq!(bytes.len() as u64, size(names.iter().copied()));
        prop_assert_eq!(decode(&bytes), names);
    }
}

#[test]
fn attributes_have_a_header_and_are_aligned() {
    let capability = b"security.capability".to_vec();
    let xattrs = BTreeMap::from([
        (capability, vec![1, 2, 3]),
        (b"system.other".to_vec(), vec![4]),
    ]);
    let body = xattr::encode(&xattrs).expect("a body");
    let mut expected = vec![0; 12];
    expected.extend([10, 6, 3, 0]);
    expected.extend(b"capability\x01\x02\x03");
    expected.resize(32, 0);
    assert_eq!(body, expected);
    assert_eq!(xattr::encode(&BTreeMap::new()), Some(Vec::new()));
}

#[test]
fn too_large_attributes_are_refused() {
    let large = BTreeMap::from([(b"user.a".to_vec(), vec![0; 70_000])]);
    assert_eq!(xattr::encode(&large), None);
    let long = BTreeMap::from([([b"user.".as_slice(), &[b'a'; 256]].concat(), vec![])]);
    assert_eq!(xattr::encode(&long), None);
}
