// SPDX-License-Identifier: Apache-2.0
//! Named blobs of an image, in a folder or inside a tar archive. Archives are read in place, not unpacked.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use tar::EntryType;

use super::Digest;
use crate::error::RootfsError;

/// Longest index, manifest or configuration that is read: registries refuse manifests over 4 MiB.
const MAX_DOCUMENT: u64 = 4 << 20;
/// `docker save` may store a repeated layer as a symbolic link to another.
const MAX_LINKS: usize = 8;

/// Where the blobs of an image are.
#[derive(Debug)]
pub(crate) struct BlobStore {
    path: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Folder,
    Archive(HashMap<String, Member>),
}

#[derive(Clone, Debug)]
enum Member {
    File { offset: u64, size: u64 },
    Link(String),
}

impl BlobStore {
    pub(crate) fn open(path: &Path) -> Result<Self, RootfsError> {
        let metadata = path.metadata().map_err(RootfsError::io("open", path))?;
        let place = if metadata.is_dir() {
            Place::Folder
        } else {
            Place::Archive(index_archive(path)?)
        };
        Ok(Self {
            path: path.to_owned(),
            place,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.open_blob(name).is_ok()
    }

    /// Opens a blob; returns its size in bytes and its content.
    pub(crate) fn open_blob(&self, name: &str) -> Result<(u64, io::Take<File>), RootfsError> {
        let missing = || RootfsError::MissingBlob {
            name: name.to_owned(),
        };
        let (path, offset, size) = match &self.place {
            Place::Folder => {
                let name = plain_name(name.as_bytes()).ok_or_else(missing)?;
                let path = self.path.join(name);
                let metadata = path.metadata().map_err(|_| missing())?;
                if !metadata.is_file() {
                    return Err(missing());
                }
                (path, 0, metadata.len())
            }
            Place::Archive(members) => {
                let (offset, size) = find_member(members, name).ok_or_else(missing)?;
                (self.path.clone(), offset, size)
            }
        };
        let mut file = File::open(&path).map_err(RootfsError::io("open", &path))?;
        file.seek(SeekFrom::Start(offset))
            .map_err(RootfsError::io("read", &path))?;
        Ok((size, file.take(size)))
    }

    /// Reads a small blob whole; checks its digest if one is given.
    pub(crate) fn read_document(
        &self,
        name: &str,
        digest: Option<&Digest>,
    ) -> Result<Vec<u8>, RootfsError> {
        let (size, mut blob) = self.open_blob(name)?;
        if size > MAX_DOCUMENT {
            return Err(RootfsError::Document {
                what: name.to_owned(),
                reason: format!("it has {size} bytes, more than {MAX_DOCUMENT}"),
            });
        }
        let mut bytes = Vec::new();
        blob.read_to_end(&mut bytes)
            .map_err(RootfsError::io("read", &self.path))?;
        match digest {
            Some(&expected) if Digest::of(&bytes) != expected => Err(RootfsError::Digest {
                name: name.to_owned(),
                expected: expected.to_string(),
                found: Digest::of(&bytes).to_string(),
            }),
            _ => Ok(bytes),
        }
    }
}

/// Lists the members of the archive at `path`.
fn index_archive(path: &Path) -> Result<HashMap<String, Member>, RootfsError> {
    let not_an_image = |reason: String| RootfsError::NotAnImage {
        path: path.to_owned(),
        reason,
    };
    let file = File::open(path).map_err(RootfsError::io("open", path))?;
    let mut archive = tar::Archive::new(file);
    let entries = archive
        .entries_with_seek()
        .map_err(|error| not_an_image(format!("it is not a tar archive ({error})")))?;
    let mut members = HashMap::new();
    for entry in entries {
        let entry = entry.map_err(|error| {
            not_an_image(format!("it is not an uncompressed tar archive ({error})"))
        })?;
        let Some(name) = plain_name(&entry.path_bytes()) else {
            continue;
        };
        let member = match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => Member::File {
                offset: entry.raw_file_position(),
                size: entry.size(),
            },
            EntryType::Symlink | EntryType::Link => {
                let target = entry.link_name_bytes().unwrap_or_default();
                let absolute = entry.header().entry_type() == EntryType::Link;
                let Some(target) = link_target(&name, &target, absolute) else {
                    continue;
                };
                Member::Link(target)
            }
            _ => continue,
        };
        members.insert(name, member);
    }
    Ok(members)
}

fn find_member(members: &HashMap<String, Member>, name: &str) -> Option<(u64, u64)> {
    let mut name = plain_name(name.as_bytes())?;
    for _ in 0..MAX_LINKS {
        match members.get(&name)? {
            Member::File { offset, size } => return Some((*offset, *size)),
            Member::Link(target) => name.clone_from(target),
        }
    }
    None
}

/// A relative name without `.` and empty components; `None` if it has `..` or is not text.
fn plain_name(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    if name.starts_with('/') {
        return None;
    }
    let parts: Vec<&str> = name
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    (!parts.is_empty() && !parts.contains(&"..")).then(|| parts.join("/"))
}

/// The member that a link at `name` names: relative to the link's folder, or to the archive (hard links).
fn link_target(name: &str, target: &[u8], from_top: bool) -> Option<String> {
    let target = std::str::from_utf8(target).ok()?;
    let mut parts: Vec<&str> = if from_top {
        Vec::new()
    } else {
        name.split('/').collect()
    };
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    plain_name(parts.join("/").as_bytes())
}
