// SPDX-License-Identifier: Apache-2.0
//! Images as they come from outside: an OCI layout folder, an OCI archive, or the output of `docker save`.

mod blobs;
mod digest;
mod docker;
mod layer;
mod oci;
mod runtime;
pub(crate) mod user;

#[cfg(test)]
mod tests;

use std::path::Path;

use oci_spec::image::ImageConfiguration;

pub(crate) use blobs::BlobStore;
pub(crate) use digest::Digest;
pub(crate) use layer::Layer;
pub(crate) use runtime::Runtime;

use crate::error::RootfsError;

/// An opened image: its configuration, and where its layers are.
#[derive(Debug)]
pub(crate) struct Image {
    /// Names the image: its manifest's digest, or its configuration's where there is no manifest.
    pub(crate) digest: Digest,
    pub(crate) config: ImageConfiguration,
    /// The lowest layer first.
    pub(crate) layers: Vec<Layer>,
    pub(crate) blobs: BlobStore,
}

impl Image {
    /// Opens the image at `path`. Reads the documents only; layers are verified as they are read.
    pub(crate) fn open(path: &Path) -> Result<Self, RootfsError> {
        let blobs = BlobStore::open(path)?;
        let (digest, config, layers) = if blobs.contains("index.json") {
            oci::read(&blobs)?
        } else if blobs.contains("manifest.json") {
            docker::read(&blobs)?
        } else {
            return Err(RootfsError::NotAnImage {
                path: path.to_owned(),
                reason: "it has neither index.json nor manifest.json".to_owned(),
            });
        };
        Ok(Self {
            digest,
            config,
            layers,
            blobs,
        })
    }
}

/// Pairs layer blobs with the uncompressed digests that the configuration lists for them.
fn pair_with_diff_ids(
    blobs: Vec<(String, Option<Digest>)>,
    config: &ImageConfiguration,
) -> Result<Vec<Layer>, RootfsError> {
    let diff_ids = config.rootfs().diff_ids();
    if diff_ids.len() != blobs.len() {
        return Err(RootfsError::Document {
            what: "configuration".to_owned(),
            reason: format!(
                "it lists {} layers where the manifest lists {}",
                diff_ids.len(),
                blobs.len()
            ),
        });
    }
    blobs
        .into_iter()
        .zip(diff_ids)
        .map(|((name, digest), diff_id)| {
            Ok(Layer {
                name,
                digest,
                diff_id: Digest::parse(diff_id)?,
            })
        })
        .collect()
}
