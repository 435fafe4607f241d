// SPDX-License-Identifier: Apache-2.0
//! Python programs from PyPI, each set in an environment of its own.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::cache::{self, Key};
use crate::process;

/// Installs pinned packages (`NAME==VERSION`) and returns the folder of their programs.
pub(crate) fn programs(name: &str, title: &str, packages: &[&str]) -> Result<PathBuf> {
    let key = Key::default().text(&packages.join(" "));
    let folder = cache::ensure(name, key, title, |folder, step| {
        // Debian's interpreter by its path: another one may come first in PATH.
        let mut create = Command::new("/usr/bin/python3");
        process::run(step, create.args(["-m", "venv"]).arg(folder))?;
        let mut install = Command::new(folder.join("bin/pip"));
        process::run(step, install.args(["install", "--quiet"]).args(packages))
    })?;
    Ok(folder.join("bin"))
}
