// SPDX-License-Identifier: Apache-2.0
//! The SDK shims: their files, and the tables that are made of each botocore in the image.

use std::fs;
use std::path::Path;

use nexus_sdk_tables::tables;

use super::{certificates, directory, file, insert, read};
use crate::error::RootfsError;
use crate::tree::{Content, Kind, NodeId, Tree};

/// Where the image's packages called botocore are, deepest: below it nobody looks for one.
const MAX_DEPTH: usize = 16;

/// A botocore of the image.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Sdk {
    /// Its folder in the image.
    pub path: String,
    /// Why the shim has no tables of it, if it has none. Its calls are then all its own.
    pub left_out: Option<String>,
}

/// Ends of the names of the shims' files.
const FILES: [&str; 5] = [".py", ".pyc", ".js", ".cjs", "package.json"];

/// Adds the shims' files, those of `source`, to `folder`, and the tables.
pub(super) fn add(tree: &mut Tree, folder: NodeId, source: &Path) -> Result<Vec<Sdk>, RootfsError> {
    let sdk = insert(tree, folder, b"sdk", directory(0o755))?;
    let python = insert(tree, sdk, b"python", directory(0o755))?;
    copy(tree, python, &source.join("python"))?;
    let node = source.join("node");
    if node.exists() {
        let folder = insert(tree, sdk, b"node", directory(0o755))?;
        copy(tree, folder, &node)?;
    }
    let top = insert(tree, python, b"tables", directory(0o755))?;
    let mut found = Vec::new();
    find(tree, Tree::ROOT, &mut Vec::new(), &mut found);
    certificates::link(tree, folder, &found)?;
    let mut sdks = Vec::new();
    for (path, package) in found {
        let made = tables(|name| kept(tree, package, name));
        let name = String::from_utf8_lossy(&path.join(&b'/')).into_owned();
        let left_out = match made {
            Ok(made) => {
                let mut place = top;
                for component in &path {
                    place = match tree.child(place, component) {
                        Some(there) => there,
                        None => insert(tree, place, component, directory(0o755))?,
                    };
                }
                for (service, bytes) in made {
                    insert(tree, place, service.as_bytes(), file(0o644, bytes))?;
                }
                None
            }
            Err(error) => Some(error.to_string()),
        };
        sdks.push(Sdk {
            path: format!("/{name}"),
            left_out,
        });
    }
    Ok(sdks)
}

/// Copies a shim's files and folders.
fn copy(tree: &mut Tree, into: NodeId, source: &Path) -> Result<(), RootfsError> {
    let mut entries: Vec<_> = fs::read_dir(source)
        .and_then(Iterator::collect)
        .map_err(RootfsError::io("read", source))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.as_encoded_bytes();
        if path.is_dir() {
            let folder = insert(tree, into, name, directory(0o755))?;
            copy(tree, folder, &path)?;
        } else if FILES.iter().any(|end| name.ends_with(end.as_bytes())) {
            insert(tree, into, name, file(0o644, read(&path)?))?;
        }
    }
    Ok(())
}

/// Finds the folders called botocore that hold a package.
fn find(
    tree: &Tree,
    folder: NodeId,
    path: &mut Vec<Vec<u8>>,
    found: &mut Vec<(Vec<Vec<u8>>, NodeId)>,
) {
    if path.len() > MAX_DEPTH {
        return;
    }
    for (name, node) in tree.names(folder) {
        if !tree.is_directory(node) {
            continue;
        }
        path.push(name.to_vec());
        if name == b"botocore" && tree.child(node, b"__init__.py").is_some() {
            found.push((path.clone(), node));
        } else {
            find(tree, node, path, found);
        }
        path.pop();
    }
}

/// The content of a file under `folder` that was kept.
pub(super) fn kept<'a>(tree: &'a Tree, folder: NodeId, path: &str) -> Option<&'a [u8]> {
    let node = path
        .split('/')
        .try_fold(folder, |folder, name| tree.child(folder, name.as_bytes()))?;
    match &tree.node(node).kind {
        Kind::File {
            content: Content::Bytes(bytes),
            ..
        } => Some(bytes),
        _ => None,
    }
}
