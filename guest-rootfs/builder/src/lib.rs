// SPDX-License-Identifier: Apache-2.0
//! Makes a read-only EROFS root for a Nexus VM out of a function image.
//!
//! The way of an image: [`image`](mod@self) opens what is given and verifies it, `tree` merges the layers, `guest` adds
//! the folder `/.nexus` beside the image's files, `erofs` writes the result. The layers are read twice: first for
//! the tree and the digests, then for the contents of the files that no later layer has replaced. So nothing is
//! unpacked, no privilege is needed, and owners, devices and attributes arrive as they are in the image.

mod erofs;
mod error;
mod guest;
mod image;
mod progress;
mod tree;

use std::path::{Path, PathBuf};

pub use error::{EntryError, RootfsError};
pub use guest::{GuestFiles, Sdk};
pub use progress::Progress;

use crate::erofs::{Plan, Writer};
use crate::image::{Digest, Image, Runtime};
use crate::tree::Tree;

/// What to build.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// An OCI layout folder, an OCI archive, or an archive of `docker save`.
    pub image: PathBuf,
    /// The files of Nexus that go beside the image's.
    pub guest: GuestFiles,
    /// Where the root goes. A file of this name is replaced when the new one is complete.
    pub output: PathBuf,
}

/// What was built.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BuildReport {
    /// The image's digest, `sha256:` and 64 hexadecimal digits.
    pub image_digest: String,
    /// The image's entry point.
    pub entrypoint: Vec<String>,
    /// The image's command.
    pub cmd: Vec<String>,
    /// Number of layers.
    pub layers: usize,
    /// Number of files, directories and other inodes in the root.
    pub files: u64,
    /// Size of the root in bytes.
    pub size: u64,
    /// The SDKs for Python that the image has.
    pub sdks: Vec<Sdk>,
}

/// Builds a root. The same image and guest files give the same bytes.
///
/// # Errors
/// Says what is wrong with the image or the machine; see [`RootfsError`]. The output path is then as it was before.
pub fn build(options: &BuildOptions, progress: &dyn Progress) -> Result<BuildReport, RootfsError> {
    let image = Image::open(&options.image)?;
    let mut tree = merge_layers(&image, progress)?;
    let passwd = tree.kept_file(b"etc/passwd");
    let group = tree.kept_file(b"etc/group");
    let runtime = Runtime::new(&image.config, &passwd, &group)?;
    let sdks = options.guest.add(&mut tree, &runtime)?;
    let plan = Plan::new(&tree)?;
    write(&image, &plan, &options.output, progress)?;
    Ok(BuildReport {
        image_digest: image.digest.to_string(),
        entrypoint: runtime.entrypoint,
        cmd: runtime.cmd,
        layers: image.layers.len(),
        files: plan.inodes(),
        size: plan.size(),
        sdks,
    })
}

fn merge_layers(image: &Image, progress: &dyn Progress) -> Result<Tree, RootfsError> {
    let mut total = 0;
    for layer in &image.layers {
        total += layer.stored_size(&image.blobs)?;
    }
    progress.stage("reading layers", total);
    let mut tree = Tree::new();
    for (number, layer) in (0u32..).zip(&image.layers) {
        layer.read_verified(&image.blobs, progress, &mut |tar| {
            tree::apply_layer(&mut tree, tar, layer, number)
        })?;
    }
    Ok(tree)
}

fn write(
    image: &Image,
    plan: &Plan<'_>,
    output: &Path,
    progress: &dyn Progress,
) -> Result<(), RootfsError> {
    let copies = plan.copies();
    progress.stage("writing root", copies.iter().map(|copy| copy.size).sum());
    let writer = Writer::create(output, plan.size())?;
    writer.write_metadata(plan, &uuid(&image.digest))?;
    for of_layer in copies.chunk_by(|a, b| a.layer == b.layer) {
        let Some(layer) = image.layers.get(of_layer[0].layer as usize) else {
            continue;
        };
        layer.read_again(&image.blobs, &mut |tar| {
            writer.copy_layer(tar, layer, of_layer, progress)
        })?;
    }
    writer.finish()
}

/// The file system's UUID: the start of the image's digest, marked as a custom UUID (RFC 9562, version 8).
fn uuid(digest: &Digest) -> [u8; 16] {
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&digest.bytes()[..16]);
    uuid[6] = uuid[6] & 0x0f | 0x80;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    uuid
}
