// SPDX-License-Identifier: Apache-2.0
//! URLs that let whoever has them make one request to S3: signed here, since a guest has no key that a store knows.
//!
//! A request with the header `X-Nexus-Presign`, whose value is for how many seconds the URL is to be valid, is judged by the
//! function's policy as ever. It is not made; its answer is the URL. SDKs differ in what becomes of the request's other headers, and say so
//! by some more:
//!
//! - `X-Nexus-Presign-Query`: those that become parameters of the URL, `name;name`.
//! - `X-Nexus-Presign-Signed`: those that whoever has the URL must send. Without it, these are all that are not every request's own.
//! - `X-Nexus-Presign-Length`: the `Content-Length` that he must send.
//! - `X-Nexus-Presign-Date`: when the URL begins to be valid, in seconds since 1970, if that is not now.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue,
    USER_AGENT,
};
use http::request::Parts;
use http::{HeaderMap, Method, Response};

use super::audit::How;
use super::deferred::Judged;
use super::exchange::Head;
use super::refusal::Refusal;
use super::upstream::{Body, full};
use super::{Gateway, Presign, sign};

const PRESIGN: HeaderName = HeaderName::from_static("x-nexus-presign");
const PRESIGN_QUERY: HeaderName = HeaderName::from_static("x-nexus-presign-query");
const PRESIGN_SIGNED: HeaderName = HeaderName::from_static("x-nexus-presign-signed");
const PRESIGN_LENGTH: HeaderName = HeaderName::from_static("x-nexus-presign-length");
const PRESIGN_DATE: HeaderName = HeaderName::from_static("x-nexus-presign-date");

/// What the names of headers begin with that S3 also takes as parameters of a signed URL.
const PARAMETER: &str = "x-amz-";

/// How far in the future a URL may begin to be valid: as much as S3 lets clocks differ. Otherwise it could be valid at any time.
const AHEAD_MAX: Duration = Duration::from_secs(15 * 60);

/// Longest validity of a URL (S3, "Authenticating Requests: Using Query Parameters").
const SECONDS_MAX: u64 = 7 * 24 * 60 * 60;

/// Headers that are the request's own, or what an SDK adds to every request, and none of those that the URL will be used with.
const PASSING: [HeaderName; 11] = [
    ACCEPT,
    ACCEPT_ENCODING,
    CONTENT_LENGTH,
    USER_AGENT,
    sign::CHECKSUM_CRC32,
    sign::CONTENT_SHA256,
    HeaderName::from_static("amz-sdk-invocation-id"),
    HeaderName::from_static("amz-sdk-request"),
    HeaderName::from_static("x-amz-checksum-mode"),
    HeaderName::from_static("x-amz-sdk-checksum-algorithm"),
    HeaderName::from_static("x-amz-user-agent"),
];

/// The URL that is asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    validity: Duration,
    /// When it begins to be valid, unless that is now.
    date: Option<SystemTime>,
    /// Headers that are to be parameters.
    parameters: Vec<HeaderName>,
    /// The other headers that are signed; None if it is all but those of every request.
    signed: Option<Vec<HeaderName>>,
    /// `Content-Length` of the request that the URL is for.
    length: Option<HeaderValue>,
}

impl Wanted {
    /// What a request says of the URL that it asks for, which is taken out; None if the request is to be made.
    pub(super) fn take(headers: &mut HeaderMap) -> Result<Option<Self>, Refusal> {
        let [query, signed, length, date] =
            [PRESIGN_QUERY, PRESIGN_SIGNED, PRESIGN_LENGTH, PRESIGN_DATE]
                .map(|name| headers.remove(name));
        let Some(validity) = seconds(headers, &PRESIGN)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            validity,
            date: date.as_ref().map(moment).transpose()?,
            parameters: query
                .as_ref()
                .map(parameters)
                .transpose()?
                .unwrap_or_default(),
            signed: signed.as_ref().map(names).transpose()?,
            length: length.as_ref().map(whole_number).transpose()?,
        }))
    }

    /// Puts headers into the query, or takes them out, so that those are left that are signed.
    fn arrange(&self, parts: &mut Parts) -> Result<(), Refusal> {
        let Parts { headers, uri, .. } = parts;
        for name in &self.parameters {
            if let Some(value) = headers.remove(name) {
                sign::add_parameters(uri, [(name.as_str(), value.as_bytes())])?;
            }
        }
        let others: Vec<HeaderName> = headers
            .keys()
            .filter(|name| !self.is_signed(name))
            .cloned()
            .collect();
        for name in others {
            headers.remove(name);
        }
        if let Some(length) = &self.length {
            headers.insert(CONTENT_LENGTH, length.clone());
        }
        Ok(())
    }

    fn is_signed(&self, name: &HeaderName) -> bool {
        match &self.signed {
            Some(signed) => signed.contains(name) || name == HOST,
            None => !PASSING.contains(name),
        }
    }

    /// When it begins to be valid, by a store's time.
    fn begin(&self, now: SystemTime) -> Result<SystemTime, Refusal> {
        match self.date {
            Some(date) if date > now + AHEAD_MAX => Err(malformed(
                "A URL begins to be valid within fifteen minutes.",
            )),
            Some(date) => Ok(date),
            None => Ok(now),
        }
    }
}

fn malformed(message: impl Into<String>) -> Refusal {
    Refusal::bad_request("AuthorizationQueryParametersError", message)
}

fn moment(value: &HeaderValue) -> Result<SystemTime, Refusal> {
    let seconds = value.to_str().ok().and_then(|text| text.parse().ok());
    let moment = seconds.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    moment.ok_or_else(|| malformed(format!("{PRESIGN_DATE} is not a number of seconds.")))
}

fn whole_number(value: &HeaderValue) -> Result<HeaderValue, Refusal> {
    let number = value
        .to_str()
        .ok()
        .and_then(|text| text.parse::<u64>().ok());
    number
        .map(HeaderValue::from)
        .ok_or_else(|| malformed(format!("{PRESIGN_LENGTH} is not a number of bytes.")))
}

fn names(value: &HeaderValue) -> Result<Vec<HeaderName>, Refusal> {
    let text = value.to_str().unwrap_or_default();
    let named = text.split(';').filter(|name| !name.is_empty());
    named
        .map(|name| {
            name.parse()
                .map_err(|_| malformed(format!("{name:?} is no header's name.")))
        })
        .collect()
}

fn parameters(value: &HeaderValue) -> Result<Vec<HeaderName>, Refusal> {
    let named = names(value)?;
    match named
        .iter()
        .find(|name| !name.as_str().starts_with(PARAMETER))
    {
        Some(name) => Err(malformed(format!("{name} cannot be a parameter."))),
        None => Ok(named),
    }
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
        _ => Err(malformed(format!(
            "X-Amz-Expires must be from 1 to {SECONDS_MAX} seconds."
        ))),
    }
}

impl Gateway {
    /// Answers with the URL of a request that was judged.
    pub(super) async fn presign(
        &self,
        judged: Judged,
        wanted: Wanted,
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
        wanted.arrange(&mut head.parts)?;
        let upstream = &self.upstream;
        upstream.place(&mut head)?;
        let credentials = upstream.key().await?;
        let time = wanted.begin(upstream.time_at(&head.parts))?;
        let Head { mut parts, scope } = head;
        let validity = wanted.validity;
        sign::presign(&mut parts, credentials, scope.regions(), time, validity)?;
        let mut response = Response::new(full(Bytes::from(parts.uri.to_string())));
        let kind = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response.extensions_mut().insert(How::Presigned);
        Ok(response)
    }
}
