// SPDX-License-Identifier: Apache-2.0
//! Decides where everything goes, before the first byte is written.

use std::collections::{BTreeSet, HashMap};

use super::dirent::{self, Dirent};
use super::format::{BLOCK, INODE_SIZE, NID_UNIT, dirent_type};
use super::xattr;
use crate::error::RootfsError;
use crate::tree::{Content, Kind, NodeId, Tree};

/// An inode's place, and what its on-disk form needs beside the node.
#[derive(Debug)]
pub(super) struct Inode {
    pub(super) node: NodeId,
    /// Number of names, with `.` and `..` for directories.
    pub(super) nlink: u32,
    /// Size of the content in bytes.
    pub(super) size: u64,
    pub(super) xattrs: Vec<u8>,
    /// Byte offset of the inode in the file system.
    pub(super) offset: u64,
    /// Whether the content lies behind the inode and its attributes.
    pub(super) inline: bool,
    /// First block of the content, unless it is inline or empty.
    pub(super) data_block: u32,
    /// Index of the directory that `..` names; for directories only.
    parent: usize,
}

impl Inode {
    fn nid(&self) -> u64 {
        self.offset / NID_UNIT
    }

    /// `i_xattr_icount`: 0 without attributes, else words behind the header, plus one.
    pub(super) fn xattr_count(&self) -> u16 {
        match self.xattrs.len() {
            0 => 0,
            // `xattr::encode` limits the length.
            length => u16::try_from((length - 12) / 4 + 1).unwrap_or(u16::MAX),
        }
    }

    /// Byte offset of the content.
    pub(super) fn content_offset(&self) -> u64 {
        if self.inline {
            self.offset + INODE_SIZE + self.xattrs.len() as u64
        } else {
            u64::from(self.data_block) * BLOCK
        }
    }
}

/// A file's content still to be copied from a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Copy {
    pub(crate) layer: u32,
    pub(crate) entry: u32,
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

