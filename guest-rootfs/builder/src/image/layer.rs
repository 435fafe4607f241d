// SPDX-License-Identifier: Apache-2.0
//! Layers: tar archives, plain or compressed, verified against their digests.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use super::digest::HashingReader;
use super::{BlobStore, Digest};
use crate::error::RootfsError;
use crate::progress::Progress;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const BUFFER: usize = 128 << 10;

/// One layer of an image.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    /// Name of its blob.
    pub(crate) name: String,
    /// Digest of the blob as stored, where the image states it.
    pub(crate) digest: Option<Digest>,
    /// Digest of the uncompressed tar archive.
    pub(crate) diff_id: Digest,
}

impl Layer {
    /// Size of the stored blob in bytes.
    pub(crate) fn stored_size(&self, blobs: &BlobStore) -> Result<u64, RootfsError> {
        Ok(blobs.open_blob(&self.name)?.0)
    }

    /// Passes the tar archive to `visit`, then checks both digests. What `visit` did is void if this fails.
    pub(crate) fn read_verified(
        &self,
        blobs: &BlobStore,
        progress: &dyn Progress,
        visit: &mut dyn FnMut(&mut dyn Read) -> Result<(), RootfsError>,
    ) -> Result<(), RootfsError> {
        let (_, blob) = blobs.open_blob(&self.name)?;
        let mut stored = HashingReader::new(Metered(blob, progress));
        let visited = {
            let mut tar = HashingReader::new(self.decompress(&mut stored)?);
            let visited = visit(&mut tar);
            // A corrupt blob shows as a malformed archive first. The digest is the better explanation, so it is
            // looked at before the visit's own error.
            match tar.finish() {
                Ok(found) if found == self.diff_id => visited,
                Ok(found) => visited.and(Err(self.mismatch(&self.diff_id, &found))),
                Err(source) => visited.and(Err(self.unreadable(source))),
            }
        };
        let found = stored.finish().map_err(|source| self.unreadable(source))?;
        match &self.digest {
            Some(expected) if *expected != found => Err(self.mismatch(expected, &found)),
            _ => visited,
        }
    }

    /// Passes the tar archive to `visit` once more, after [`Self::read_verified`].
    pub(crate) fn read_again(
        &self,
        blobs: &BlobStore,
        visit: &mut dyn FnMut(&mut dyn Read) -> Result<(), RootfsError>,
    ) -> Result<(), RootfsError> {
        let (_, blob) = blobs.open_blob(&self.name)?;
        visit(&mut *self.decompress(blob)?)
    }

    /// Decompresses by the first bytes, as media types of layers are often wrong and `docker save` has none.
    fn decompress<'a>(&self, blob: impl Read + 'a) -> Result<Box<dyn Read + 'a>, RootfsError> {
        let unreadable = |source| self.unreadable(source);
        let mut blob = BufReader::with_capacity(BUFFER, blob);
        let start = blob.fill_buf().map_err(unreadable)?;
        if start.starts_with(&GZIP_MAGIC) {
            Ok(Box::new(BufReader::with_capacity(
                BUFFER,
                MultiGzDecoder::new(blob),
            )))
        } else if start.starts_with(&ZSTD_MAGIC) {
            let decoder = zstd::Decoder::with_buffer(blob).map_err(unreadable)?;
            Ok(Box::new(BufReader::with_capacity(BUFFER, decoder)))
        } else {
            Ok(Box::new(blob))
        }
    }

    pub(crate) fn unreadable(&self, source: io::Error) -> RootfsError {
        RootfsError::Layer {
            name: self.name.clone(),
            source,
        }
    }

    fn mismatch(&self, expected: &Digest, found: &Digest) -> RootfsError {
        RootfsError::Digest {
            name: self.name.clone(),
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }
}

/// Reports what is read through it.
struct Metered<'a, R>(R, &'a dyn Progress);

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buffer)?;
        self.1.advance(count as u64);
        Ok(count)
    }
}
