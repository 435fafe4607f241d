// SPDX-License-Identifier: Apache-2.0
//! URLs that let whoever has them make one request to S3: signed here, since a guest has no key that a store knows.
//!
//! A request with the header `X-Nexus-Presign`, whose value is for how many seconds the URL is to be valid, is judged by the
//! function's policy as ever. It is not made; its answer is the URL.

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT,
};
use http::{HeaderMap, Method, Response};

use super::audit::How;
use super::deferred::Judged;
use super::exchange::Head;
use super::refusal::Refusal;
use super::upstream::{Body, full};
use super::{Gateway, Presign, sign};

const PRESIGN: HeaderName = HeaderName::from_static("x-nexus-presign");

/// Longest validity of a URL (S3, "Authenticating Requests: Using Query Parameters").
const SECONDS_MAX: u64 = 7 * 24 * 60 * 60;

/// Headers that are the request's own, or what an SDK adds to every request, and none of those that the URL will be used with.
const PASSING: [HeaderName; 8] = [
    ACCEPT,
    ACCEPT_ENCODING,
    CONTENT_LENGTH,
    USER_AGENT,
    sign::CHECKSUM_CRC32,
    sign::CONTENT_SHA256,
    HeaderName::from_static("x-amz-checksum-mode"),
    HeaderName::from_static("x-amz-sdk-checksum-algorithm"),
];

/// How long a URL for this request is to be valid; None if the request is to be made.
pub(super) fn validity(headers: &mut HeaderMap) -> Result<Option<Duration>, Refusal> {
    seconds(headers, &PRESIGN)
}

/// The seconds that a header says, which is taken out.
pub(super) fn seconds(
    headers: &mut HeaderMap,
    name: &HeaderName,
) -> Result<Option<Duration>, Refusal> {
    let Some(value) = headers.remove(name) else {
        return Ok(None);
    };
    let seconds = value.to_str().ok().and_then(|text| text.parse().ok());
    match seconds {
        Some(seconds @ 1..=SECONDS_MAX) => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(Refusal::bad_request(
            "AuthorizationQueryParametersError",
            format!("X-Amz-Expires must be from 1 to {SECONDS_MAX} seconds."),
        )),
    }
}

impl Gateway {
    /// Answers with the URL of a request that was judged.
    pub(super) async fn presign(
        &self,
        judged: Judged,
        validity: Duration,
    ) -> Result<Response<Body>, Refusal> {
        let mut head = judged.head();
        let reads = matches!(head.parts.method, Method::GET | Method::HEAD);
        if !reads && self.policy.presign == Presign::Reads {
            let message = format!(
                "The policy of the function {} does not allow URLs for writes.",
                self.name
            );
            return Err(Refusal::access_denied(message));
        }
        for name in PASSING {
            head.parts.headers.remove(name);
        }
        let upstream = &self.upstream;
        upstream.place(&mut head)?;
        let (credentials, time) = (upstream.key().await?, upstream.time_at(&head.parts));
        let Head { mut parts, scope } = head;
        sign::presign(&mut parts, credentials, scope.regions(), time, validity)?;
        let mut response = Response::new(full(Bytes::from(parts.uri.to_string())));
        let kind = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response.extensions_mut().insert(How::Presigned);
        Ok(response)
    }
}
