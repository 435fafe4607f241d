// SPDX-License-Identifier: Apache-2.0
//! Writes to S3 that are answered before they are done (`writeback`).
//!
//! Deferred are small whole objects and deletes of them, plain ones, whose answer is known beforehand (`predict`). All else,
//! and whatever carries `X-Nexus-Writeback: sync`, is done while the guest waits.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING,
    CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, EXPIRES, HOST, USER_AGENT,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use tokio::sync::OwnedSemaphorePermit;

use super::audit::{How, Record};
use super::exchange::{Failed, Head, Scope, Sendable, Unsigned};
use super::predict::{Kind, Manner, Tag};
use super::refusal::Refusal;
use super::sign::{CHECKSUM_CRC32, CONTENT_SHA256};
use super::signer::sha256;
use super::upstream::{Body, full};
use super::{Gateway, services};
use crate::writeback::Room;

/// Says `sync` where the program has to see for itself what becomes of a write, or `deferred`, as is usual.
const MODE: HeaderName = HeaderName::from_static("x-nexus-writeback");

/// Longest body of a deferred write, in bytes: up to there SDKs write an object whole.
const BODY_MAX: u64 = 8 * 1024 * 1024;

/// Longest key, and most metadata of an object, in bytes (S3, "Creating object key names", "Working with object metadata").
const KEY_MAX: usize = 1024;
const METADATA_MAX: usize = 2048;

/// What a write's headers take at most, in bytes: most of them are few, and long ones are metadata.
const HEAD_BYTES: u64 = 8 * 1024;

/// How often a write is tried: as often as boto3 does by default.
const ATTEMPTS: u32 = 5;

/// Pause before the second attempt; it doubles each time. Together they are longer than a provider of keys is left alone.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// What one attempt gets in all, however steadily the store does a little: Lambda's longest invocation. How long it may be silent is
/// `patience`'s.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(15 * 60);

/// Headers of a request that change nothing about how it will be answered.
const PLAIN: [HeaderName; 13] = [
    ACCEPT,
    ACCEPT_ENCODING,
    CACHE_CONTROL,
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    EXPIRES,
    HOST,
    USER_AGENT,
    CONTENT_SHA256,
    CHECKSUM_CRC32,
];
const PLAIN_STARTS: [&str; 5] = [
    "amz-sdk-",
    "x-amz-meta-",
    "x-amz-sdk-",
    "x-amz-user-agent",
    "x-amzn-trace-id",
];

/// A request to S3 that was judged, not signed yet.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    pub(super) parts: Parts,
    pub(super) scope: Scope,
    /// The bucket and key of an object, if it is about one and has no query.
    pub(super) object: Option<(String, String)>,
}

impl Judged {
    /// The request with its body, to be signed and sent.
    pub(super) fn unsigned(self, body: Sendable) -> Unsigned {
        Unsigned {
            head: self.head(),
            body,
        }
    }

    /// The request without its body.
    pub(super) fn head(self) -> Head {
        Head {
            parts: self.parts,
            scope: self.scope,
        }
    }
}

/// A write that may be deferred, whose body is here.
struct Write {
    judged: Judged,
    body: Bytes,
    kind: Kind,
    tag: Tag,
}

impl Gateway {
    /// Room for a write, of the VM's and of the node's, if it is one that may be deferred.
    pub(super) fn room_for(
        &self,
        judged: &Judged,
        length: Option<u64>,
    ) -> Option<(Room, OwnedSemaphorePermit)> {
        let (_, key) = judged.object.as_ref()?;
        let Parts {
            method, headers, ..
        } = &judged.parts;
        let length = match *method {
            Method::PUT => length?,
            // Some clients send a length, and none sends a body.
            Method::DELETE if length.is_none_or(|length| length == 0) => 0,
            _ => return None,
        };
        let plain = super::are_among(headers, &PLAIN, &PLAIN_STARTS) && !is_chunked(headers);
        let fits = length <= BODY_MAX && key.len() <= KEY_MAX && metadata(headers) <= METADATA_MAX;
        if !plain || !fits {
            return None;
        }
        let bytes = length + HEAD_BYTES;
        let kibibytes = u32::try_from(bytes / 1024 + 1).ok()?;
        let node = Arc::clone(&self.upstream.deferred);
        let of_node = node.try_acquire_many_owned(kibibytes).ok()?;
        Some((self.writeback.room(bytes)?, of_node))
    }

    /// Does a write that may be deferred.
    pub(super) async fn write(
        self: &Arc<Self>,
        judged: Judged,
        room: (Room, OwnedSemaphorePermit),
        body: Body,
    ) -> Result<Response<Body>, Refusal> {
        let body = services::whole(body).await?;
        // Its last byte came after its head.
        let point = self.writeback.point();
        let Some(write) = self.known(judged.clone(), &body) else {
            return self.pass_on(judged, point, Sendable::Here(body)).await;
        };
        let (manners, request) = (&self.upstream.manners, &write.judged.parts.headers);
        if let Some((mut told, manner)) = manners.predict(&write.kind, request, &write.tag) {
            let gateway = Arc::clone(self);
            let (room, of_node) = room;
            let record = Record::of(self, &write.judged);
            let carried = async move {
                let _of_node = of_node;
                record.begun();
                gateway.carry_out(write, manner).await
            };
            self.writeback.defer(room, point, carried);
            told.extensions.insert(How::Deferred);
            return Ok(Response::from_parts(told, full(Bytes::new())));
        }
        let response = self.pass_on(judged, point, Sendable::Here(body)).await?;
        let (parts, body) = response.into_parts();
        manners.learn(write.kind, &write.judged.parts.headers, &write.tag, &parts);
        Ok(Response::from_parts(parts, body))
    }

