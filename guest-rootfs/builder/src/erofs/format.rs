// SPDX-License-Identifier: Apache-2.0
//! The on-disk structures. Names of fields as in Linux, `fs/erofs/erofs_fs.h`.

use super::plan::Inode;
use crate::tree::{Kind, Node};

/// Block size in bytes: a page, so that a block can be mapped.
pub(super) const BLOCK: u64 = BLOCK_BYTES as u64;
/// The same as a length in memory.
pub(super) const BLOCK_BYTES: usize = 4096;
const BLOCK_BITS: u8 = 12;
/// Inodes are numbered by where they are, in units of this many bytes.
pub(super) const NID_UNIT: u64 = 32;
/// Size of an extended inode, which holds a time and 32-bit owners.
pub(super) const INODE_SIZE: u64 = INODE_BYTES as u64;
const INODE_BYTES: usize = 64;

const SUPER_OFFSET: usize = 1024;
const SUPER_MAGIC: u32 = 0xe0f5_e1e2;
const COMPAT_SB_CHKSUM: u32 = 1;
const COMPAT_MTIME: u32 = 2;
/// `i_format` bit 0: an extended inode; bits 1 to 3: the data layout.
const FORMAT_EXTENDED: u16 = 1;
const LAYOUT_FLAT_PLAIN: u16 = 0;
const LAYOUT_FLAT_INLINE: u16 = 2;

const S_IFIFO: u16 = 0o01_0000;
const S_IFCHR: u16 = 0o02_0000;
const S_IFDIR: u16 = 0o04_0000;
const S_IFBLK: u16 = 0o06_0000;
const S_IFREG: u16 = 0o10_0000;
const S_IFLNK: u16 = 0o12_0000;

/// Block 0: zeroes and the superblock.
pub(super) fn superblock(blocks: u32, inodes: u64, root_nid: u16, uuid: &[u8; 16]) -> Vec<u8> {
    let mut block = vec![0; BLOCK_BYTES];
    let mut field = |offset: usize, bytes: &[u8]| {
        let start = SUPER_OFFSET + offset;
        block[start..start + bytes.len()].copy_from_slice(bytes);
    };
    field(0, &SUPER_MAGIC.to_le_bytes());
    field(8, &(COMPAT_SB_CHKSUM | COMPAT_MTIME).to_le_bytes());
    field(12, &[BLOCK_BITS]);
    field(14, &root_nid.to_le_bytes());
    field(16, &inodes.to_le_bytes());
    // Epoch, metadata and shared attribute addresses stay 0: every inode has its own time, nids count from byte 0.
    field(36, &blocks.to_le_bytes());
    field(48, uuid);
    field(64, b"nexus-root");
    let checksum = crc32c(&block[SUPER_OFFSET..]);
    block[SUPER_OFFSET + 4..SUPER_OFFSET + 8].copy_from_slice(&checksum.to_le_bytes());
    block
}

/// An extended inode.
pub(super) fn inode(node: &Node, placed: &Inode, number: u32) -> [u8; INODE_BYTES] {
    let layout = if placed.inline {
        LAYOUT_FLAT_INLINE
    } else {
        LAYOUT_FLAT_PLAIN
    };
    let (file_type, union) = match node.kind {
        Kind::Directory(_) => (S_IFDIR, placed.data_block),
        Kind::File { .. } => (S_IFREG, placed.data_block),
        Kind::Symlink(_) => (S_IFLNK, placed.data_block),
        Kind::CharDevice { major, minor } => (S_IFCHR, device(major, minor)),
        Kind::BlockDevice { major, minor } => (S_IFBLK, device(major, minor)),
        Kind::Fifo => (S_IFIFO, 0),
    };
    let metadata = &node.metadata;
    let mut bytes = [0; INODE_BYTES];
    let mut field = |offset: usize, value: &[u8]| {
        bytes[offset..offset + value.len()].copy_from_slice(value);
    };
    field(0, &(FORMAT_EXTENDED | layout << 1).to_le_bytes());
    field(2, &placed.xattr_count().to_le_bytes());
    field(4, &(file_type | metadata.mode).to_le_bytes());
    field(8, &placed.size.to_le_bytes());
    field(16, &union.to_le_bytes());
    field(20, &number.to_le_bytes());
    field(24, &metadata.uid.to_le_bytes());
    field(28, &metadata.gid.to_le_bytes());
    field(32, &metadata.mtime.to_le_bytes());
    field(40, &metadata.mtime_nsec.to_le_bytes());
    field(44, &placed.nlink.to_le_bytes());
    bytes
}

/// The type in a directory entry, one of the kernel's `FT_` values.
pub(super) fn dirent_type(node: &Node) -> u8 {
    match node.kind {
        Kind::File { .. } => 1,
        Kind::Directory(_) => 2,
        Kind::CharDevice { .. } => 3,
        Kind::BlockDevice { .. } => 4,
        Kind::Fifo => 5,
        Kind::Symlink(_) => 7,
    }
}

/// A device number as `new_decode_dev` of Linux reads it.
fn device(major: u32, minor: u32) -> u32 {
    minor & 0xff | major << 8 | (minor & !0xff) << 12
}

/// CRC-32C without the final inversion, as the kernel computes it.
fn crc32c(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            crc >> 1 ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 }
        })
    })
}
