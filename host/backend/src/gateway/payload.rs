// SPDX-License-Identifier: Apache-2.0
//! How a body is passed on, by what `x-amz-content-sha256` says of it.

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderName};
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::chunked::Unchunked;
use super::refusal::Refusal;
use super::sign::CONTENT_SHA256;
use super::upstream::Body;

const DECODED_LENGTH: HeaderName = HeaderName::from_static("x-amz-decoded-content-length");
const TRAILER: HeaderName = HeaderName::from_static("x-amz-trailer");

/// What to do with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Payload {
    /// It goes through as it is.
    AsIs,
    /// Its chunks are signed by the guest's key: unpack them. So many bytes remain.
    Unchunk(u64),
}

impl Payload {
    /// The body that the store will get.
    pub(super) fn of(self, body: Incoming) -> Body {
        match self {
            Self::AsIs => body.map_err(Into::into).boxed_unsync(),
            Self::Unchunk(length) => Unchunked::new(body, length).boxed_unsync(),
        }
    }

    /// Judges a body by its headers, and changes those to what the store will get.
    ///
    /// The guest's hash of its body is passed on and so checked by the store. With a body in signed chunks there is no
    /// such hash, and the checksum in its trailers is lost.
    pub(super) fn prepare(headers: &mut HeaderMap) -> Result<Self, Refusal> {
        let hash = headers.get(CONTENT_SHA256).map(HeaderValue::as_bytes);
        match hash {
            None | Some(b"UNSIGNED-PAYLOAD" | b"STREAMING-UNSIGNED-PAYLOAD-TRAILER") => {
                Ok(Self::AsIs)
            }
            Some(hash) if hash.len() == 64 && hash.iter().all(u8::is_ascii_hexdigit) => {
                Ok(Self::AsIs)
            }
            Some(
                b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
                | b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            ) => unchunk(headers),
            Some(_) => {
                let message = "x-amz-content-sha256 must be a hash, UNSIGNED-PAYLOAD, or a STREAMING- form without ECDSA.";
                Err(Refusal::bad_request("InvalidArgument", message))
            }
        }
    }
}

fn unchunk(headers: &mut HeaderMap) -> Result<Payload, Refusal> {
    let length = headers
        .remove(DECODED_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok())
        .ok_or_else(|| {
            Refusal::new(
                http::StatusCode::LENGTH_REQUIRED,
                "MissingContentLength",
                "x-amz-decoded-content-length is missing.",
            )
        })?;
    headers.remove(TRAILER);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CONTENT_SHA256, HeaderValue::from_static("UNSIGNED-PAYLOAD"));
    let encodings: Vec<String> = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|encoding| encoding.trim().to_owned())
        .filter(|encoding| !encoding.is_empty() && !encoding.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    headers.remove(CONTENT_ENCODING);
    if let Ok(value) = HeaderValue::from_str(&encodings.join(", "))
        && !encodings.is_empty()
    {
        headers.insert(CONTENT_ENCODING, value);
    }
    Ok(Payload::Unchunk(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)))
            .collect()
    }

    #[test]
    fn signed_chunks_lose_their_framing() {
        let mut map = headers(&[
            (
                "x-amz-content-sha256",
                "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            ),
            ("x-amz-decoded-content-length", "5"),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
            ("content-encoding", "aws-chunked, gzip"),
            ("content-length", "200"),
        ]);
        assert_eq!(Payload::prepare(&mut map), Ok(Payload::Unchunk(5)));
        let expected = headers(&[
            ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
            ("content-encoding", "gzip"),
            ("content-length", "5"),
        ]);
        assert_eq!(map, expected);
    }

    #[test]
    fn others_pass_or_are_refused() {
        for hash in [
            "UNSIGNED-PAYLOAD",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ] {
            assert_eq!(
                Payload::prepare(&mut headers(&[("x-amz-content-sha256", hash)])),
                Ok(Payload::AsIs)
            );
        }
        assert_eq!(Payload::prepare(&mut HeaderMap::new()), Ok(Payload::AsIs));
        for hash in [
            "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
            "abc",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        ] {
            assert!(
                Payload::prepare(&mut headers(&[("x-amz-content-sha256", hash)])).is_err(),
                "{hash}"
            );
        }
    }
}
