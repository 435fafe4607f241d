// SPDX-License-Identifier: Apache-2.0
//! Where things lie: in the checkout, in its `target` folder, and in the cache outside of it.

use std::env;
use std::path::{Path, PathBuf};

/// The checkout's top folder.
pub(crate) fn repository() -> PathBuf {
    // Cargo says at run time where it runs from; a target folder that several checkouts share may hold a program that
    // was compiled in another one.
    let manifest = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    // The manifest lies in tools/xtask, two levels below the top.
    manifest
        .ancestors()
        .nth(2)
        .map_or_else(|| manifest.clone(), Path::to_path_buf)
}

/// Cargo's target folder of the workspace.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from)
}

/// Host programs as they run in the lab and on a developer's machine.
pub(crate) fn host_programs() -> PathBuf {
    target().join("lab")
}

/// What goes into a guest beside its image: init, nexus.ko, the preload library.
pub(crate) fn guest_files() -> PathBuf {
    target().join("nexus/guest")
}

/// Function images and root file systems made for tests and the demo.
pub(crate) fn images() -> PathBuf {
    target().join("nexus/images")
}

/// What a run of demo, tests or benchmarks leaves behind; shared with the lab.
pub(crate) fn runs() -> PathBuf {
    target().join("nexus/runs")
}

/// The folder of slow results, outside the checkout: `$NEXUS_CACHE`, else `$XDG_CACHE_HOME/nexus`, else `~/.cache/nexus`.
pub(crate) fn cache() -> PathBuf {
    if let Some(cache) = env::var_os("NEXUS_CACHE") {
        return PathBuf::from(cache);
    }
    let home = env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
    env::var_os("XDG_CACHE_HOME")
        .map_or_else(|| home.join(".cache"), PathBuf::from)
        .join("nexus")
}
