// SPDX-License-Identifier: Apache-2.0
//! Guest memory: one sealed memfd, mapped shared, so that a vhost-user backend maps the same pages.

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use vm_memory::{FileOffset, GuestAddress, GuestMemoryMmap};

use crate::exit::VmmError;
use crate::machine::layout;

/// Name of the memfd, as /proc shows it.
pub const MEMFD_NAME: &CStr = c"nexus-guest-memory";

/// Smallest memory in MiB: the kernel is linked to 16 MiB and needs about as much to start.
pub const MIN_MIB: u64 = 32;

/// Largest memory in MiB; a sanity bound, far above what a function gets.
pub const MAX_MIB: u64 = 512 * 1024;

/// The guest's memory as the VMM sees it.
pub type Memory = GuestMemoryMmap<()>;

/// Guest memory and the file behind it.
#[derive(Debug)]
pub struct GuestRam {
    /// The mapping.
    pub memory: Memory,
    file: Arc<File>,
    size: u64,
}

impl GuestRam {
    /// Reserves `mib` MiB of guest memory. Nothing is allocated until it is touched.
    ///
    /// # Errors
    /// [`VmmError::BadConfiguration`] if the size is out of range, [`VmmError::NoMemory`] if the host refuses.
    pub fn new(mib: u64) -> Result<Self, VmmError> {
        if !(MIN_MIB..=MAX_MIB).contains(&mib) {
            return Err(VmmError::BadConfiguration(format!(
                "--memory {mib}: must be {MIN_MIB} to {MAX_MIB} MiB"
            )));
        }
        let size = mib << 20;
        let refused = |why: String| VmmError::NoMemory { mib, why };
        let file = Arc::new(File::from(
            sealed_memfd(size).map_err(|e| refused(e.to_string()))?,
        ));
        let mut offset = 0;
        let mut ranges = Vec::new();
        for (start, length) in layout::ram_regions(size) {
            let bytes = usize::try_from(length).map_err(|e| refused(e.to_string()))?;
            ranges.push((
                GuestAddress(start),
                bytes,
                Some(FileOffset::from_arc(file.clone(), offset)),
            ));
            offset += length;
        }
        let memory = Memory::from_ranges_with_files(ranges).map_err(|e| refused(e.to_string()))?;
        Ok(Self { memory, file, size })
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes that the host has really allocated for the guest.
    pub fn resident(&self) -> std::io::Result<u64> {
        use std::os::unix::fs::MetadataExt;
        Ok(self.file.metadata()?.blocks() * 512)
    }
}

/// A memfd whose size is fixed for ever: a backend that maps it need not fear SIGBUS by a VMM that shrinks it.
fn sealed_memfd(size: u64) -> nix::Result<OwnedFd> {
    let fd = memfd_create(
        MEMFD_NAME,
        MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING,
    )?;
    let length = i64::try_from(size).map_err(|_| nix::Error::EFBIG)?;
    nix::unistd::ftruncate(&fd, length)?;
    fcntl(
        &fd,
        FcntlArg::F_ADD_SEALS(
            SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL,
        ),
    )?;
    debug_assert!(fd.as_raw_fd() >= 0);
    Ok(fd)
}

#[cfg(test)]
mod tests {
    use vm_memory::{Bytes, GuestMemoryBackend, GuestMemoryRegion};

    use super::*;

    #[test]
    fn small_memory_is_one_sealed_region() -> Result<(), Box<dyn std::error::Error>> {
        let ram = GuestRam::new(MIN_MIB)?;
        assert_eq!(ram.memory.num_regions(), 1);
        assert_eq!(ram.resident()?, 0);
        ram.memory.write_obj(1_u32, GuestAddress(0x1000))?;
        assert_eq!(ram.resident()?, 4096);
        assert!(ram.file.set_len(0).is_err(), "the size is sealed");
        Ok(())
    }

    #[test]
    fn memory_above_the_gap_continues_the_file() -> Result<(), VmmError> {
        let ram = GuestRam::new(4096)?;
        let regions: Vec<_> = ram
            .memory
            .iter()
            .map(|r| {
                (
                    r.start_addr().0,
                    r.len(),
                    r.file_offset().map(FileOffset::start),
                )
            })
            .collect();
        assert_eq!(
            regions,
            [(0, 3 << 30, Some(0)), (4 << 30, 1 << 30, Some(3 << 30))]
        );
        Ok(())
    }

    #[test]
    fn sizes_out_of_range_are_refused() {
        for mib in [0, MIN_MIB - 1, MAX_MIB + 1, u64::MAX] {
            assert!(matches!(
                GuestRam::new(mib),
                Err(VmmError::BadConfiguration(_))
            ));
        }
    }
}
