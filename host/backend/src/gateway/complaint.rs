// SPDX-License-Identifier: Apache-2.0
//! What a service says when it does not take a request, as far as the gateway has to know it.

use std::io::Read as _;

use aws_credential_types::Credentials;
use bytes::{Bytes, BytesMut};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, HeaderName};
use http::response::Parts;
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;

use super::refusal::Refusal;
use super::upstream::{Body, full};

/// Longest document of an error, in bytes. Real ones have less than a kilobyte.
const DOCUMENT_MAX: usize = 1024 * 1024;

const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// Statuses by which a service says that a request was signed for another place, time or key than its own.
const READ: [StatusCode; 5] = [
    StatusCode::MOVED_PERMANENTLY,
    StatusCode::FOUND,
    StatusCode::TEMPORARY_REDIRECT,
    StatusCode::BAD_REQUEST,
    StatusCode::FORBIDDEN,
];

/// Codes that say that a key is over.
const EXPIRED: [&str; 3] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "TokenRefreshRequired",
];

/// Codes that say that there is no such key: somebody may have replaced it.
const UNKNOWN: [&str; 3] = [
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
];

/// Codes that say that a signature is not the one of its request, which is repeated beside them.
const WRONG: [&str; 4] = [
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
];

/// An answer by which a service refuses, read whole.
#[derive(Debug)]
pub(super) struct Complaint {
    pub(super) parts: Parts,
    body: Bytes,
    /// The body as it was before it was encoded.
    text: Bytes,
}

impl Complaint {
    /// Reads an answer if it may be about the signature. Any other goes through as it is.
    pub(super) async fn read(response: Response<Body>) -> Result<Answered, Refusal> {
        if !READ.contains(&response.status()) {
            return Ok(Answered::Other(response));
        }
        let too_long = || unreadable("The store's error is longer than an error can be.");
        let (parts, mut body) = response.into_parts();
        let mut read = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                unreadable(&format!("The store broke off: {error}. Please try again."))
            })?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if read.len() + data.len() > DOCUMENT_MAX {
                return Err(too_long());
            }
            read.extend_from_slice(&data);
        }
        let body = read.freeze();
        let text = decoded(&parts.headers, &body)?;
        if text.len() > DOCUMENT_MAX {
            return Err(too_long());
        }
        Ok(Answered::Complaint(Self { parts, body, text }))
    }

    /// Whether it may be that another key would do.
    pub(super) fn is_about_key(&self) -> bool {
        let code = self.code();
        let mut lists = [&EXPIRED[..], &UNKNOWN, &WRONG].into_iter();
        lists.any(|codes| codes.contains(&code.as_str()))
    }

    /// Passes on what a service forbids, but not what it says of a signature or a key that it does not take: such an answer repeats
    /// what was signed, session token and all.
    pub(super) fn shown(self, used: &Credentials) -> Result<Response<Body>, Refusal> {
        let code = self.code();
        if EXPIRED.contains(&code.as_str()) {
            tracing::error!(
                "a service says that the gateway's credentials have expired, and there are no others"
            );
            let message =
                "The host's credentials for this service have expired: see the log of nexusd.";
            return Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "ServiceUnavailable",
                message,
            ));
        }
        let words = ["InvalidSignature", "security-token", "CanonicalRequest"];
        let holds = |word| self.holds(word);
        let is_about_signature = WRONG.contains(&code.as_str())
            || (self.parts.status == StatusCode::FORBIDDEN && words.into_iter().any(holds));
        let tells = used.session_token().is_some_and(holds);
        if is_about_signature || tells || UNKNOWN.contains(&code.as_str()) {
            tracing::warn!(code, "a service does not take the gateway's signature");
            return Err(unreadable(
                "The service does not take the host's signature of this request.",
            ));
        }
        Ok(Response::from_parts(self.parts, full(self.body)))
    }

    /// The error's code: by the header (JSON and CBOR), by an element (XML), or by a member (JSON).
    pub(super) fn code(&self) -> String {
        let header = self.parts.headers.get(ERROR_TYPE);
        let named = header
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
            .or_else(|| self.element("Code"))
            .or_else(|| self.member());
        let named = named.unwrap_or_default();
        // `prefix#Code:http://…`, of which only the middle is the code (Smithy, "Operation error serialization").
        let code = named.split(':').next().unwrap_or_default();
        let code = code.rsplit('#').next().unwrap_or_default();
        code.trim().to_owned()
    }

    /// The text of the first XML element of this name.
    pub(super) fn element(&self, name: &str) -> Option<String> {
        element(&String::from_utf8_lossy(&self.text), name)
    }

    fn member(&self) -> Option<String> {
        let document: serde_json::Value = serde_json::from_slice(&self.text).ok()?;
        let code = document.get("__type").or_else(|| document.get("code"))?;
        code.as_str().map(str::to_owned)
    }

    /// Whether the document holds a text.
    pub(super) fn holds(&self, text: &str) -> bool {
        let text = text.as_bytes();
        !text.is_empty() && self.text.windows(text.len()).any(|part| part == text)
    }
}

