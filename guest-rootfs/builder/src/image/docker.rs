// SPDX-License-Identifier: Apache-2.0
//! The archive that `docker save` writes, as far as it is no OCI archive at the same time.

use oci_spec::image::ImageConfiguration;
use serde::Deserialize;

use super::{BlobStore, Digest, Layer, pair_with_diff_ids};
use crate::error::RootfsError;

/// An image in `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SavedImage {
    config: String,
    layers: Vec<String>,
}

/// Reads the documents of the one image in the archive.
///
/// The archive names no digests for its blobs; the configuration's list of uncompressed layer digests is what
/// the layers are held to.
pub(super) fn read(
    blobs: &BlobStore,
) -> Result<(Digest, ImageConfiguration, Vec<Layer>), RootfsError> {
    let malformed = |what: &str, reason: String| RootfsError::Document {
        what: what.to_owned(),
        reason,
    };
    let bytes = blobs.read_document("manifest.json", None)?;
    let mut images: Vec<SavedImage> = serde_json::from_slice(&bytes)
        .map_err(|error| malformed("manifest.json", error.to_string()))?;
    if images.len() > 1 {
        return Err(RootfsError::Ambiguous {
            path: blobs.path().to_owned(),
            count: images.len(),
        });
    }
    let Some(image) = images.pop() else {
        return Err(malformed("manifest.json", "it lists no image".to_owned()));
    };
    let bytes = blobs.read_document(&image.config, None)?;
    let config = ImageConfiguration::from_reader(bytes.as_slice())
        .map_err(|error| malformed("configuration", error.to_string()))?;
    let layers = image.layers.into_iter().map(|name| (name, None)).collect();
    let layers = pair_with_diff_ids(layers, &config)?;
    Ok((Digest::of(&bytes), config, layers))
}
