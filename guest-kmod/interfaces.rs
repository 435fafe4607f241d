// SPDX-License-Identifier: GPL-2.0-only
//! What programs see of the network when they look for it: `ffi/interface.c`.

use kernel::prelude::*;

use crate::ffi::raw;

/// The answers to who asks for interfaces, addresses and routes.
pub(crate) struct Interfaces(());

impl Interfaces {
    /// Answers from now on, and shows loopback. What a device adds comes with the device.
    pub(crate) fn register() -> Result<Self> {
        // SAFETY: No requirements.
        kernel::error::to_result(unsafe { raw::nexus_interfaces_init() })?;
        Ok(Self(()))
    }
}

impl Drop for Interfaces {
    fn drop(&mut self) {
        // SAFETY: They were registered, and the device's interface is gone.
        unsafe { raw::nexus_interfaces_exit() }
    }
}
