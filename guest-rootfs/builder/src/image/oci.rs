// SPDX-License-Identifier: Apache-2.0
//! The OCI image layout: index, manifest, configuration (OCI image specification 1.1).

use oci_spec::image::{Arch, Descriptor, ImageConfiguration, ImageIndex, ImageManifest, Os};

use super::{BlobStore, Digest, Layer, pair_with_diff_ids};
use crate::error::RootfsError;

/// An index may list indexes (one image for several platforms); more levels than this are no image.
const MAX_INDEX_DEPTH: usize = 4;

const INDEX_TYPES: [&str; 2] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];
const MANIFEST_TYPES: [&str; 2] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// Reads the documents of the one image for this platform.
pub(super) fn read(
    blobs: &BlobStore,
) -> Result<(Digest, ImageConfiguration, Vec<Layer>), RootfsError> {
    let bytes = blobs.read_document("index.json", None)?;
    let index = ImageIndex::from_reader(bytes.as_slice()).map_err(document("index"))?;
    let mut found = Vec::new();
    collect_manifests(blobs, &index, 0, &mut found)?;
    let digest = match found.as_slice() {
        [digest] => *digest,
        [] => {
            return Err(RootfsError::NotAnImage {
                path: blobs.path().to_owned(),
                reason: "its index lists no image for linux/amd64".to_owned(),
            });
        }
        several => {
            return Err(RootfsError::Ambiguous {
                path: blobs.path().to_owned(),
                count: several.len(),
            });
        }
    };
    let bytes = blobs.read_document(&digest.blob_path(), Some(&digest))?;
    let manifest = ImageManifest::from_reader(bytes.as_slice()).map_err(document("manifest"))?;
    let config_digest = Digest::parse(manifest.config().digest().as_ref())?;
    let bytes = blobs.read_document(&config_digest.blob_path(), Some(&config_digest))?;
    let config =
        ImageConfiguration::from_reader(bytes.as_slice()).map_err(document("configuration"))?;
    let layers = manifest
        .layers()
        .iter()
        .map(|layer| {
            let digest = Digest::parse(layer.digest().as_ref())?;
            Ok((digest.blob_path(), Some(digest)))
        })
        .collect::<Result<_, RootfsError>>()?;
    let layers = pair_with_diff_ids(layers, &config)?;
    Ok((digest, config, layers))
}

fn collect_manifests(
    blobs: &BlobStore,
    index: &ImageIndex,
    depth: usize,
    found: &mut Vec<Digest>,
) -> Result<(), RootfsError> {
    if depth == MAX_INDEX_DEPTH {
        return Err(document("index")("its indexes are nested too deeply"));
    }
    for descriptor in index.manifests().iter().filter(|d| fits_platform(d)) {
        let digest = Digest::parse(descriptor.digest().as_ref())?;
        let media_type = descriptor.media_type().to_string();
        if INDEX_TYPES.contains(&media_type.as_str()) {
            let bytes = blobs.read_document(&digest.blob_path(), Some(&digest))?;
            let index = ImageIndex::from_reader(bytes.as_slice()).map_err(document("index"))?;
            collect_manifests(blobs, &index, depth + 1, found)?;
        } else if MANIFEST_TYPES.contains(&media_type.as_str()) && !found.contains(&digest) {
            // The same image under several names is listed several times.
            found.push(digest);
        }
    }
    Ok(())
}

/// Whether a descriptor is for linux/amd64. One without a platform is taken at its word.
fn fits_platform(descriptor: &Descriptor) -> bool {
    descriptor.platform().as_ref().is_none_or(|platform| {
        *platform.os() == Os::Linux && *platform.architecture() == Arch::Amd64
    })
}

fn document<E: ToString>(what: &'static str) -> impl Fn(E) -> RootfsError {
    move |error| RootfsError::Document {
        what: what.to_owned(),
        reason: error.to_string(),
    }
}
