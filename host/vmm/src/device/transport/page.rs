// SPDX-License-Identifier: Apache-2.0
//! Register pages: the memory in which a guest reads its devices' registers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use vm_memory::{Bytes, MmapRegion, VolatileMemory};

use crate::exit::VmmError;
use crate::machine::layout;

/// Bytes of a page.
pub(crate) const PAGE: usize = 4096;

const _: () = assert!(layout::VIRTIO_STRIDE == PAGE as u64);

/// The pages of all devices, one run of memory and one memslot.
#[derive(Clone, Debug)]
pub(crate) struct RegisterPages(Arc<MmapRegion>);

impl RegisterPages {
    /// Zeroed pages for `devices` devices, at least one.
    pub(crate) fn new(devices: usize) -> Result<Self, VmmError> {
        let region = MmapRegion::new(devices.max(1) * PAGE)
            .map_err(|e| VmmError::system("map the register pages")(std::io::Error::other(e)))?;
        Ok(Self(Arc::new(region)))
    }

    /// Where the pages are in this process.
    pub(crate) fn host_address(&self) -> u64 {
        self.0.as_ptr() as u64
    }

    /// Size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.0.size() as u64
    }

    /// The page of device `index`.
    pub(crate) fn page(&self, index: usize) -> RegisterPage {
        RegisterPage {
            pages: self.clone(),
            start: index * PAGE,
        }
    }
}

/// One device's page.
#[derive(Debug)]
pub(crate) struct RegisterPage {
    pages: RegisterPages,
    start: usize,
}

impl RegisterPage {
    /// What the guest reads at `offset` from now on. An offset outside the page is a bug and changes nothing.
    pub(crate) fn set(&self, offset: usize, value: u32) {
        debug_assert!(offset + 4 <= PAGE);
        let region = &self.pages.0;
        if let Ok(slice) = region.get_slice(self.start, PAGE) {
            slice.store(value.to_le(), offset, Ordering::Release).ok();
        }
    }

    /// What the guest reads at `offset`.
    pub(crate) fn get(&self, offset: usize) -> u32 {
        let region = &self.pages.0;
        region
            .get_slice(self.start, PAGE)
            .and_then(|slice| slice.load::<u32>(offset, Ordering::Acquire))
            .map_or(0, u32::from_le)
    }

    /// Fills the configuration space; what does not fit is cut off.
    pub(crate) fn set_config(&self, config: &[u8]) {
        let offset = super::register::CONFIG;
        let room = config.len().min(PAGE - offset);
        let region = &self.pages.0;
        if let Ok(slice) = region.get_slice(self.start + offset, room) {
            slice.copy_from(&config[..room]);
        }
    }
}
