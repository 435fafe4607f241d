// SPDX-License-Identifier: Apache-2.0
//! Writes a tree as an EROFS file system (Linux: `fs/erofs/erofs_fs.h`, `Documentation/filesystems/erofs.rst`).
//!
//! Uncompressed, and laid out for a guest that maps its files: a file that does not fit beside its inode starts at a
//! block boundary and is contiguous, so that a page of the file is a block of the device. What fits lies in the
//! inode's own block. The same tree gives the same bytes.
//!
//! ```text
//! block 0          superblock, at byte 1024
//! blocks 1 ..      inodes with extended attributes, small directories, small files, symbolic links
//! blocks n ..      large directories, then file data in the order in which the layers are read
//! ```

mod dirent;
mod format;
mod plan;
mod writer;
mod xattr;

#[cfg(test)]
mod tests;

pub(crate) use plan::Plan;
pub(crate) use writer::Writer;
