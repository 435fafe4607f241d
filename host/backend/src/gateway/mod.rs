// SPDX-License-Identifier: Apache-2.0
//! The guest's view of AWS-style services: plain HTTP inside, policy, the real signature, TLS outside.
//!
//! A request of the guest carries a signature made with a placeholder key. The gateway reads from it which service and
//! region are meant, asks the function's [`Policy`], takes the signature off, puts the real one on, and passes bodies
//! on as they come, both ways. What is refused is worded as the service would.
//!
//! Requests come over HTTP, or as calls of an SDK shim ([`Calls`]).
//!
//! Of S3 each request is taken apart, since policy speaks of buckets and prefixes; of other services it speaks of actions
//! (`services`). Writes may be answered before they are done (`deferred`); all else waits for them.

mod audit;
mod authority;
mod behind;
mod calls;
mod chunked;
mod clocks;
mod complaint;
mod connector;
mod credentials;
mod deferred;
mod endpoints;
mod exchange;
mod form;
mod keeping;
mod network;
mod operation;
mod patience;
mod payload;
mod policy;
mod pool;
mod predict;
mod prefetched;
mod presign;
mod refusal;
mod regions;
mod roles;
mod s3;
mod services;
mod sign;
mod signer;
mod stamp;
mod stores;
mod target;
#[cfg(test)]
mod tests;
mod upstream;

use std::convert::Infallible;
use std::error::Error as StdError;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::Semaphore;
use uuid::Uuid;

use self::audit::Action;
pub use self::audit::{Audit, Entry, How};
pub use self::authority::{Acceptor, Authority, AuthorityError, TlsGateway};
pub use self::calls::Calls;
use self::chunked::Malformed;
pub use self::credentials::{CredentialSource, credentials_from};
use self::exchange::{Failed, Unsigned};
use self::patience::Silent;
use self::payload::Payload;
pub use self::policy::{Access, BucketPolicy, BucketRule, Policy, Presign, ServiceRule};
pub use self::prefetched::Prefetcher;
use self::refusal::{Refusal, Wording};
pub use self::roles::{RoleArn, RoleArnError};
use self::s3::{COPY_SOURCE, S3};
use self::sign::SignedFor;
pub use self::stores::{Store, StoreConfig};
use self::target::CopySource;
use self::upstream::{Body, Endpoint, Unanswered};
pub use self::upstream::{GatewayConfig, GatewayError, Upstream};
use crate::prefetch::Inputs;
use crate::service::{Service, ServiceStream, Serving};
use crate::writeback::{Point, WriteFailed, Writeback};

/// How much of a refused request's body is read, so that its sender gets to see the refusal, in bytes.
const MAX_DRAIN: usize = 256 * 1024;

/// Room for bodies that are read whole, of one VM, in KiB.
const BODIES_KIB: u32 = 64 * 1024;

/// Read and write buffer of a guest's connection, in bytes. Bodies of any length pass through it.
const BUFFER: usize = 256 * 1024;

/// The gateway of one VM.
#[derive(Debug)]
pub struct Gateway {
    upstream: Arc<Upstream>,
    policy: Arc<Policy>,
    name: String,
    writeback: Arc<Writeback>,
    inputs: Arc<Inputs>,
    /// Room for bodies that are read whole, in KiB.
    bodies: Semaphore,
}

impl Gateway {
    /// A gateway for the function `name`, which may do what `policy` says. Nothing is deferred, nothing fetched beforehand.
    pub fn new(upstream: Arc<Upstream>, policy: Arc<Policy>, name: String) -> Arc<Self> {
        let inputs = Arc::new(Inputs::default());
        Self::of_vm(upstream, policy, name, Writeback::off(), inputs)
    }

    /// The same for a VM whose writes `writeback` may defer, and whose invocations find in `inputs` what was fetched for them.
    pub fn of_vm(
        upstream: Arc<Upstream>,
        policy: Arc<Policy>,
        name: String,
        writeback: Arc<Writeback>,
        inputs: Arc<Inputs>,
    ) -> Arc<Self> {
        let upstream = match &policy.role {
            Some(role) => upstream.acting_as(role, &name),
            None => upstream,
        };
        Arc::new(Self {
            upstream,
            policy,
            name,
            writeback,
            inputs,
            bodies: Semaphore::new(BODIES_KIB as usize),
        })
    }

