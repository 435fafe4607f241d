// SPDX-License-Identifier: Apache-2.0
//! Patches of other people's sources.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;
use crate::step::Step;

/// Applies the patches of a folder in the order of their names.
///
/// # Errors
/// If one does not apply exactly.
pub(crate) fn apply(patches: &Path, tree: &Path, step: &Step) -> Result<()> {
    let mut files = fs::read_dir(patches)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect()
        })
        .map(|files: Vec<PathBuf>| files)
        .with_context(|| format!("cannot list {}", patches.display()))?;
    files.sort();
    for file in files {
        let mut patch = Command::new("patch");
        patch.arg("-d").arg(tree);
        patch.args(["-p1", "--fuzz=0", "--no-backup-if-mismatch", "-i"]);
        process::run(step, patch.arg(&file))?;
    }
    Ok(())
}
