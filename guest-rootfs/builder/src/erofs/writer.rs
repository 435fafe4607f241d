// SPDX-License-Identifier: Apache-2.0
//! Writes what was planned, to a temporary file that gets its name when it is complete.

use std::fs::{File, Permissions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use tempfile::NamedTempFile;

use super::format::{self, BLOCK};
use super::plan::{Copy, Plan};
use crate::error::RootfsError;
use crate::image::Layer;
use crate::progress::Progress;
use crate::tree::{Content, Kind};

const BUFFER: usize = 256 << 10;

/// A root file system that is being written. Dropped before [`Writer::finish`], it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Writer {
    file: NamedTempFile,
    output: PathBuf,
    size: u64,
}

impl Writer {
    /// Reserves the space beside `output`, so that a full disk shows now.
    pub(crate) fn create(output: &Path, size: u64) -> Result<Self, RootfsError> {
        let folder = match output.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let file = tempfile::Builder::new()
            .prefix(".nexus-rootfs-")
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(folder)
            .map_err(RootfsError::io("create a file in", folder))?;
        let writer = Self {
            file,
            output: output.to_owned(),
            size,
        };
        let length =
            i64::try_from(size).map_err(|_| writer.error(ErrorKind::StorageFull.into()))?;
        match fallocate(writer.as_file(), FallocateFlags::empty(), 0, length) {
            // Not every file system can reserve.
            Err(Errno::EOPNOTSUPP) => writer.as_file().set_len(size),
            result => result.map_err(io::Error::from),
        }
        .map_err(|error| writer.error(error))?;
        Ok(writer)
    }

    fn as_file(&self) -> &File {
        self.file.as_file()
    }

    fn error(&self, source: io::Error) -> RootfsError {
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => RootfsError::NoSpace {
                path: self.output.clone(),
                needed: self.size,
            },
            _ => RootfsError::io("write", &self.output)(source),
        }
    }

    fn write(&self, bytes: &[u8], offset: u64) -> Result<(), RootfsError> {
        self.as_file()
            .write_all_at(bytes, offset)
            .map_err(|error| self.error(error))
    }

    /// Writes the superblock, the inodes, and every content that is not in a layer.
    pub(crate) fn write_metadata(
        &self,
        plan: &Plan<'_>,
        uuid: &[u8; 16],
    ) -> Result<(), RootfsError> {
        // The root is placed first, in block 1.
        let root_nid = u16::try_from(plan.root_nid())
            .map_err(|_| RootfsError::Format("its root directory is misplaced".to_owned()))?;
        let superblock = format::superblock(plan.blocks(), plan.inodes(), root_nid, uuid);
        self.write(&superblock, 0)?;
        for (index, inode) in plan.inodes.iter().enumerate() {
            let node = plan.tree.node(inode.node);
            let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let mut bytes = format::inode(node, inode, number).to_vec();
            bytes.extend(&inode.xattrs);
            let directory;
            let content = match &node.kind {
                Kind::Directory(_) => {
                    directory = plan.directory(index);
                    directory.as_slice()
                }
                Kind::Symlink(target) => target,
                Kind::File {
                    content: Content::Bytes(bytes),
                    ..
                } => bytes,
                _ => &[],
            };
            if inode.inline {
                bytes.extend(content);
            } else {
                self.write(content, u64::from(inode.data_block) * BLOCK)?;
            }
            self.write(&bytes, inode.offset)?;
        }
        Ok(())
    }

    /// Copies the contents that `copies` lists from the tar archive of `layer`; all are of this layer, in order.
    pub(crate) fn copy_layer(
        &self,
        tar: &mut dyn Read,
        layer: &Layer,
        copies: &[Copy],
        progress: &dyn Progress,
    ) -> Result<(), RootfsError> {
        let mut copies = copies.iter().peekable();
        let mut buffer = vec![0; BUFFER];
        let mut archive = tar::Archive::new(tar);
        let entries = archive.entries().map_err(|e| layer.unreadable(e))?;
        for (index, entry) in (0u32..).zip(entries) {
            let Some(copy) = copies.peek() else {
                break;
            };
            let mut entry = entry.map_err(|e| layer.unreadable(e))?;
            if copy.entry == index {
                self.copy(&mut entry, layer, copy, &mut buffer)?;
                progress.advance(copy.size);
                copies.next();
            }
        }
        match copies.next() {
            // The layer was whole when it was verified.
            Some(_) => Err(layer.unreadable(ErrorKind::UnexpectedEof.into())),
            None => Ok(()),
        }
    }

    fn copy(
        &self,
        source: &mut impl Read,
        layer: &Layer,
        copy: &Copy,
        buffer: &mut [u8],
    ) -> Result<(), RootfsError> {
        let mut done = 0;
        while done < copy.size {
            let chunk = buffer
                .len()
                .min(usize::try_from(copy.size - done).unwrap_or(usize::MAX));
            let chunk = &mut buffer[..chunk];
            source.read_exact(chunk).map_err(|e| layer.unreadable(e))?;
            self.write(chunk, copy.offset + done)?;
            done += chunk.len() as u64;
        }
        Ok(())
    }

    /// Makes the root durable and gives it its name, in place of a former one.
    pub(crate) fn finish(self) -> Result<(), RootfsError> {
        self.as_file()
            .sync_all()
            .map_err(|error| self.error(error))?;
        let output = self.output;
        self.file
            .persist(&output)
            .map_err(|error| RootfsError::io("write", &output)(error.error))?;
        Ok(())
    }
}