    /// Answers a request, and writes it down.
    async fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let signed_for =
            s3::refuse_presigned(request.uri()).and_then(|()| SignedFor::parse(request.headers()));
        let service = signed_for.as_ref().map_or("", |signed| &signed.service);
        let (method, uri) = (request.method(), request.uri());
        let asked = self.asked(method.as_str(), uri.path(), service);
        let response = self.respond(request, signed_for).await;
        self.audit(asked, &response);
        response
    }

    async fn respond(
        self: &Arc<Self>,
        request: Request<Incoming>,
        signed_for: Result<SignedFor, Refusal>,
    ) -> Response<Body> {
        let point = self.writeback.point();
        let (parts, mut body) = request.into_parts();
        let (resource, head) = (parts.uri.path().to_owned(), parts.method == Method::HEAD);
        let wording = wording(&parts.headers, signed_for.as_ref().ok());
        let expects = parts.headers.contains_key(header::EXPECT);
        let judged = match signed_for {
            Err(refusal) => Err(refusal),
            Ok(signed_for) if signed_for.service == S3 => self
                .judge_s3(parts, &signed_for)
                .map(|(judged, payload)| Admitted::S3(judged, payload)),
            Ok(signed_for) => self
                .admit(&signed_for, &parts.headers, body.size_hint().upper())
                .map(|()| Admitted::Other(parts, signed_for)),
        };
        let answered = match judged {
            Err(refusal) => {
                // With Expect, the body comes only after it was asked for.
                if !expects {
                    drain(&mut body).await;
                }
                Err(refusal)
            }
            Ok(Admitted::S3(judged, payload)) => self.do_s3(judged, point, payload.of(body)).await,
            Ok(Admitted::Other(parts, signed_for)) => {
                let body = Payload::AsIs.of(body);
                self.serve_service(parts, &signed_for, body).await
            }
        };
        answered.unwrap_or_else(|refusal| self.refuse(&refusal, wording, &resource, head))
    }

    /// Answers a request to a service other than S3, which has been admitted.
    async fn serve_service(
        &self,
        parts: Parts,
        signed_for: &SignedFor,
        body: Body,
    ) -> Result<Response<Body>, Refusal> {
        // One request after the other where they are large: a VM has its budget, and waits for no other.
        let kibibytes = body.size_hint().upper().unwrap_or(u64::MAX) / 1024 + 1;
        let kibibytes = u32::try_from(kibibytes).unwrap_or(u32::MAX).min(BODIES_KIB);
        let _room = self.bodies.acquire_many(kibibytes).await;
        let body = services::whole(body).await?;
        // Its last byte came after its head.
        self.settled(self.writeback.point()).await?;
        let (unsigned, action) = self.prepare_service(parts, signed_for, body)?;
        let mut response = self.forward(unsigned).await?;
        if let Some(action) = action {
            response.extensions_mut().insert(Action(action));
        }
        Ok(response)
    }

    /// Resolves when the writes that came before are durable. If one has failed, nothing goes out any more.
    async fn settled(&self, point: Point) -> Result<(), Refusal> {
        let settled = self.writeback.settled(point).await;
        settled.map_err(|WriteFailed(reason)| {
            let message =
                format!("An earlier write has failed, and with it this invocation: {reason}.");
            Refusal::new(StatusCode::FAILED_DEPENDENCY, "WriteFailed", message)
        })
    }

    /// The answer to a request for `resource` that goes no further.
    fn refuse(
        &self,
        refusal: &Refusal,
        wording: Wording,
        resource: &str,
        head: bool,
    ) -> Response<Body> {
        let request_id = Uuid::new_v4().simple().to_string();
        tracing::info!(function = %self.name, %resource, %request_id, code = refusal.code, reason = %refusal.message, "refused");
        refusal.reply(wording, resource, &request_id, head)
    }

    async fn forward(&self, unsigned: Unsigned) -> Result<Response<Body>, Refusal> {
        let endpoint = unsigned.head.parts.uri.authority().map(ToString::to_string);
        self.upstream.exchange(unsigned).await.map_err(|failed| match failed {
            Failed::Refused(refusal) => refusal,
            Failed::Unanswered(error) => {
                let function = &self.name;
                tracing::warn!(%function, endpoint, error = &error as &dyn StdError, "the store did not answer");
                no_answer(&error)
            }
        })
    }
}

