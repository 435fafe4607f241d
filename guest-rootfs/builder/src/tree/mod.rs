// SPDX-License-Identifier: Apache-2.0
//! The merged file tree of an image, without the files' contents.
//!
//! Contents stay in their layers until the root is written; a node only knows where its content is. So an image of
//! any size takes little memory and no temporary files.

mod apply;
mod path;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub(crate) use apply::apply_layer;
pub(crate) use path::EntryPath;

use crate::error::EntryError;

/// Deepest directory. Linux paths have at most 4096 bytes; real images stay below 40.
pub(crate) const MAX_DEPTH: usize = 1024;
/// Most symbolic links followed in one path, as in Linux.
const MAX_LINKS: usize = 40;
/// Most names in an image: some 200 times of what large images have, and well below what memory allows.
const MAX_NODES: usize = 4 << 20;
/// The layer number of what the builder itself adds: above all others.
pub(crate) const BUILDER_LAYER: u32 = u32::MAX;

/// Index of a node in its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeId(u32);

/// Owner, mode, times and extended attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// Permission bits with set-user-id, set-group-id and sticky; no file type.
    pub(crate) mode: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Seconds since 1970, not negative.
    pub(crate) mtime: u64,
    pub(crate) mtime_nsec: u32,
    pub(crate) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Metadata {
    /// Owned by root, of the year 1970.
    pub(crate) fn fixed(mode: u16) -> Self {
        Self {
            mode,
            ..Self::default()
        }
    }
}

/// Where a file's content is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// The `entry`-th entry of a layer, both counted from 0.
    Entry { layer: u32, entry: u32 },
    /// In memory: what the builder adds, and the few files that it reads itself.
    Bytes(Vec<u8>),
}

/// A node's type, with what belongs to the type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory(BTreeMap<Vec<u8>, Link>),
    File { size: u64, content: Content },
    Symlink(Vec<u8>),
    BlockDevice { major: u32, minor: u32 },
    CharDevice { major: u32, minor: u32 },
    Fifo,
}

/// A name in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) node: NodeId,
    /// The layer that last stated the name; whiteouts hide what lower layers stated.
    layer: u32,
}

/// A file, directory or other inode. Hard links are several names of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) metadata: Metadata,
    pub(crate) kind: Kind,
}

/// The tree. Nodes that lost all their names stay in it unreachable.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    /// Bytes of files that are kept in memory.
    kept: u64,
}

/// A path resolved to a directory and a last name.
struct Place {
    parent: NodeId,
    /// How deep the parent is; the root is 0.
    depth: usize,
}

impl Tree {
    pub(crate) const ROOT: NodeId = NodeId(0);

    /// A root directory and nothing else.
    pub(crate) fn new() -> Self {
        Self {
            nodes: vec![Node {
                metadata: Metadata::fixed(0o755),
                kind: Kind::Directory(BTreeMap::new()),
            }],
            kept: 0,
        }
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize]
    }

    /// The names in a directory; none for anything else.
    pub(crate) fn names(&self, id: NodeId) -> impl Iterator<Item = (&[u8], NodeId)> {
        self.entries(id)
            .into_iter()
            .flatten()
            .map(|(name, link)| (name.as_slice(), link.node))
    }

    fn entries(&self, id: NodeId) -> Option<&BTreeMap<Vec<u8>, Link>> {
        match &self.node(id).kind {
            Kind::Directory(entries) => Some(entries),
            _ => None,
        }
    }

    fn entries_mut(&mut self, id: NodeId) -> Option<&mut BTreeMap<Vec<u8>, Link>> {
        match &mut self.node_mut(id).kind {
            Kind::Directory(entries) => Some(entries),
            _ => None,
        }
    }

    pub(crate) fn is_directory(&self, id: NodeId) -> bool {
        self.entries(id).is_some()
    }

    /// The node of a name in a directory.
    pub(crate) fn child(&self, directory: NodeId, name: &[u8]) -> Option<NodeId> {
        Some(self.entries(directory)?.get(name)?.node)
    }

    /// The content of a file that the builder reads itself; empty if there is none, or it is too large.
    pub(crate) fn kept_file(&mut self, path: &[u8]) -> Vec<u8> {
        let node = EntryPath::parse(path).and_then(|path| {
            let parent = self.resolve_parent(&path, None)?.parent;
            Ok(path.name().and_then(|name| self.child(parent, name)))
        });
        match node {
            Ok(Some(id)) => match &self.node(id).kind {
                Kind::File {
                    content: Content::Bytes(bytes),
                    ..
                } => bytes.clone(),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    /// Adds a node and gives it its first name, in place of whatever had that name.
    pub(crate) fn insert(
        &mut self,
        parent: NodeId,
        name: &[u8],
        node: Node,
        layer: u32,
    ) -> Result<NodeId, EntryError> {
        if self.nodes.len() >= MAX_NODES {
            return Err(EntryError::TooMany);
        }
        let id = NodeId(u32::try_from(self.nodes.len()).map_err(|_| EntryError::TooMany)?);
        self.nodes.push(node);
        self.link(parent, name, id, layer)?;
        Ok(id)
    }

    fn link(
        &mut self,
        parent: NodeId,
        name: &[u8],
        node: NodeId,
        layer: u32,
    ) -> Result<(), EntryError> {
        self.entries_mut(parent)
            .ok_or(EntryError::NotADirectory)?
            .insert(name.to_vec(), Link { node, layer });
        Ok(())
    }

    /// Finds the directory that `path`'s last name belongs into, as `chroot` would: symbolic links are followed, an
    /// absolute one from the root of the image. Missing directories are made if `create` says for which layer.
    fn resolve_parent(
        &mut self,
        path: &EntryPath,
        create: Option<u32>,
    ) -> Result<Place, EntryError> {
        // The directories walked so far, and the names still to walk, the next one last.
        let mut stack = vec![Self::ROOT];
        let mut todo: Vec<Vec<u8>> = path.parents().rev().map(<[u8]>::to_vec).collect();
        let mut links = 0;
        while let Some(name) = todo.pop() {
            let here = *stack.last().ok_or(EntryError::LeavesRoot)?;
            if name == b".." {
                stack.pop();
                if stack.is_empty() {
                    return Err(EntryError::LeavesRoot);
                }
                continue;
            }
            let next = match (self.child(here, &name), create) {
                (Some(next), _) => next,
                (None, Some(layer)) => self.insert(here, &name, implicit_directory(), layer)?,
                (None, None) => return Err(EntryError::NotADirectory),
            };
            match &self.node(next).kind {
                Kind::Directory(_) => stack.push(next),
                Kind::Symlink(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(EntryError::LinkLoop);
                    }
                    if target.starts_with(b"/") {
                        stack.truncate(1);
                    }
                    let names = target.split(|byte| *byte == b'/');
                    let names = names.filter(|name| !name.is_empty() && *name != b".");
                    todo.extend(names.rev().map(<[u8]>::to_vec));
                }
                _ => return Err(EntryError::NotADirectory),
            }
            if stack.len() > MAX_DEPTH {
                return Err(EntryError::TooDeep);
            }
        }
        Ok(Place {
            parent: *stack.last().ok_or(EntryError::LeavesRoot)?,
            depth: stack.len() - 1,
        })
    }
}

/// A directory that no layer describes, only uses.
fn implicit_directory() -> Node {
    Node {
        metadata: Metadata::fixed(0o755),
        kind: Kind::Directory(BTreeMap::new()),
    }
}
