// SPDX-License-Identifier: Apache-2.0
//! What is made of this repository.

pub(crate) mod agent;
pub(crate) mod guest;
pub(crate) mod host;
pub(crate) mod image;

use std::path::PathBuf;

use anyhow::Result;

use crate::setup::{
    debian,
    kernel::{Flavour, Kernel},
};

/// What a run in a guest needs.
pub(crate) struct Built {
    /// Uncompressed guest kernel.
    pub(crate) kernel: PathBuf,
    /// Root file system of the thumbnail function.
    pub(crate) thumbnail: PathBuf,
    /// Root file system of the echo function.
    pub(crate) echo: PathBuf,
}

/// Sets up and builds all parts: packages, kernel, host programs, guest files, images.
pub(crate) fn everything(flavour: Flavour) -> Result<Built> {
    debian::packages(debian::Purpose::Build)?;
    let kernel = Kernel::ensure(flavour)?;
    host::programs()?;
    let guest = guest::files(&kernel)?;
    let root = |name| image::root(name, &image::oci(name)?, &guest);
    let built = Built {
        kernel: kernel.image(),
        thumbnail: root("thumbnail")?,
        echo: root("echo")?,
    };
    let agent = agent::image(&kernel)?;
    image::root("agent", &agent, &guest)?;
    Ok(built)
}
