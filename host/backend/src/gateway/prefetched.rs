// SPDX-License-Identifier: Apache-2.0
//! Objects of S3 that are fetched before a function reads them (`prefetch`), as its policy allows, and how reads get them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, ETAG, HOST, IF_NONE_MATCH, LAST_MODIFIED, RANGE,
    USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::watch;

use super::audit::{How, Record};
use super::deferred::Judged;
use super::exchange::Sendable;
use super::sign::{CONTENT_SHA256, SignedFor};
use super::upstream::{Body, full};
use super::{Gateway, Policy, Upstream, services};
use crate::prefetch::{Budget, Fetched, Object, Prefetched};

/// Largest object that is fetched, in KiB.
const OBJECT_KIB: u64 = 16 * 1024;

/// Objects that are fetched for one invocation.
const OBJECTS_MAX: usize = 16;

/// How long a fetch may take. Reads wait for it, and go to the store themselves then.
const LIMIT: Duration = Duration::from_secs(10);

/// Whether checksums are answered.
const CHECKSUM_MODE: HeaderName = HeaderName::from_static("x-amz-checksum-mode");

/// Headers of a read that change nothing about its answer, or as said below.
const PLAIN: [HeaderName; 7] = [
    ACCEPT,
    ACCEPT_ENCODING,
    CHECKSUM_MODE,
    CONTENT_SHA256,
    HOST,
    RANGE,
    USER_AGENT,
];
const PLAIN_STARTS: [&str; 3] = ["amz-sdk-", "x-amz-user-agent", "x-amzn-trace-id"];

/// What the gateway's own reads call themselves, for who reads a store's log.
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("nexus/", env!("CARGO_PKG_VERSION"), " prefetch"));

/// Fetches objects for all functions, within the node's room for them.
#[derive(Debug)]
pub struct Prefetcher {
    upstream: Arc<Upstream>,
    region: String,
    budget: Budget,
}

impl Prefetcher {
    /// A prefetcher that keeps as much as the node's `budget` allows, and signs for `region`.
    pub fn new(upstream: Arc<Upstream>, region: String, budget: Budget) -> Self {
        Self {
            upstream,
            region,
            budget,
        }
    }

    /// Starts to fetch `objects` for an invocation of the function `name`, as far as `policy` lets it read them and its `budget`
    /// has room. With `unasked`, reads get them without asking the store whether they have changed since.
    pub fn start(
        &self,
        name: &str,
        policy: Policy,
        unasked: bool,
        budget: &Budget,
        objects: Vec<Object>,
    ) -> Arc<Prefetched> {
        let gateway = Gateway::new(
            Arc::clone(&self.upstream),
            Arc::new(policy),
            name.to_owned(),
        );
        let mut arriving = HashMap::new();
        for object in objects.into_iter().take(OBJECTS_MAX) {
            let Some(judged) = judge(&gateway, &self.region, &object) else {
                continue;
            };
            let (sender, receiver) = watch::channel(None);
            let budgets = [budget.clone(), self.budget.clone()];
            let fetching = fetch(Arc::clone(&gateway), judged, budgets);
            let fetching = tokio::time::timeout(LIMIT, fetching);
            tokio::spawn(async move {
                tokio::select! {
                    fetched = fetching => {
                        let fetched = fetched.ok().flatten().map(Arc::new);
                        drop(sender.send(Some(fetched)));
                    }
                    // Nobody reads it any more: the invocation is over.
                    () = sender.closed() => {}
                }
            });
            arriving.insert(object, receiver);
        }
        Prefetched::new(unasked, arriving)
    }
}

/// The request for an object; None if there is none, or the function may not make it.
fn judge(gateway: &Gateway, region: &str, object: &Object) -> Option<Judged> {
    let key = utf8_percent_encode(&object.key, NON_ALPHANUMERIC);
    let uri: Uri = format!("/{}/{key}", object.bucket).parse().ok()?;
    let mut request = Request::builder()
        .uri(uri)
        .header(USER_AGENT, AGENT)
        .header(CHECKSUM_MODE, "ENABLED");
    if let Some(range) = &object.range {
        request = request.header(RANGE, range);
    }
    let (parts, ()) = request.body(()).ok()?.into_parts();
    let signed_for = SignedFor::new(region, super::S3)?;
    let (judged, _) = gateway.judge_s3(parts, &signed_for).ok()?;
    Some(judged)
}

