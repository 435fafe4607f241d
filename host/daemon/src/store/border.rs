// SPDX-License-Identifier: Apache-2.0
//! Keeps keys inside their bucket's folder, and what is kept of an object that object's.
//!
//! `s3s-fs` joins bucket and key to a path. An absolute key replaces the bucket, and `..` leaves it. And an upload in parts that takes an
//! object's place keeps that one's checksum, which every client then finds wrong.

use std::path::{Component, Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use s3s::access::{S3Access, S3AccessContext};
use s3s::dto::{
    CompleteMultipartUploadInput, CopyObjectInput, CopySource, DeleteObjectsInput,
    UploadPartCopyInput,
};
use s3s::path::S3Path;
use s3s::{S3Request, S3Result, s3_error};

/// Refuses keys that are paths to somewhere else, in whichever part of a request they are.
#[derive(Debug)]
pub(super) struct Border {
    /// The store's folder.
    pub(super) root: PathBuf,
}

#[async_trait::async_trait]
impl S3Access for Border {
    async fn check(&self, request: &mut S3AccessContext<'_>) -> S3Result<()> {
        if request.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "Signature is required"));
        }
        match request.s3_path() {
            S3Path::Object { key, .. } => check_key(key),
            S3Path::Root | S3Path::Bucket { .. } => Ok(()),
        }
    }

    async fn complete_multipart_upload(
        &self,
        request: &mut S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<()> {
        let CompleteMultipartUploadInput { bucket, key, .. } = &request.input;
        let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        // As `s3s-fs` calls it. Without one it computes what it has to say of an object.
        let file = format!(
            ".bucket-{}.object-{}.internal.json",
            encode(bucket),
            encode(key)
        );
        match tokio::fs::remove_file(self.root.join(file)).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(s3_error!(error, InternalError))
            }
            _ => Ok(()),
        }
    }

    async fn copy_object(&self, request: &mut S3Request<CopyObjectInput>) -> S3Result<()> {
        check_source(&request.input.copy_source)
    }

    async fn upload_part_copy(&self, request: &mut S3Request<UploadPartCopyInput>) -> S3Result<()> {
        check_source(&request.input.copy_source)
    }

    async fn delete_objects(&self, request: &mut S3Request<DeleteObjectsInput>) -> S3Result<()> {
        let mut objects = request.input.delete.objects.iter();
        objects.try_for_each(|object| check_key(&object.key))
    }
}

fn check_source(source: &CopySource) -> S3Result<()> {
    match source {
        CopySource::Bucket { key, .. } => check_key(key),
        // The store itself refuses them.
        CopySource::AccessPoint { .. } | CopySource::Outpost { .. } => Ok(()),
    }
}

fn check_key(key: &str) -> S3Result<()> {
    let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if Path::new(key).components().all(inside) {
        return Ok(());
    }
    Err(s3_error!(
        InvalidURI,
        "A key that starts with \"/\" or has a segment \"..\" cannot be stored in a folder."
    ))
}
