// SPDX-License-Identifier: Apache-2.0
//! The memory table: where the guest's memory is mapped here.

use std::fs::File;
use std::io;
use std::sync::Arc;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use vhost::vhost_user::message::VhostUserMemoryRegion;
use vm_memory::{FileOffset, GuestAddress, GuestRegionMmap, MmapRegion};

use crate::sockets::GuestMemory;

/// Why the memory of a VM cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum MemoryError {
    #[error(
        "guest memory at {address:#x} cannot be sealed against shrinking ({source}); make it a memfd with MFD_ALLOW_SEALING"
    )]
    Seal { address: u64, source: io::Error },
    #[error("guest memory at {address:#x}, {size} bytes, cannot be mapped: {reason}")]
    Map {
        address: u64,
        size: u64,
        reason: String,
    },
    #[error("guest memory regions are not usable together: {0}")]
    Regions(String),
}

/// The guest's memory, and how the VMM's addresses translate to the guest's.
#[derive(Debug)]
pub(super) struct MemoryTable {
    pub(super) memory: Arc<GuestMemory>,
    regions: Vec<Region>,
}

#[derive(Debug)]
struct Region {
    user: u64,
    size: u64,
    guest: u64,
}

impl MemoryTable {
    /// Maps the regions that the VMM describes.
    pub(super) fn map(
        table: &[VhostUserMemoryRegion],
        files: Vec<File>,
    ) -> Result<Self, MemoryError> {
        let mut regions = Vec::new();
        let mut mappings = Vec::new();
        for (region, file) in table.iter().zip(files) {
            // The descriptor is packed, so its fields are copied.
            let (guest, user) = (region.guest_phys_addr, region.user_addr);
            let (size, offset) = (region.memory_size, region.mmap_offset);
            regions.push(Region { user, size, guest });
            mappings.push(map_region(guest, size, FileOffset::new(file, offset))?);
        }
        mappings.sort_by_key(|mapping| vm_memory::GuestMemoryRegion::start_addr(mapping).0);
        let memory = GuestMemory::from_regions(mappings)
            .map_err(|error| MemoryError::Regions(error.to_string()))?;
        let memory = Arc::new(memory);
        Ok(Self { memory, regions })
    }

    /// The guest-physical address of what the VMM has at `user`.
    pub(super) fn guest_address(&self, user: u64) -> Option<GuestAddress> {
        self.regions.iter().find_map(|region| {
            let offset = user.checked_sub(region.user)?;
            (offset < region.size).then(|| region.guest.checked_add(offset).map(GuestAddress))?
        })
    }
}

fn map_region(
    address: u64,
    size: u64,
    file: FileOffset,
) -> Result<GuestRegionMmap<()>, MemoryError> {
    seal(file.file()).map_err(|source| MemoryError::Seal { address, source })?;
    let failed = |reason: String| MemoryError::Map {
        address,
        size,
        reason,
    };
    let length = usize::try_from(size).map_err(|_| failed("too large".into()))?;
    let mapping = MmapRegion::from_file(file, length).map_err(|error| failed(error.to_string()))?;
    GuestRegionMmap::new(mapping, GuestAddress(address))
        .ok_or_else(|| failed("its end exceeds the address space".into()))
}

/// Makes sure that the file never gets shorter. Access to a mapping behind the end of its file raises SIGBUS
/// (mmap(2)), by which a VMM could kill this process and with it every other VM.
fn seal(file: &File) -> io::Result<()> {
    match fcntl(file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK)) {
        Ok(_) => Ok(()),
        // No seal can be added, but the one that counts may be there already.
        Err(error) => match fcntl(file, FcntlArg::F_GET_SEALS) {
            Ok(seals) if SealFlag::from_bits_truncate(seals).contains(SealFlag::F_SEAL_SHRINK) => {
                Ok(())
            }
            _ => Err(error.into()),
        },
    }
}
