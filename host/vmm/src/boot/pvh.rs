// SPDX-License-Identifier: Apache-2.0
//! Loads the kernel and writes what the PVH boot protocol hands to it.

use std::fs::File;
use std::path::Path;

use linux_loader::cmdline::Cmdline;
use linux_loader::configurator::pvh::PvhBootConfigurator;
use linux_loader::configurator::{BootConfigurator, BootParams};
use linux_loader::loader::elf::start_info::{
    XEN_HVM_MEMMAP_TYPE_RAM, XEN_HVM_START_MAGIC_VALUE, hvm_memmap_table_entry, hvm_start_info,
};
use linux_loader::loader::elf::{Elf, PvhBootCapability};
use linux_loader::loader::{KernelLoader, load_cmdline};
use vm_memory::GuestAddress;

use crate::exit::VmmError;
use crate::machine::layout;
use crate::memory::GuestRam;

/// Loads the uncompressed kernel at `path` and returns the address of its PVH entry point.
///
/// # Errors
/// [`VmmError::BadKernel`] if it cannot be read, is no ELF file, has no PVH entry, or does not fit into memory.
pub fn load_kernel(ram: &GuestRam, path: &Path) -> Result<u64, VmmError> {
    let bad = |why: String| VmmError::BadKernel {
        path: path.to_owned(),
        why,
    };
    let mut image =
        File::open(path).map_err(|e| bad(format!("{e}; build it first (guest-kmod says how)")))?;
    let loaded = Elf::load(
        &ram.memory,
        None,
        &mut image,
        Some(GuestAddress(layout::HIGH_MEMORY)),
    )
    .map_err(|e| {
        bad(format!(
            "{e}; an uncompressed `vmlinux` is needed, and memory for all of it"
        ))
    })?;
    match loaded.pvh_boot_cap {
        PvhBootCapability::PvhEntryPresent(entry) => Ok(entry.0),
        _ => Err(bad("it has no PVH entry; build it with CONFIG_PVH=y".into())),
    }
}

/// Writes command line, memory map and start information.
///
/// # Errors
/// [`VmmError::BadConfiguration`] if guest memory has no room, which its smallest size excludes.
pub fn write_start_info(ram: &GuestRam, cmdline: &Cmdline) -> Result<(), VmmError> {
    let no_room = |e: String| VmmError::BadConfiguration(format!("cannot write boot data: {e}"));
    load_cmdline(&ram.memory, GuestAddress(layout::COMMAND_LINE), cmdline)
        .map_err(|e| no_room(e.to_string()))?;
    let map = memory_map(ram.size());
    let info = hvm_start_info {
        magic: XEN_HVM_START_MAGIC_VALUE,
        version: 1,
        cmdline_paddr: layout::COMMAND_LINE,
        memmap_paddr: layout::PVH_MEMORY_MAP,
        memmap_entries: u32::try_from(map.len()).unwrap_or(0),
        ..hvm_start_info::default()
    };
    let mut params = BootParams::new(&info, GuestAddress(layout::PVH_START_INFO));
    params.set_sections(&map, GuestAddress(layout::PVH_MEMORY_MAP));
    PvhBootConfigurator::write_bootparams(&params, &ram.memory).map_err(|e| no_room(e.to_string()))
}

/// Usable memory: all but the MP table and the legacy hole above it.
fn memory_map(size: u64) -> Vec<hvm_memmap_table_entry> {
    let usable = |addr, size| hvm_memmap_table_entry {
        addr,
        size,
        type_: XEN_HVM_MEMMAP_TYPE_RAM,
        reserved: 0,
    };
    let mut map = vec![usable(0, layout::MP_TABLE)];
    for (start, length) in layout::ram_regions(size) {
        let begin = start.max(layout::HIGH_MEMORY);
        map.push(usable(begin, start + length - begin));
    }
    map
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::memory::MIN_MIB;

    #[test]
    fn map_covers_memory_but_the_hole() {
        let map: Vec<_> = memory_map(4 << 30)
            .iter()
            .map(|e| (e.addr, e.size))
            .collect();
        assert_eq!(
            map,
            [
                (0, 0x9_fc00),
                (1 << 20, (3 << 30) - (1 << 20)),
                (4 << 30, 1 << 30)
            ]
        );
    }

    #[test]
    fn a_file_that_is_no_kernel_is_named() -> Result<(), Box<dyn std::error::Error>> {
        let ram = GuestRam::new(MIN_MIB)?;
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(b"#!/bin/sh\n")?;
        let error = load_kernel(&ram, file.path()).err().map(|e| e.to_string());
        let name = file.path().display().to_string();
        assert!(error.is_some_and(|text| text.contains(&name) && text.contains("vmlinux")));
        let missing = load_kernel(&ram, Path::new("/nonexistent/vmlinux"));
        assert!(matches!(missing, Err(VmmError::BadKernel { .. })));
        Ok(())
    }
}
