// SPDX-License-Identifier: Apache-2.0
//! Slow results, kept outside the checkout and keyed by their inputs.
//!
//! An entry is a folder `NAME-KEY`. It is made in place, since some of what it holds remembers its own path, and is valid
//! once its marker file exists: an interrupted attempt is thrown away by the next.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::paths;
use crate::step;

const COMPLETE: &str = ".complete";

/// Hashes inputs into a key.
#[derive(Clone, Default)]
pub(crate) struct Key(Sha256);

impl Key {
    /// Adds a text, such as a version or a recipe.
    pub(crate) fn text(mut self, text: &str) -> Self {
        self.0.update(text.len().to_le_bytes());
        self.0.update(text);
        self
    }

    /// Adds a file's contents, or those of all files in a folder, with their relative paths.
    pub(crate) fn path(mut self, path: &Path) -> Result<Self> {
        let mut files = Vec::new();
        collect(path, &mut files)?;
        files.sort();
        for file in files {
            let name = file
                .strip_prefix(path)
                .unwrap_or(&file)
                .to_string_lossy()
                .into_owned();
            let contents =
                fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            self = self.text(&name);
            self.0.update(contents.len().to_le_bytes());
            self.0.update(&contents);
        }
        Ok(self)
    }

    fn short(self) -> String {
        self.0
            .finalize()
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    for entry in fs::read_dir(path).with_context(|| format!("cannot list {}", path.display()))? {
        let entry = entry?;
        if entry.file_name() != "target" && entry.file_name() != "__pycache__" {
            collect(&entry.path(), files)?;
        }
    }
    Ok(())
}

/// Returns the folder of `name` for these inputs, having `make` fill it first if it does not exist yet.
pub(crate) fn ensure(
    name: &str,
    key: Key,
    title: &str,
    make: impl FnOnce(&Path, &step::Step) -> Result<()>,
) -> Result<PathBuf> {
    let folder = paths::cache().join(format!("{name}-{}", key.short()));
    if folder.join(COMPLETE).exists() {
        step::cached(title);
        return Ok(folder);
    }
    step::run(title, |step| {
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        make(&folder, step)?;
        fs::write(folder.join(COMPLETE), "")?;
        Ok(())
    })?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_inputs_apart() {
        let key = |texts: &[&str]| {
            texts
                .iter()
                .fold(Key::default(), |key, text| key.text(text))
                .short()
        };
        assert_eq!(key(&["a", "b"]), key(&["a", "b"]));
        assert_ne!(key(&["a", "b"]), key(&["ab"]));
        assert_ne!(key(&["a", "b"]), key(&["b", "a"]));
    }

    #[test]
    fn a_changed_file_changes_the_key() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("inner")).unwrap();
        let file = folder.path().join("inner/file");
        fs::write(&file, "one").unwrap();
        let before = Key::default().path(folder.path()).unwrap().short();
        fs::write(&file, "two").unwrap();
        assert_ne!(before, Key::default().path(folder.path()).unwrap().short());
    }
}
