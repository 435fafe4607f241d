// SPDX-License-Identifier: Apache-2.0
//! npm packages, set in a folder of their own, and the link by which a part of the project finds them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::cache::{self, Key};
use crate::process;

/// The major release of Node that is installed.
pub(crate) fn release() -> Result<u32> {
    let version = process::output(Command::new("node").arg("--version"))?;
    let major = version.trim().trim_start_matches('v').split('.').next();
    let major = major.and_then(|major| major.parse().ok());
    major.with_context(|| format!("node says that it is of version {version:?}"))
}

/// Sees to it that `folder/node_modules` has what the `package.json` there asks for.
pub(crate) fn modules(folder: &Path) -> Result<()> {
    let manifest = folder.join("package.json");
    let key = Key::default().path(&manifest)?;
    let place = cache::ensure(
        "node-tools",
        key,
        "eslint, tsc and prettier",
        |place, step| {
            fs::copy(&manifest, place.join("package.json"))?;
            let mut install = Command::new("npm");
            install
                .current_dir(place)
                .args(["install", "--no-package-lock", "--ignore-scripts"])
                .args(["--no-audit", "--no-fund", "--loglevel=error"]);
            process::run(step, &mut install)
        },
    )?;
    let (link, target) = (folder.join("node_modules"), place.join("node_modules"));
    match fs::read_link(&link) {
        Ok(there) if there == target => return Ok(()),
        Ok(_) => fs::remove_file(&link)?,
        // A folder that somebody made by hand stays.
        Err(_) if link.exists() => return Ok(()),
        Err(_) => {}
    }
    symlink(&target, &link).with_context(|| format!("cannot link {}", link.display()))
}
