// SPDX-License-Identifier: Apache-2.0
//! The bodies that a runtime posts: results, errors, and what is wrong with some of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use serde_json::Value;

use super::types::error_payload;
use super::{Outcome, RuntimeLimits};

const ERROR_TYPE: HeaderName = HeaderName::from_static("lambda-runtime-function-error-type");
const ERROR_BODY: HeaderName = HeaderName::from_static("lambda-runtime-function-error-body");
const RESPONSE_MODE: HeaderName = HeaderName::from_static("lambda-runtime-function-response-mode");

/// A body of an error report that carries an X-Ray cause besides the error.
const ERROR_WITH_CAUSE: &str = "application/vnd.aws.lambda.error.cause+json";

/// Why the API refuses a body. The runtime is told so; the caller gets [`Rejection::outcome`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rejection {
    TooLarge { size: usize, limit: usize },
    Truncated,
    ResponseMode,
}

impl Rejection {
    pub(super) fn outcome(self) -> Outcome {
        let (error_type, message) = match self {
            Self::TooLarge { size, limit } => (
                "Function.ResponseSizeTooLarge",
                format!(
                    "Response payload size ({size} bytes) exceeded maximum allowed payload size ({limit} bytes)."
                ),
            ),
            Self::Truncated => (
                "Runtime.TruncatedResponse",
                "The runtime broke off its response".to_owned(),
            ),
            Self::ResponseMode => (
                "Runtime.InvalidResponseModeHeader",
                "The runtime named an unknown response mode".to_owned(),
            ),
        };
        Outcome::Error {
            error_type: Some(error_type.to_owned()),
            payload: error_payload(error_type, &message),
        }
    }
}

/// Reads a result. A stream of them is collected: an error in its trailers takes the place of all that came before.
pub(super) async fn response(
    headers: &HeaderMap,
    body: Incoming,
    limits: &RuntimeLimits,
) -> Result<Outcome, Rejection> {
    match headers.get(RESPONSE_MODE) {
        Some(mode) if !mode.as_bytes().eq_ignore_ascii_case(b"streaming") => {
            return Err(Rejection::ResponseMode);
        }
        _ => {}
    }
    let (payload, trailers) = collect(body, limits.response_bytes).await?;
    if let Some(error_type) = error_type(&trailers) {
        let payload = trailers
            .get(ERROR_BODY)
            .and_then(|text| BASE64.decode(text).ok())
            .map(Bytes::from);
        let payload = payload
            .unwrap_or_else(|| error_payload(&error_type, "The runtime broke off its response"));
        return Ok(Outcome::Error {
            error_type: Some(error_type),
            payload,
        });
    }
    Ok(Outcome::Response {
        payload,
        content_type: content_type(headers).map(str::to_owned),
    })
}

/// Reads an error report: its type and the body for the caller.
pub(super) async fn error(
    headers: &HeaderMap,
    body: Incoming,
    limits: &RuntimeLimits,
) -> Result<(Option<String>, Bytes), Rejection> {
    let (payload, _) = collect(body, limits.response_bytes).await?;
    let payload = match content_type(headers) {
        Some(ERROR_WITH_CAUSE) => without_cause(payload),
        _ => payload,
    };
    Ok((error_type(headers), payload))
}

/// The error type that a runtime gave: `Runtime.Name` or `Function.Name`. Another becomes the unknown one of its kind.
fn error_type(headers: &HeaderMap) -> Option<String> {
    let given = headers.get(ERROR_TYPE)?.to_str().unwrap_or_default();
    let (kind, name) = given.split_once('.').unwrap_or_default();
    let known = matches!(kind, "Runtime" | "Function")
        && name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.len() > 1
        && name.bytes().all(|c| c.is_ascii_alphabetic());
    Some(match kind {
        _ if known => given.to_owned(),
        "Function" => "Function.Unknown".to_owned(),
        _ => "Runtime.Unknown".to_owned(),
    })
}

/// The cause is for tracing and not for the caller.
fn without_cause(payload: Bytes) -> Bytes {
    match serde_json::from_slice::<Value>(&payload) {
        Ok(Value::Object(mut error)) => {
            error.remove("errorCause");
            Value::Object(error).to_string().into()
        }
        _ => payload,
    }
}

fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(CONTENT_TYPE)?.to_str().ok()
}

/// Reads a body and its trailers. What is above `limit` is read too, since a client that is still sending would not
/// see the refusal, but is not kept.
async fn collect(mut body: Incoming, limit: usize) -> Result<(Bytes, HeaderMap), Rejection> {
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut payload = BytesMut::with_capacity(if expected <= limit { expected } else { 0 });
    let mut size = 0;
    let mut trailers = HeaderMap::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Rejection::Truncated)?;
        match frame.into_data() {
            Ok(data) => {
                size += data.len();
                if size <= limit {
                    payload.extend_from_slice(&data);
                } else {
                    payload = BytesMut::new();
                }
            }
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    if size > limit {
        return Err(Rejection::TooLarge { size, limit });
    }
    Ok((payload.freeze(), trailers))
}
