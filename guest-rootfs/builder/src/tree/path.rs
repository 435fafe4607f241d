// SPDX-License-Identifier: Apache-2.0
//! Names of tar entries, checked.

use crate::error::EntryError;

/// Longest path in bytes: `PATH_MAX` less its terminating zero.
const MAX_PATH: usize = 4095;
/// Longest name of a file in bytes: `NAME_MAX`, and `EROFS_NAME_LEN`.
const MAX_NAME: usize = 255;

/// A relative path without `..`; no components mean the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntryPath(Vec<Vec<u8>>);

impl EntryPath {
    /// Checks a name as it is in the archive. `./a//b/` is read as `a/b`.
    pub(crate) fn parse(name: &[u8]) -> Result<Self, EntryError> {
        if name.starts_with(b"/") {
            return Err(EntryError::Absolute);
        }
        if name.len() > MAX_PATH || name.contains(&0) {
            return Err(EntryError::InvalidPath);
        }
        let mut components = Vec::new();
        for component in name.split(|byte| *byte == b'/') {
            match component {
                b"" | b"." => {}
                b".." => return Err(EntryError::Traversal),
                long if long.len() > MAX_NAME => return Err(EntryError::InvalidPath),
                component => components.push(component.to_vec()),
            }
        }
        Ok(Self(components))
    }

    /// Whether its last names are those of `end`, a relative path.
    pub(crate) fn ends_with(&self, end: &str) -> bool {
        let mut names = self.0.iter().rev();
        end.rsplit('/')
            .all(|name| names.next().is_some_and(|own| own == name.as_bytes()))
    }

    /// The last name; `None` for the root.
    pub(crate) fn name(&self) -> Option<&[u8]> {
        self.0.last().map(Vec::as_slice)
    }

    /// The names before the last one.
    pub(crate) fn parents(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        let count = self.0.len().saturating_sub(1);
        self.0[..count].iter().map(Vec::as_slice)
    }
}