/// Gets an object; None if it is not to be had, or there is no room for it.
async fn fetch(
    gateway: Arc<Gateway>,
    judged: Judged,
    [of_function, of_node]: [Budget; 2],
) -> Option<Fetched> {
    let record = Record::of(&gateway, &judged);
    let point = gateway.writeback.point();
    let response = gateway
        .pass_on(judged, point, Sendable::Here(Bytes::new()))
        .await
        .ok()?;
    let (mut parts, body) = response.into_parts();
    parts.extensions.insert(How::Fetched);
    record.answered(&parts);
    let length = parts.headers.get(CONTENT_LENGTH)?.to_str().ok()?;
    let kibibytes = length.parse::<u64>().ok()? / 1024 + 1;
    if !parts.status.is_success() || kibibytes > OBJECT_KIB || !parts.headers.contains_key(ETAG) {
        return None;
    }
    let kibibytes = u32::try_from(kibibytes).ok()?;
    let room = [of_function.room(kibibytes)?, of_node.room(kibibytes)?];
    let body = services::whole(body).await.ok()?;
    Some(Fetched::new(parts, body, room))
}

impl Gateway {
    /// The answer to a read, if what it reads was fetched before and is still the same.
    pub(super) async fn prefetched(&self, judged: &Judged) -> Option<Response<Body>> {
        let object = self.read_of(judged)?;
        let (mut arriving, unasked) = self.inputs.read(&object)?;
        let arrived = arriving.wait_for(Option::is_some).await.ok()?.clone();
        let fetched = arrived.flatten()?;
        if !unasked {
            match self.ask(judged, &fetched).await? {
                Asked::Same => {}
                Asked::Other(response) => return Some(response),
            }
        }
        self.inputs.used(&object);
        let mut parts = fetched.parts.clone();
        if !judged.parts.headers.contains_key(CHECKSUM_MODE) {
            without_checksums(&mut parts.headers);
        }
        parts.extensions.insert(How::Prefetched);
        Some(Response::from_parts(parts, full(fetched.body.clone())))
    }

    /// The object that a plain read is of. Writes are noted on the way.
    fn read_of(&self, judged: &Judged) -> Option<Object> {
        let parts = &judged.parts;
        if parts.method == Method::HEAD {
            return None;
        }
        let about = judged.object.as_ref();
        if parts.method != Method::GET {
            // What has a query, or names no object, may touch more than one.
            let key = about.map(|(bucket, key)| (bucket.as_str(), key.as_str()));
            self.inputs.written(key);
            return None;
        }
        let (bucket, key) = about?.clone();
        let range = match parts.headers.get(RANGE).map(HeaderValue::to_str) {
            Some(range) => Some(range.ok()?.to_owned()),
            None => None,
        };
        let object = Object { bucket, key, range };
        super::are_among(&parts.headers, &PLAIN, &PLAIN_STARTS).then_some(object)
    }

    /// Asks the store whether an object is still what was fetched; None if that cannot be told.
    async fn ask(&self, judged: &Judged, fetched: &Fetched) -> Option<Asked> {
        let mut judged = judged.clone();
        let tag = fetched.parts.headers.get(ETAG)?.clone();
        judged.parts.headers.insert(IF_NONE_MATCH, tag);
        let point = self.writeback.point();
        let response = self
            .pass_on(judged, point, Sendable::Here(Bytes::new()))
            .await
            .ok()?;
        if response.status() != StatusCode::NOT_MODIFIED {
            return Some(Asked::Other(response));
        }
        // The same bytes with other metadata are another object.
        let since = |headers: &HeaderMap| headers.get(LAST_MODIFIED).cloned();
        let same = since(response.headers()) == since(&fetched.parts.headers);
        same.then_some(Asked::Same)
    }
}

/// What the store says of an object that was fetched.
enum Asked {
    Same,
    /// The answer to the read itself.
    Other(Response<Body>),
}

fn without_checksums(headers: &mut HeaderMap) {
    let sums: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("x-amz-checksum-"))
        .cloned()
        .collect();
    for name in sums {
        headers.remove(name);
    }
}
