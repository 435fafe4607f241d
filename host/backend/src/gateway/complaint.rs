// SPDX-License-Identifier: Apache-2.0
//! What a service says when it does not take a request, as far as the gateway has to know it.

use bytes::{Bytes, BytesMut};
use http::header::HeaderName;
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

/// An answer by which a service refuses, read whole.
#[derive(Debug)]
pub(super) struct Complaint {
    pub(super) parts: Parts,
    text: Bytes,
}

impl Complaint {
    /// Reads an answer if it may be about the signature. Any other goes through as it is.
    pub(super) async fn read(response: Response<Body>) -> Result<Answered, Refusal> {
        if !READ.contains(&response.status()) {
            return Ok(Answered::Other(response));
        }
        let (parts, mut body) = response.into_parts();
        let mut text = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                let message = format!("The store broke off: {error}. Please try again.");
                Refusal::new(StatusCode::BAD_GATEWAY, "BadGateway", message)
            })?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if text.len() + data.len() > DOCUMENT_MAX {
                let message = "The store's error is longer than an error can be.";
                return Err(Refusal::new(StatusCode::BAD_GATEWAY, "BadGateway", message));
            }
            text.extend_from_slice(&data);
        }
        let text = text.freeze();
        Ok(Answered::Complaint(Self { parts, text }))
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
        let text = String::from_utf8_lossy(&self.text);
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        let (value, _) = rest.split_once('<')?;
        Some(value.trim().to_owned())
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

    /// The answer, to be passed on.
    pub(super) fn into_response(self) -> Response<Body> {
        Response::from_parts(self.parts, full(self.text))
    }
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
        Self {
            parts,
            text: Bytes::copy_from_slice(text.as_bytes()),
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