    /// The write with what its answer depends on; None if its checksum is not its body's, which the store has to say.
    fn known(&self, judged: Judged, body: &Bytes) -> Option<Write> {
        let (bucket, _) = judged.object.clone()?;
        let headers = &judged.parts.headers;
        let sum = headers.get(CHECKSUM_CRC32);
        let hash = headers.get(CONTENT_SHA256);
        let is_hash = |hash: &&HeaderValue| hash.as_bytes() != b"UNSIGNED-PAYLOAD";
        if sum.is_some_and(|sum| sum.as_bytes() != crc32(body).as_bytes())
            || hash
                .filter(is_hash)
                .is_some_and(|hash| !is_sha256(hash, body))
        {
            return None;
        }
        let kind = Kind {
            function: self.name.clone(),
            bucket,
            method: judged.parts.method.clone(),
            summed: sum.is_some(),
        };
        Some(Write {
            tag: Tag::of(body),
            body: body.clone(),
            kind,
            judged,
        })
    }

    /// Does a write whose guest has been told that it is done. The error says why it cannot be.
    async fn carry_out(self: &Arc<Self>, write: Write, told: Manner) -> Result<(), String> {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let failure = match self.attempt(&write, &told).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            let (function, uri) = (&self.name, write.judged.parts.uri.path());
            tracing::warn!(%function, %uri, attempt, reason = failure.reason, "a deferred write failed");
            if attempt == ATTEMPTS || !failure.passing {
                let method = &write.judged.parts.method;
                return Err(format!("{method} {uri}: {}", failure.reason));
            }
            tokio::time::sleep(pause).await;
            attempt += 1;
            pause *= 2;
        }
    }

    async fn attempt(self: &Arc<Self>, write: &Write, told: &Manner) -> Result<(), Failure> {
        let passing = |reason: String| Failure {
            reason,
            passing: true,
        };
        let record = Record::of(self, &write.judged);
        let body = Sendable::Here(write.body.clone());
        let unsigned = write.judged.clone().unsigned(body);
        let answered = async {
            let response = self.upstream.exchange(unsigned).await;
            let response = response.map_err(|failed| match failed {
                Failed::Refused(refusal) => refusal.message,
                Failed::Unanswered(error) => error.cause().to_string(),
            })?;
            let (parts, body) = response.into_parts();
            let body = services::whole(body).await;
            Ok((parts, body.map_err(|refusal| refusal.message)?))
        };
        let (parts, body) = tokio::time::timeout(ATTEMPT_LIMIT, answered)
            .await
            .unwrap_or_else(|_| Err("the store does not answer".to_owned()))
            .map_err(passing)?;
        record.answered(&parts);
        if !parts.status.is_success() {
            return Err(Failure::of(parts.status, &body));
        }
        let request = &write.judged.parts.headers;
        let manners = &self.upstream.manners;
        if !manners.confirm(&write.kind, told, request, &write.tag, &parts) {
            let (function, bucket) = (&self.name, &write.kind.bucket);
            tracing::warn!(%function, %bucket, "the store answered a deferred write in another way than the one before it: none is deferred any more");
        }
        Ok(())
    }
}

/// Takes the mode out of a request's headers; whether it lets a write be deferred.
pub(super) fn is_allowed(headers: &mut HeaderMap) -> Result<bool, Refusal> {
    let mode = headers.remove(MODE);
    match mode.as_ref().map(HeaderValue::as_bytes) {
        None | Some(b"deferred") => Ok(true),
        Some(b"sync") => Ok(false),
        Some(other) => {
            let other = String::from_utf8_lossy(other);
            let message = format!("{MODE} is {other:?}, must be sync or deferred.");
            Err(Refusal::bad_request("InvalidArgument", message))
        }
    }
}

/// Why an attempt was in vain.
struct Failure {
    reason: String,
    /// Whether another one may do.
    passing: bool,
}

impl Failure {
    /// By an answer that is no success.
    fn of(status: StatusCode, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let code = text
            .split_once("<Code>")
            .and_then(|(_, rest)| rest.split_once("</Code>"))
            .map_or("", |(code, _)| code);
        // What SDKs try again for (Smithy's retryable errors, S3's error codes).
        let passing = status.is_server_error()
            || status == StatusCode::TOO_MANY_REQUESTS
            || matches!(code, "RequestTimeout" | "SlowDown" | "RequestTimeTooSkewed");
        Self {
            reason: format!("the store answered {status} {code}"),
            passing,
        }
    }
}

/// Whether the body is chunks of which the store looks at the last one.
fn is_chunked(headers: &HeaderMap) -> bool {
    let hash = headers.get(CONTENT_SHA256);
    hash.is_some_and(|hash| hash.as_bytes().starts_with(b"STREAMING"))
}

/// Bytes of an object's own metadata: names without their prefix, and values.
fn metadata(headers: &HeaderMap) -> usize {
    let own = |(name, value): (&HeaderName, &HeaderValue)| {
        let name = name.as_str().strip_prefix("x-amz-meta-")?;
        Some(name.len() + value.len())
    };
    headers.iter().filter_map(own).sum()
}

fn is_sha256(hash: &HeaderValue, body: &[u8]) -> bool {
    let expected = sha256(body);
    hash.to_str()
        .is_ok_and(|hash| hash.eq_ignore_ascii_case(&expected))
}

fn crc32(body: &[u8]) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(crc32fast::hash(body).to_be_bytes())
}
