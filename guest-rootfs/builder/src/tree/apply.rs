// SPDX-License-Identifier: Apache-2.0
//! Applies a layer's tar entries to the tree (OCI image specification 1.1, "Image Layer Filesystem Changeset").

use std::collections::BTreeMap;
use std::io::Read;

use tar::{Entry, EntryType};

use super::{Content, EntryPath, Kind, MAX_DEPTH, Metadata, Node, NodeId, Tree};
use crate::error::{EntryError, RootfsError};
use crate::image::Layer;

const WHITEOUT: &[u8] = b".wh.";
/// Hides everything that lower layers have in its directory.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Marks of the AUFS driver, which are no files of the image.
const AUFS: &[u8] = b".wh..wh.";
/// Longest target of a symbolic link, as in Linux.
const MAX_TARGET: usize = 4095;
/// Files of these names are kept in memory, because the builder reads `/etc/passwd` and `/etc/group`. So are those that the SDK
/// shim's tables are made of.
const KEPT: [&str; 2] = ["passwd", "group"];
/// Largest file that is kept in memory, in bytes.
const MAX_KEPT: u64 = 4 << 20;
/// Bytes of all files that are kept, about: those that come after it are not.
const MAX_KEPT_ALL: u64 = 64 << 20;
/// How pax headers name extended attributes.
const PAX_XATTR: &[u8] = b"SCHILY.xattr.";

/// Applies the tar archive of `layer`, the `number`-th from 0.
pub(crate) fn apply_layer(
    tree: &mut Tree,
    tar: &mut dyn Read,
    layer: &Layer,
    number: u32,
) -> Result<(), RootfsError> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().map_err(|e| layer.unreadable(e))?;
    for (index, entry) in (0u32..).zip(entries) {
        let mut entry = entry.map_err(|e| layer.unreadable(e))?;
        let refused = |name: &[u8], reason| RootfsError::Entry {
            layer: layer.name.clone(),
            entry: String::from_utf8_lossy(name).into_owned(),
            reason,
        };
        let name = entry.path_bytes().into_owned();
        // Global pax headers carry comments, such as a commit id.
        if entry.header().entry_type() != EntryType::XGlobalHeader {
            apply_entry(tree, &mut entry, number, index).map_err(|e| refused(&name, e))?;
        }
    }
    Ok(())
}

fn apply_entry<R: Read>(
    tree: &mut Tree,
    entry: &mut Entry<'_, R>,
    layer: u32,
    index: u32,
) -> Result<(), EntryError> {
    let path = EntryPath::parse(&entry.path_bytes())?;
    let metadata = read_metadata(entry)?;
    let Some(name) = path.name() else {
        return replace_root(tree, entry.header().entry_type(), metadata);
    };
    let place = tree.resolve_parent(&path, Some(layer))?;
    if let Some(hidden) = name.strip_prefix(WHITEOUT) {
        return apply_whiteout(tree, place.parent, name, hidden, layer);
    }
    let entry_type = entry.header().entry_type();
    if entry_type == EntryType::Link {
        let target = entry.link_name_bytes().unwrap_or_default().into_owned();
        let node = find_hard_link_target(tree, &target)?;
        return tree.link(place.parent, name, node, layer);
    }
    if entry_type == EntryType::Directory {
        if place.depth + 1 >= MAX_DEPTH {
            return Err(EntryError::TooDeep);
        }
        if let Some(existing) = tree
            .child(place.parent, name)
            .filter(|id| tree.is_directory(*id))
        {
            tree.node_mut(existing).metadata = metadata;
            return tree.link(place.parent, name, existing, layer);
        }
    }
    let keep = is_kept(&path) && tree.kept < MAX_KEPT_ALL;
    let kind = read_kind(entry, keep, layer, index)?;
    if let Kind::File {
        content: Content::Bytes(bytes),
        ..
    } = &kind
    {
        tree.kept += bytes.len() as u64;
    }
    let node = Node { metadata, kind };
    tree.insert(place.parent, name, node, layer).map(drop)
}

fn replace_root(
    tree: &mut Tree,
    entry_type: EntryType,
    metadata: Metadata,
) -> Result<(), EntryError> {
    if entry_type != EntryType::Directory {
        return Err(EntryError::ReplacesRoot);
    }
    tree.node_mut(Tree::ROOT).metadata = metadata;
    Ok(())
}

/// Follows the parents of a hard link's target, but not the target itself: a symbolic link may have several names.
fn find_hard_link_target(tree: &mut Tree, target: &[u8]) -> Result<NodeId, EntryError> {
    let path = EntryPath::parse(target)?;
    let bad = || EntryError::BadHardLink(String::from_utf8_lossy(target).into_owned());
    let name = path.name().ok_or_else(bad)?;
    let place = tree
        .resolve_parent(&path, None)
        .map_err(|reason| match reason {
            EntryError::NotADirectory => bad(),
            other => other,
        })?;
    tree.child(place.parent, name)
        .filter(|id| !tree.is_directory(*id))
        .ok_or_else(bad)
}