/// Where everything goes.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(super) tree: &'a Tree,
    /// The root first, then depth first by name.
    pub(super) inodes: Vec<Inode>,
    index_of: HashMap<NodeId, usize>,
    blocks: u32,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(tree: &'a Tree) -> Result<Self, RootfsError> {
        let mut plan = Self {
            tree,
            inodes: Vec::new(),
            index_of: HashMap::new(),
            blocks: 0,
        };
        plan.collect(Tree::ROOT, 0)?;
        let metadata_blocks = plan.place_inodes();
        plan.place_data(metadata_blocks)?;
        Ok(plan)
    }

    /// Size of the whole file system in bytes.
    pub(crate) fn size(&self) -> u64 {
        u64::from(self.blocks) * BLOCK
    }

    pub(super) fn blocks(&self) -> u32 {
        self.blocks
    }

    /// Number of inodes.
    pub(crate) fn inodes(&self) -> u64 {
        self.inodes.len() as u64
    }

    pub(super) fn root_nid(&self) -> u64 {
        self.inodes[0].nid()
    }

    /// What has to be copied, in the order in which the layers are read.
    pub(crate) fn copies(&self) -> Vec<Copy> {
        let mut copies: Vec<Copy> = self
            .inodes
            .iter()
            .filter_map(|inode| match &self.tree.node(inode.node).kind {
                Kind::File {
                    size: 1..,
                    content: Content::Entry { layer, entry },
                } => Some(Copy {
                    layer: *layer,
                    entry: *entry,
                    offset: inode.content_offset(),
                    size: inode.size,
                }),
                _ => None,
            })
            .collect();
        copies.sort_unstable();
        copies
    }

    /// A directory's on-disk content.
    pub(super) fn directory(&self, index: usize) -> Vec<u8> {
        let inode = &self.inodes[index];
        let dirent = |name, index: usize| Dirent {
            name,
            nid: self.inodes[index].nid(),
            file_type: dirent_type(self.tree.node(self.inodes[index].node)),
        };
        let mut entries = vec![dirent(b".", index), dirent(b"..", inode.parent)];
        entries.extend(
            self.tree
                .names(inode.node)
                .map(|(name, node)| dirent(name, self.index_of[&node])),
        );
        entries.sort_unstable_by_key(|entry| entry.name);
        dirent::encode(&entries)
    }

    /// Lists the reachable nodes. The tree bounds the depth of the recursion.
    fn collect(&mut self, node: NodeId, parent: usize) -> Result<(), RootfsError> {
        if let Some(index) = self.index_of.get(&node) {
            self.inodes[*index].nlink += 1;
            return Ok(());
        }
        let tree = self.tree;
        let index = self.inodes.len();
        let xattrs = xattr::encode(&tree.node(node).metadata.xattrs).ok_or_else(|| {
            RootfsError::Format("a file has extended attributes of more than 64 KiB".to_owned())
        })?;
        self.index_of.insert(node, index);
        self.inodes.push(Inode {
            node,
            nlink: 1,
            size: content_size(tree, node),
            xattrs,
            offset: 0,
            inline: false,
            data_block: 0,
            parent,
        });
        if tree.is_directory(node) {
            self.inodes[index].nlink = 2;
            for (_, child) in tree.names(node) {
                self.collect(child, index)?;
                if tree.is_directory(child) {
                    self.inodes[index].nlink += 1;
                }
            }
        }
        Ok(())
    }

    /// Gives the inodes their places, the root the first one; returns the first block behind them.
    fn place_inodes(&mut self) -> u64 {
        let mut slots = Slots {
            next_block: 1,
            free: BTreeSet::new(),
        };
        for inode in &mut self.inodes {
            let bare = INODE_SIZE + inode.xattrs.len() as u64;
            inode.inline = inode.size > 0 && inode.size <= BLOCK.saturating_sub(bare);
            let size = if inode.inline {
                bare + inode.size
            } else {
                bare
            };
            inode.offset = slots.take(size);
        }
        slots.next_block
    }

    /// Gives contents that are not inline their blocks.
    fn place_data(&mut self, first: u64) -> Result<(), RootfsError> {
        let tree = self.tree;
        let mut order: Vec<usize> = (0..self.inodes.len())
            .filter(|index| self.inodes[*index].size > 0 && !self.inodes[*index].inline)
            .collect();
        // What is in memory comes first, then files in the order of the layers: data is written sequentially, and
        // read together with what was packed together.
        order.sort_by_key(|index| match &tree.node(self.inodes[*index].node).kind {
            Kind::File {
                content: Content::Entry { layer, entry },
                ..
            } => Some((*layer, *entry)),
            _ => None,
        });
        let too_large = || RootfsError::Format("it is larger than 2^32 blocks, 16 TiB".to_owned());
        let mut next = first;
        for index in order {
            let inode = &mut self.inodes[index];
            inode.data_block = u32::try_from(next).map_err(|_| too_large())?;
            next = next
                .checked_add(inode.size.div_ceil(BLOCK))
                .ok_or_else(too_large)?;
        }
        self.blocks = u32::try_from(next).map_err(|_| too_large())?;
        Ok(())
    }
}

fn content_size(tree: &Tree, node: NodeId) -> u64 {
    match &tree.node(node).kind {
        Kind::Directory(entries) => {
            let dots: [&[u8]; 2] = [b".", b".."];
            let mut names: Vec<&[u8]> = entries.keys().map(Vec::as_slice).chain(dots).collect();
            names.sort_unstable();
            dirent::size(names.into_iter())
        }
        Kind::File { size, .. } => *size,
        Kind::Symlink(target) => target.len() as u64,
        Kind::BlockDevice { .. } | Kind::CharDevice { .. } | Kind::Fifo => 0,
    }
}

/// Room for inodes: none crosses a block boundary, unless its attributes alone exceed a block.
struct Slots {
    next_block: u64,
    /// Free bytes at the end of a block, and the block.
    free: BTreeSet<(u64, u64)>,
}

impl Slots {
    /// Takes `size` bytes from the fullest block that has them; returns their offset.
    fn take(&mut self, size: u64) -> u64 {
        let size = size.next_multiple_of(NID_UNIT);
        let best = self.free.range((size, 0)..).next().copied();
        let (free, block) = if let Some(best) = best {
            self.free.remove(&best);
            best
        } else {
            let block = self.next_block;
            self.next_block += size.div_ceil(BLOCK);
            (BLOCK.max(size), block)
        };
        let left = free - size;
        if left >= INODE_SIZE {
            self.free.insert((left, block));
        }
        block * BLOCK + BLOCK.max(size) - free
    }
}
