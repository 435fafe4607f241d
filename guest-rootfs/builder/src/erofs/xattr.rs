// SPDX-License-Identifier: Apache-2.0
//! Extended attributes, stored behind their inode.

use std::collections::BTreeMap;

/// `erofs_xattr_ibody_header`: the name filter and shared attributes, neither of which is used.
const HEADER: usize = 12;
/// Largest body: `i_xattr_icount` has 16 bits and counts words.
const MAX_BODY: usize = HEADER + 4 * (u16::MAX as usize - 1);

/// Prefixes that the format abbreviates. A name that has none of them is for another kernel's file systems and cannot
/// be stored.
const PREFIXES: [(&[u8], u8); 5] = [
    (b"user.", 1),
    (b"system.posix_acl_access", 2),
    (b"system.posix_acl_default", 3),
    (b"trusted.", 4),
    (b"security.", 6),
];

/// Encodes attributes; empty if there are none, `None` if they do not fit.
pub(super) fn encode(xattrs: &BTreeMap<Vec<u8>, Vec<u8>>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    for (name, value) in xattrs {
        let Some((index, suffix)) = abbreviate(name) else {
            continue;
        };
        if body.is_empty() {
            body.resize(HEADER, 0);
        }
        body.push(u8::try_from(suffix.len()).ok()?);
        body.push(index);
        body.extend(u16::try_from(value.len()).ok()?.to_le_bytes());
        body.extend(suffix);
        body.extend(value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    (body.len() <= MAX_BODY).then_some(body)
}

fn abbreviate(name: &[u8]) -> Option<(u8, &[u8])> {
    PREFIXES.iter().find_map(|(prefix, index)| {
        let suffix = name.strip_prefix(*prefix)?;
        // The access control lists have whole names, all others need something behind the prefix.
        (prefix.ends_with(b".") != suffix.is_empty()).then_some((*index, suffix))
    })
}