/// A request that goes further.
enum Admitted {
    S3(deferred::Judged, Payload),
    Other(Parts, SignedFor),
}

impl Service for Gateway {
    fn serve(self: Arc<Self>, stream: ServiceStream) -> Serving {
        let service = service_fn(move |request| {
            let gateway = self.clone();
            async move { Ok::<_, Infallible>(gateway.answer(request).await) }
        });
        Box::pin(async move {
            let served = http1::Builder::new()
                .max_buf_size(BUFFER)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "a connection to the gateway broke");
            }
        })
    }
}

fn prepare_headers(
    headers: &mut HeaderMap,
    endpoint: &Endpoint,
    copy: Option<&CopySource>,
) -> Result<(), Refusal> {
    remove_hop_by_hop(headers);
    sign::strip(headers);
    headers.remove(header::EXPECT);
    let value = |text: &str| {
        HeaderValue::from_str(text)
            .map_err(|error| Refusal::bad_request("InvalidArgument", error.to_string()))
    };
    headers.insert(header::HOST, value(endpoint.authority.as_str())?);
    if let Some(copy) = copy {
        headers.insert(COPY_SOURCE, value(&copy.header())?);
    }
    Ok(())
}

fn uri(endpoint: &Endpoint, path_and_query: &str) -> Result<Uri, Refusal> {
    Uri::builder()
        .scheme(endpoint.scheme.clone())
        .authority(endpoint.authority.clone())
        .path_and_query(path_and_query)
        .build()
        .map_err(|error| Refusal::bad_request("InvalidURI", error.to_string()))
}

/// Whether all headers have one of these names, or a name that begins like one of the others.
fn are_among(headers: &HeaderMap, names: &[HeaderName], starts: &[&str]) -> bool {
    let begins = |name: &HeaderName| starts.iter().any(|start| name.as_str().starts_with(start));
    headers
        .keys()
        .all(|name| names.contains(name) || begins(name))
}

/// Headers that are between two neighbours (RFC 9110, section 7.6.1).
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok());
    let always = headers.keys().filter(|name| is_hop_by_hop(name)).cloned();
    let gone: Vec<HeaderName> = named.chain(always).collect();
    for name in gone {
        headers.remove(name);
    }
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::CONNECTION
            | header::PROXY_AUTHENTICATE
            | header::PROXY_AUTHORIZATION
            | header::TE
            | header::TRAILER
            | header::TRANSFER_ENCODING
            | header::UPGRADE
    ) || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

/// What the guest hears when the store gave no answer: an error after which SDKs try again, without the host's addresses.
fn no_answer(error: &Unanswered) -> Refusal {
    let cause = error.cause();
    if let Some(malformed) = cause.downcast_ref::<Malformed>() {
        return Refusal::bad_request("IncompleteBody", malformed.to_string());
    }
    let (status, code, what) = if Silent::is_cause(&*error.source) {
        let status = StatusCode::GATEWAY_TIMEOUT;
        (status, "GatewayTimeout", "does not answer")
    } else if error.sent {
        (StatusCode::BAD_GATEWAY, "BadGateway", "broke off")
    } else {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        (status, "ServiceUnavailable", "cannot be reached")
    };
    let message = format!("The store {what}: {cause}. Please try again.");
    Refusal::new(status, code, message)
}

fn wording(headers: &HeaderMap, signed_for: Option<&SignedFor>) -> Wording {
    let starts = |start: &[u8]| {
        let kind = headers.get(header::CONTENT_TYPE);
        kind.is_some_and(|kind| kind.as_bytes().starts_with(start))
    };
    let form = starts(b"application/x-www-form-urlencoded");
    match signed_for {
        Some(signed_for) => Wording::of(&signed_for.service, form),
        None if starts(b"application/x-amz-json") => Wording::Json,
        None => Wording::S3,
    }
}

async fn drain(body: &mut Incoming) {
    let mut left = MAX_DRAIN;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        if length > left {
            return;
        }
        left -= length;
    }
}
