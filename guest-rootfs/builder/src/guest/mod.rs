// SPDX-License-Identifier: Apache-2.0
//! What Nexus adds beside the image's files: the folder `/.nexus`, and mount points that the image lacks.

mod certificates;
mod sdk;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use sdk::Sdk;

use crate::error::{EntryError, RootfsError};
use crate::image::Runtime;
use crate::tree::{BUILDER_LAYER, Content, Kind, Metadata, Node, NodeId, Tree};

/// The folder of Nexus inside the root.
const FOLDER: &[u8] = b".nexus";
/// Where the guest's init mounts the kernel's file systems, with the modes they have in Debian.
const MOUNT_POINTS: [(&[u8], u16); 4] = [
    (b"dev", 0o755),
    (b"proc", 0o555),
    (b"sys", 0o555),
    (b"tmp", 0o1777),
];

/// The files of Nexus that go into each root.
#[derive(Clone, Debug)]
pub struct GuestFiles {
    /// PID 1, a static executable (`nexus-init`).
    pub init: PathBuf,
    /// The driver (`nexus.ko`).
    pub module: PathBuf,
    /// The libc interposition library (`libnexus_preload.so`).
    pub preload: PathBuf,
    /// What `nexus compat --probes` runs (`nexus-probe`), in roots that are made for it.
    pub probe: Option<PathBuf>,
    /// Folder of the SDK shims: `python`, and `node` if there is one.
    pub sdk: Option<PathBuf>,
}

impl GuestFiles {
    /// The files of a folder in which all are under their own names, with the probes or without.
    pub fn in_folder(folder: &Path, probes: bool) -> Self {
        let sdk = folder.join("sdk");
        Self {
            init: folder.join("nexus-init"),
            module: folder.join("nexus.ko"),
            preload: folder.join("libnexus_preload.so"),
            probe: probes.then(|| folder.join("nexus-probe")),
            sdk: sdk.exists().then_some(sdk),
        }
    }

    /// Adds them, and what init needs to know about the image. Returns the SDKs that the image has.
    pub(crate) fn add(&self, tree: &mut Tree, runtime: &Runtime) -> Result<Vec<Sdk>, RootfsError> {
        if tree.child(Tree::ROOT, FOLDER).is_some() {
            return Err(RootfsError::Occupied {
                path: "/.nexus".to_owned(),
                reason: "exists in it, but belongs to Nexus; rename it in the image",
            });
        }
        let image_json =
            serde_json::to_vec_pretty(runtime).map_err(|error| RootfsError::Document {
                what: "configuration".to_owned(),
                reason: error.to_string(),
            })?;
        let mut files: Vec<(&[u8], u16, Vec<u8>)> = vec![
            (b"init", 0o755, read(&self.init)?),
            (b"nexus.ko", 0o644, read(&self.module)?),
            (b"libnexus_preload.so", 0o755, read(&self.preload)?),
            (b"image.json", 0o644, image_json),
        ];
        if let Some(probe) = &self.probe {
            files.push((b"probe", 0o755, read(probe)?));
        }
        let folder = insert(tree, Tree::ROOT, FOLDER, directory(0o755))?;
        insert(tree, folder, b"overlay", directory(0o700))?;
        for (name, mode, bytes) in files {
            insert(tree, folder, name, file(mode, bytes))?;
        }
        let sdks = match &self.sdk {
            Some(source) => sdk::add(tree, folder, source)?,
            None => Vec::new(),
        };
        for (name, mode) in MOUNT_POINTS {
            match tree.child(Tree::ROOT, name) {
                None => drop(insert(tree, Tree::ROOT, name, directory(mode))?),
                Some(id) if tree.is_directory(id) => {}
                Some(_) => {
                    return Err(RootfsError::Occupied {
                        path: format!("/{}", String::from_utf8_lossy(name)),
                        reason: "is not a directory in it; make it one",
                    });
                }
            }
        }
        Ok(sdks)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, RootfsError> {
    std::fs::read(path).map_err(RootfsError::io("read", path))
}

fn insert(tree: &mut Tree, parent: NodeId, name: &[u8], node: Node) -> Result<NodeId, RootfsError> {
    tree.insert(parent, name, node, BUILDER_LAYER)
        .map_err(|error: EntryError| RootfsError::Format(error.to_string()))
}

fn file(mode: u16, bytes: Vec<u8>) -> Node {
    Node {
        metadata: Metadata::fixed(mode),
        kind: Kind::File {
            size: bytes.len() as u64,
            content: Content::Bytes(bytes),
        },
    }
}

fn directory(mode: u16) -> Node {
    Node {
        metadata: Metadata::fixed(mode),
        kind: Kind::Directory(BTreeMap::new()),
    }
}