/// The text of the first XML element of this name.
pub(super) fn element(document: &str, name: &str) -> Option<String> {
    let (_, rest) = document.split_once(&format!("<{name}>"))?;
    let (value, _) = rest.split_once('<')?;
    Some(value.trim().to_owned())
}

/// The refusal in place of an answer that is not for the guest.
fn unreadable(message: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_GATEWAY, "BadGateway", message)
}

/// A document as it was before it was encoded, or a little more than the longest there may be.
fn decoded(headers: &HeaderMap, body: &Bytes) -> Result<Bytes, Refusal> {
    let encodings: Vec<&[u8]> = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .map(|value| value.as_bytes().trim_ascii())
        .collect();
    let mut text = Vec::new();
    let most = DOCUMENT_MAX as u64 + 1;
    let read = match encodings.as_slice() {
        _ if body.is_empty() => return Ok(body.clone()),
        [] | [b"" | b"identity"] => return Ok(body.clone()),
        [b"gzip" | b"x-gzip"] => MultiGzDecoder::new(&body[..])
            .take(most)
            .read_to_end(&mut text),
        [b"deflate"] => ZlibDecoder::new(&body[..])
            .take(most)
            .read_to_end(&mut text),
        _ => Err(std::io::ErrorKind::Unsupported.into()),
    };
    read.map_err(|error| {
        // It may hold what is not for the guest.
        unreadable(&format!("The store's error cannot be decoded: {error}."))
    })?;
    Ok(text.into())
}

/// An answer, of which it is known whether it may be about the signature.
#[derive(Debug)]
pub(super) enum Answered {
    Complaint(Complaint),
    Other(Response<Body>),
}

#[cfg(test)]
impl Complaint {
    pub(super) fn of(status: u16, headers: &[(&'static str, &str)], text: &str) -> Self {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let (parts, ()) = response.body(()).expect("a response").into_parts();
        let text = Bytes::copy_from_slice(text.as_bytes());
        Self {
            parts,
            body: text.clone(),
            text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_in_all_forms() {
        let code =
            |headers: &[(&'static str, &str)], text| Complaint::of(400, headers, text).code();
        let xml = "<?xml version=\"1.0\"?><Error><Code>RequestTimeTooSkewed</Code></Error>";
        assert_eq!(code(&[], xml), "RequestTimeTooSkewed");
        let query = "<ErrorResponse><Error><Type>Sender</Type><Code> ExpiredToken </Code>";
        assert_eq!(code(&[], query), "ExpiredToken");
        let json = r#"{"__type":"com.amazon.coral.service#ExpiredTokenException","message":"x"}"#;
        assert_eq!(code(&[], json), "ExpiredTokenException");
        let typed = [(
            "x-amzn-errortype",
            "InvalidSignatureException:http://internal/",
        )];
        assert_eq!(code(&typed, "{}"), "InvalidSignatureException");
        for text in ["", "<Code>", "{", "[1]", "\0"] {
            assert_eq!(code(&[], text), "", "{text}");
        }
    }
}
