// SPDX-License-Identifier: Apache-2.0
//! Requests of virtio-blk (virtio 1.3, section 5.2.6): taken apart, checked, served from a file.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use virtio_bindings::virtio_blk::{
    VIRTIO_BLK_ID_BYTES, VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_UNSUPP,
    VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_IN,
};
use virtio_queue::DescriptorChain;
use virtio_queue::desc::split::Descriptor;
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, VolatileSlice};

use crate::memory::Memory;

/// Bytes of a sector, the unit of the protocol.
pub(crate) const SECTOR: u64 = 512;

/// Bytes of the header: u32 type, u32 reserved, u64 sector.
const HEADER: usize = 16;

/// Most pieces that one preadv takes (UIO_MAXIOV of Linux).
const IOV_MAX: usize = 1024;

/// The image behind a disk.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) file: File,
    /// Whole sectors of the file.
    pub(crate) sectors: u64,
    /// What GET_ID answers.
    pub(crate) id: [u8; VIRTIO_BLK_ID_BYTES as usize],
}

/// Serves one request. Returns the bytes written into guest memory, the status byte among them.
///
/// A chain that is no request at all (no header, no place for the status) gets no answer: 0.
pub(crate) fn serve(image: &Image, memory: &Memory, chain: DescriptorChain<&Memory>) -> u32 {
    let Some(request) = Request::parse(memory, chain) else {
        return 0;
    };
    let (status, written) = match request.execute(image, memory) {
        Ok(written) => (VIRTIO_BLK_S_OK, written),
        Err(status) => (status, 0),
    };
    let byte = u8::try_from(status).unwrap_or(u8::MAX);
    match memory.write_obj(byte, request.status) {
        Ok(()) => written.saturating_add(1),
        Err(_) => 0,
    }
}

/// A request as the driver laid it out: header, data, status.
struct Request {
    kind: u32,
    sector: u64,
    data: Vec<Descriptor>,
    status: GuestAddress,
}

impl Request {
    fn parse(memory: &Memory, mut chain: DescriptorChain<&Memory>) -> Option<Self> {
        let header = chain.next()?;
        if header.is_write_only() || (header.len() as usize) < HEADER {
            return None;
        }
        let kind: u32 = memory.read_obj(header.addr()).ok()?;
        let sector: u64 = memory
            .read_obj(GuestAddress(header.addr().0.checked_add(8)?))
            .ok()?;
        let mut data: Vec<Descriptor> = chain.collect();
        let status = data.pop()?;
        if !status.is_write_only() || status.len() == 0 {
            return None;
        }
        Some(Self {
            kind: u32::from_le(kind),
            sector: u64::from_le(sector),
            data,
            status: status.addr(),
        })
    }

    /// Returns the data bytes written, or the status that says why not.
    fn execute(&self, image: &Image, memory: &Memory) -> Result<u32, u32> {
        match self.kind {
            VIRTIO_BLK_T_IN => self.read(image, memory),
            VIRTIO_BLK_T_GET_ID => self.identify(image, memory),
            _ => Err(VIRTIO_BLK_S_UNSUPP),
        }
    }

    fn read(&self, image: &Image, memory: &Memory) -> Result<u32, u32> {
        let length: u64 = self.data.iter().map(|d| u64::from(d.len())).sum();
        let end = self.sector.checked_add(length.div_ceil(SECTOR));
        let in_range = end.is_some_and(|end| end <= image.sectors);
        if length == 0 || !length.is_multiple_of(SECTOR) || !in_range {
            return Err(VIRTIO_BLK_S_IOERR);
        }
        let mut slices = Vec::with_capacity(self.data.len());
        for descriptor in &self.data {
            if !descriptor.is_write_only() {
                return Err(VIRTIO_BLK_S_IOERR);
            }
            for slice in memory.get_slices(descriptor.addr(), descriptor.len() as usize) {
                slices.push(slice.map_err(|_| VIRTIO_BLK_S_IOERR)?);
            }
        }
        read_at(&image.file, self.sector * SECTOR, &slices).map_err(|error| {
            tracing::warn!("disk read at sector {} failed: {error}", self.sector);
            VIRTIO_BLK_S_IOERR
        })?;
        u32::try_from(length).map_err(|_| VIRTIO_BLK_S_IOERR)
    }

    fn identify(&self, image: &Image, memory: &Memory) -> Result<u32, u32> {
        let [descriptor] = self.data.as_slice() else {
            return Err(VIRTIO_BLK_S_IOERR);
        };
        if !descriptor.is_write_only() || descriptor.len() < VIRTIO_BLK_ID_BYTES {
            return Err(VIRTIO_BLK_S_IOERR);
        }
        memory
            .write_slice(&image.id, descriptor.addr())
            .map_err(|_| VIRTIO_BLK_S_IOERR)?;
        Ok(VIRTIO_BLK_ID_BYTES)
    }
}

/// Fills all `slices` from the file, straight into guest memory.
fn read_at(file: &File, offset: u64, slices: &[VolatileSlice<'_>]) -> io::Result<()> {
    let mut offset = offset;
    for batch in slices.chunks(IOV_MAX) {
        let guards: Vec<_> = batch.iter().map(VolatileSlice::ptr_guard_mut).collect();
        let mut pieces: Vec<libc::iovec> = guards
            .iter()
            .map(|guard| libc::iovec {
                iov_base: guard.as_ptr().cast(),
                iov_len: guard.len(),
            })
            .collect();
        let mut left = pieces.as_mut_slice();
        while !left.is_empty() {
            let count = read_pieces(file, offset, left)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            offset += count as u64;
            left = advance(left, count);
        }
    }
    Ok(())
}

/// One preadv; may read less than asked for.
fn read_pieces(file: &File, offset: u64, pieces: &[libc::iovec]) -> io::Result<usize> {
    let position = i64::try_from(offset).map_err(io::Error::other)?;
    let count = i32::try_from(pieces.len()).map_err(io::Error::other)?;
    loop {
        // SAFETY: each piece lies within a volatile slice of guest memory whose guard the caller holds; guest memory is
        // shared with the guest anyway, so no reference into it exists that the kernel's writes could invalidate.
        let read = unsafe { libc::preadv(file.as_raw_fd(), pieces.as_ptr(), count, position) };
        if let Ok(read) = usize::try_from(read) {
            return Ok(read);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Drops the first `count` bytes.
fn advance(pieces: &mut [libc::iovec], count: usize) -> &mut [libc::iovec] {
    let mut count = count;
    let mut done = 0;
    for piece in pieces.iter_mut() {
        if count < piece.iov_len {
            piece.iov_base = piece.iov_base.cast::<u8>().wrapping_add(count).cast();
            piece.iov_len -= count;
            break;
        }
        count -= piece.iov_len;
        done += 1;
    }
    &mut pieces[done..]
}