fn apply_whiteout(
    tree: &mut Tree,
    parent: NodeId,
    name: &[u8],
    hidden: &[u8],
    layer: u32,
) -> Result<(), EntryError> {
    if name == OPAQUE {
        hide_lower(tree, parent, layer);
        return Ok(());
    }
    if name.starts_with(AUFS) {
        return Ok(());
    }
    if matches!(hidden, b"" | b"." | b"..") {
        return Err(EntryError::BadWhiteout);
    }
    let keep = tree
        .entries(parent)
        .and_then(|entries| entries.get(hidden).copied())
        .is_none_or(|link| hide_below(tree, link, layer));
    if !keep && let Some(entries) = tree.entries_mut(parent) {
        entries.remove(hidden);
    }
    Ok(())
}

/// Removes what layers below `layer` stated in a directory, and reports whether anything is left.
///
/// Whiteouts say nothing about their own layer, in whatever order its entries come. The recursion is bounded by
/// [`MAX_DEPTH`].
fn hide_lower(tree: &mut Tree, directory: NodeId, layer: u32) -> bool {
    let links: Vec<(Vec<u8>, super::Link)> = tree
        .entries(directory)
        .into_iter()
        .flatten()
        .map(|(name, link)| (name.clone(), *link))
        .collect();
    let mut left = false;
    for (name, link) in links {
        if hide_below(tree, link, layer) {
            left = true;
        } else if let Some(entries) = tree.entries_mut(directory) {
            entries.remove(&name);
        }
    }
    left
}

/// Removes what lower layers stated under one name; reports whether the name itself stays.
fn hide_below(tree: &mut Tree, link: super::Link, layer: u32) -> bool {
    let left = tree.is_directory(link.node) && hide_lower(tree, link.node, layer);
    left || link.layer == layer
}

fn is_kept(path: &EntryPath) -> bool {
    let mut kept = KEPT.iter().chain(&nexus_sdk_tables::FILES);
    kept.any(|end| path.ends_with(end))
}

fn read_kind<R: Read>(
    entry: &mut Entry<'_, R>,
    keep: bool,
    layer: u32,
    index: u32,
) -> Result<Kind, EntryError> {
    let header_error = |error: std::io::Error| EntryError::Header(error.to_string());
    Ok(match entry.header().entry_type() {
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            let size = entry.size();
            let content = if keep && size <= MAX_KEPT {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).map_err(header_error)?;
                Content::Bytes(bytes)
            } else {
                Content::Entry {
                    layer,
                    entry: index,
                }
            };
            Kind::File { size, content }
        }
        EntryType::Directory => Kind::Directory(BTreeMap::new()),
        EntryType::Symlink => {
            let target = entry.link_name_bytes().unwrap_or_default().into_owned();
            if target.is_empty() || target.len() > MAX_TARGET || target.contains(&0) {
                return Err(EntryError::BadSymlink);
            }
            Kind::Symlink(target)
        }
        EntryType::Char => {
            let (major, minor) = device_number(entry)?;
            Kind::CharDevice { major, minor }
        }
        EntryType::Block => {
            let (major, minor) = device_number(entry)?;
            Kind::BlockDevice { major, minor }
        }
        EntryType::Fifo => Kind::Fifo,
        other => return Err(EntryError::UnknownType(char::from(other.as_byte()))),
    })
}

/// The number of a device node, within what Linux can hold: 12 bits and 20 bits.
fn device_number<R: Read>(entry: &Entry<'_, R>) -> Result<(u32, u32), EntryError> {
    let header_error = |error: std::io::Error| EntryError::Header(error.to_string());
    let major = entry.header().device_major().map_err(header_error)?;
    let minor = entry.header().device_minor().map_err(header_error)?;
    match (major, minor) {
        (Some(major @ 0..0x1000), Some(minor @ 0..0x10_0000)) => Ok((major, minor)),
        _ => Err(EntryError::Header(
            "its device number is invalid".to_owned(),
        )),
    }
}

fn read_metadata<R: Read>(entry: &mut Entry<'_, R>) -> Result<Metadata, EntryError> {
    let header_error = |error: std::io::Error| EntryError::Header(error.to_string());
    let header = entry.header();
    let id = |id: u64| {
        u32::try_from(id)
            .map_err(|_| EntryError::Header("its owner's number is invalid".to_owned()))
    };
    let mode = header.mode().map_err(header_error)? & 0o7777;
    let mut metadata = Metadata {
        mode: u16::try_from(mode).unwrap_or_default(),
        uid: id(header.uid().map_err(header_error)?)?,
        gid: id(header.gid().map_err(header_error)?)?,
        // Times before 1970 come as numbers with the highest bit set; EROFS has no such times.
        mtime: header
            .mtime()
            .ok()
            .filter(|time| i64::try_from(*time).is_ok())
            .unwrap_or(0),
        mtime_nsec: 0,
        xattrs: BTreeMap::new(),
    };
    if let Some(records) = entry.pax_extensions().map_err(header_error)? {
        for record in records {
            let record = record.map_err(header_error)?;
            let (key, value) = (record.key_bytes(), record.value_bytes());
            if key == b"mtime" {
                (metadata.mtime, metadata.mtime_nsec) = parse_time(value).unwrap_or((0, 0));
            } else if let Some(name) = key.strip_prefix(PAX_XATTR) {
                metadata.xattrs.insert(name.to_vec(), value.to_vec());
            }
        }
    }
    Ok(metadata)
}

/// A pax time, `seconds[.fraction]`; `None` if malformed or before 1970.
fn parse_time(text: &[u8]) -> Option<(u64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds = seconds.parse().ok().filter(|s| i64::try_from(*s).is_ok())?;
    if !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect();
    Some((seconds, digits.parse().ok()?))
}
