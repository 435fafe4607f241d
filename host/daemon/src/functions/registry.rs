// SPDX-License-Identifier: Apache-2.0
//! The deployed functions, one JSON file each under the state folder.
//!
//! A file appears whole or not at all: it is written under another name, synced, then renamed. What a killed daemon left
//! half written has the other name and is removed at the next start.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::name::FunctionName;
use super::spec::Function;
use crate::private;

/// Ending of a file that is not complete.
const PARTIAL: &str = "partial";

/// Why the registry cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A file operation failed.
    #[error("cannot {what} {path}", path = path.display())]
    Io {
        /// The operation.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file does not hold a function.
    #[error("{path} does not hold a function; repair or remove it", path = path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// The deployed functions.
#[derive(Debug)]
pub struct Registry {
    folder: PathBuf,
    functions: Mutex<BTreeMap<FunctionName, Arc<Function>>>,
}

impl Registry {
    /// Reads the functions in `folder`, which is made if missing. A file that holds no function is an error: a function
    /// must not vanish without a word.
    pub fn open(folder: PathBuf) -> Result<Self, RegistryError> {
        private::make_folder(&folder).map_err(failed("create", &folder))?;
        let mut functions = BTreeMap::new();
        for entry in fs::read_dir(&folder).map_err(failed("read", &folder))? {
            let path = entry.map_err(failed("read", &folder))?.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some(PARTIAL) => fs::remove_file(&path).map_err(failed("remove", &path))?,
                Some("json") => {
                    if let Some(name) = path
                        .file_stem()
                        .and_then(|stem| stem.to_str()?.parse().ok())
                    {
                        functions.insert(name, Arc::new(read(&path)?));
                    }
                }
                _ => {}
            }
        }
        Ok(Self {
            folder,
            functions: Mutex::new(functions),
        })
    }

    /// The function called `name`.
    pub fn get(&self, name: &FunctionName) -> Option<Arc<Function>> {
        self.lock().get(name).cloned()
    }

    /// All functions, by name.
    pub fn list(&self) -> Vec<(FunctionName, Arc<Function>)> {
        self.lock()
            .iter()
            .map(|(name, function)| (name.clone(), Arc::clone(function)))
            .collect()
    }

    /// Adds or replaces a function. It is on disk when this returns.
    pub fn put(&self, name: FunctionName, function: Function) -> Result<(), RegistryError> {
        let mut functions = self.lock();
        let path = self.path(&name);
        let partial = path.with_extension(PARTIAL);
        let text =
            serde_json::to_vec_pretty(&function).map_err(|source| RegistryError::Corrupt {
                path: path.clone(),
                source,
            })?;
        write_synced(&partial, &text)
            .and_then(|()| fs::rename(&partial, &path))
            .and_then(|()| sync_folder(&self.folder))
            .map_err(failed("write", &path))?;
        functions.insert(name, Arc::new(function));
        Ok(())
    }

    /// Removes a function; false if there was none.
    pub fn remove(&self, name: &FunctionName) -> Result<bool, RegistryError> {
        let mut functions = self.lock();
        if functions.remove(name).is_none() {
            return Ok(false);
        }
        let path = self.path(name);
        fs::remove_file(&path)
            .and_then(|()| sync_folder(&self.folder))
            .map_err(failed("remove", &path))?;
        Ok(true)
    }

    fn path(&self, name: &FunctionName) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<FunctionName, Arc<Function>>> {
        self.functions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path) -> Result<Function, RegistryError> {
    let text = fs::read(path).map_err(failed("read", path))?;
    serde_json::from_slice(&text).map_err(|source| RegistryError::Corrupt {
        path: path.to_owned(),
        source,
    })
}

fn write_synced(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = private::create().write(true).truncate(true).open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RegistryError {
    let path = path.to_owned();
    move |source| RegistryError::Io { what, path, source }
}

#[cfg(test)]
mod tests {
    use super::{Function, FunctionName, Registry};

    fn function(memory_mib: u32) -> Function {
        serde_json::from_value(
            serde_json::json!({ "root": "/images/f.erofs", "memory_mib": memory_mib }),
        )
        .expect("a function")
    }

    fn name(text: &str) -> FunctionName {
        text.parse().expect("a name")
    }

    #[test]
    fn functions_outlive_the_registry() {
        let folder = tempfile::tempdir().expect("a folder");
        let registry = Registry::open(folder.path().join("functions")).expect("opens");
        registry.put(name("a"), function(128)).expect("put");
        registry.put(name("a"), function(256)).expect("replaced");
        registry.put(name("b"), function(64)).expect("put");
        assert!(registry.remove(&name("b")).expect("removed"));
        assert!(!registry.remove(&name("b")).expect("nothing to remove"));
        drop(registry);

        let registry = Registry::open(folder.path().join("functions")).expect("opens again");
        assert_eq!(registry.list().len(), 1);
        assert_eq!(registry.get(&name("a")).expect("there").memory_mib, 256);
    }

    #[test]
    fn what_a_killed_daemon_left_is_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let partial = folder.path().join("a.partial");
        std::fs::write(&partial, "{\"root\":").expect("written");
        let registry = Registry::open(folder.path().to_owned()).expect("opens");
        assert!(registry.list().is_empty());
        assert!(!partial.exists());
    }

    #[test]
    fn a_damaged_file_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a.json"), "{\"root\":").expect("written");
        let error = Registry::open(folder.path().to_owned())
            .expect_err("refused")
            .to_string();
        assert!(error.contains("a.json"), "{error}");
    }
}
