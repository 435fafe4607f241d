// SPDX-License-Identifier: Apache-2.0
//! A guest with a placeholder key, the gateway, and a store that knows only the real key.

mod audit;
mod authority;
mod calls;
mod deferred;
mod events;
mod everywhere;
mod expiry;
mod failures;
mod forms;
mod hostile;
mod kept;
mod objects;
mod prefetched;
mod regions;
mod repeats;
mod roles;
mod services;
mod silence;
mod skew;
mod stores;
mod synchrony;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::upstream::{Body, Carrier, endpoints};
use super::{
    Access, BucketPolicy, BucketRule, Gateway, GatewayConfig, Policy, Presign, Upstream, sign,
};
use crate::service::Service as _;

const MIB: usize = 1024 * 1024;
const REAL_ID: &str = "AKIAREAL";
const REAL_SECRET: &str = "the/real+secret";

/// An S3 store in a folder, which has the buckets `input` and `out`.
async fn store() -> (TempDir, SocketAddr) {
    store_behind(|_| None).await
}

/// The same, if `gate` has no answer of its own.
async fn store_behind(
    gate: impl Fn(&http::request::Parts) -> Option<http::Response<Body>> + Send + Sync + 'static,
) -> (TempDir, SocketAddr) {
    store_with((REAL_ID, REAL_SECRET), gate).await
}

/// The same with a key of its own.
async fn store_with(
    (id, secret): (&str, &str),
    gate: impl Fn(&http::request::Parts) -> Option<http::Response<Body>> + Send + Sync + 'static,
) -> (TempDir, SocketAddr) {
    let folder = tempfile::tempdir().unwrap();
    for bucket in ["input", "out", "secret"] {
        std::fs::create_dir(folder.path().join(bucket)).unwrap();
    }
    let mut builder = S3ServiceBuilder::new(FileSystem::new(folder.path()).unwrap());
    builder.set_auth(SimpleAuth::from_single(id, secret));
    // Whose clock is right is for the tests to say.
    let mut config = S3Config::default();
    config.presigned_url_max_skew_time_secs = u32::MAX;
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    let service = builder.build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let gate = Arc::new(gate);
    let answer = move |request: Request<Incoming>| {
        let (service, gate) = (service.clone(), Arc::clone(&gate));
        async move {
            let (parts, body) = request.into_parts();
            if let Some(answer) = gate(&parts) {
                body.collect().await.ok();
                return Ok(answer);
            }
            let request = Request::from_parts(parts, body);
            let answer = hyper::service::Service::call(&service, request).await?;
            Ok::<_, s3s::HttpError>(answer.map(|body| body.map_err(Into::into).boxed_unsync()))
        }
    };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(answer.clone());
            tokio::spawn(async move {
                let server = hyper::server::conn::http1::Builder::new();
                server
                    .serve_connection(TokioIo::new(stream), service)
                    .await
                    .ok();
            });
        }
    });
    (folder, address)
}

/// An error of S3's, with headers.
fn s3_error(
    status: u16,
    headers: &[(&str, &str)],
    code: &str,
    elements: &str,
) -> http::Response<Body> {
    let mut answer = http::Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>m</Message>{elements}</Error>"
    );
    answer.body(full(text)).unwrap()
}

/// The region that a request was signed for.
fn signed_region(parts: &http::request::Parts) -> String {
    let authorization = parts.headers[AUTHORIZATION].to_str().unwrap();
    let (_, scope) = authorization.split_once("Credential=").unwrap();
    scope.split('/').nth(2).unwrap().to_owned()
}

fn policy() -> Policy {
    let rule = |bucket: &str, prefix: &str, access| BucketRule {
        bucket: bucket.into(),
        prefix: prefix.into(),
        access,
    };
    let buckets = BucketPolicy {
        rules: vec![
            rule("input", "", Access::Read),
            rule("out", "", Access::ReadWrite),
            rule("secret", "shared/", Access::ReadWrite),
        ],
    };
    Policy {
        buckets,
        ..Policy::default()
    }
}

async fn gateway_to(store: &str) -> Arc<Gateway> {
    gateway_of(store, policy()).await
}

async fn gateway_of(store: &str, policy: Policy) -> Arc<Gateway> {
    let config = GatewayConfig::new(
        "us-east-1",
        HashMap::from([("s3".to_owned(), store.to_owned())]),
    );
    let upstream = Upstream::new(config, key()).await.unwrap();
    Gateway::new(upstream, Arc::new(policy), "f".to_owned())
}

fn key() -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Credentials::new(REAL_ID, REAL_SECRET, None, None, "test"))
}

/// A way to services that is a test's own.
fn upstream_by(carrier: impl Carrier + 'static) -> Arc<Upstream> {
    let store = "http://store".to_owned();
    let urls = HashMap::from([("s3".to_owned(), store.clone()), ("sqs".to_owned(), store)]);
    let endpoints = endpoints(urls).unwrap();
    Upstream::by(carrier, endpoints, "us-east-1".into(), key())
}

/// A connection of the guest.
struct Guest(SendRequest<Body>);

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Code and status of an S3 error.
    fn error(&self) -> (u16, &str) {
        let code = self
            .text()
            .split_once("<Code>")
            .and_then(|(_, rest)| rest.split_once("</Code>"));
        (self.status, code.map_or("", |(code, _)| code))
    }
}

impl Guest {
    async fn connect(gateway: &Arc<Gateway>) -> Self {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        tokio::spawn(gateway.clone().serve(Box::pin(theirs)));
        let (sender, connection) = handshake(TokioIo::new(ours)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    /// Signs with the placeholder key, as an SDK in the guest does, and sends.
    async fn send(&mut self, request: Request<Body>) -> Answer {
        let (parts, body) = self.start(request).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        }
    }

    async fn start(&mut self, request: Request<Body>) -> http::Response<hyper::body::Incoming> {
        self.0.ready().await.unwrap();
        self.0.send_request(signed(request)).await.unwrap()
    }

    async fn call(&mut self, method: Method, path: &str, body: impl Into<Bytes>) -> Answer {
        self.send(request(method, path, &[], full(body))).await
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.call(Method::GET, path, "").await
    }

    async fn put(&mut self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.call(Method::PUT, path, body).await
    }
}

fn request(method: Method, path: &str, headers: &[(&str, &str)], body: Body) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).unwrap()
}

fn signed(request: Request<Body>) -> Request<Body> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.clone();
    parts.uri = format!("http://169.254.170.2{path}").parse().unwrap();
    sign::sign_s3(
        &mut parts,
        Credentials::new("placeholder", "none", Some("token".into()), None, "guest"),
        "us-east-1",
        std::time::SystemTime::now(),
    )
    .unwrap();
    assert!(
        parts.headers[AUTHORIZATION]
            .to_str()
            .unwrap()
            .contains("Credential=placeholder/")
    );
    parts
        .headers
        .entry(HOST)
        .or_insert_with(|| "169.254.170.2".parse().unwrap());
    parts.uri = path;
    Request::from_parts(parts, body)
}

fn full(data: impl Into<Bytes>) -> Body {
    Full::new(data.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A body whose pieces the test gives.
struct Given(tokio::sync::mpsc::Receiver<Bytes>);

impl hyper::body::Body for Given {
    type Data = Bytes;
    type Error = super::upstream::BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let piece = self.0.poll_recv(context);
        piece.map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// A body of a known length that is made as it is asked for, and counts how much of it was.
struct Made {
    left: usize,
    taken: Arc<AtomicUsize>,
}

impl Made {
    fn body(length: usize) -> (Body, Arc<AtomicUsize>) {
        let taken = Arc::new(AtomicUsize::new(0));
        (
            Self {
                left: length,
                taken: taken.clone(),
            }
            .boxed_unsync(),
            taken,
        )
    }

    /// What it is made of, again and again. Its length divides no buffer's.
    fn pattern() -> Bytes {
        static PATTERN: LazyLock<Bytes> = LazyLock::new(|| {
            (0..1_000_003_usize)
                .map(|at| at.wrapping_mul(0x9e37_79b9).to_le_bytes()[2])
                .collect()
        });
        PATTERN.clone()
    }

    /// The part at `at`, of at most `length` bytes.
    fn part(at: usize, length: usize) -> Bytes {
        let pattern = Self::pattern();
        let start = at % pattern.len();
        pattern.slice(start..pattern.len().min(start + length))
    }
}

impl hyper::body::Body for Made {
    type Data = Bytes;
    type Error = super::upstream::BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let data = Self::part(self.taken.load(Ordering::Relaxed), self.left.min(100_000));
        self.taken.fetch_add(data.len(), Ordering::Relaxed);
        self.left -= data.len();
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}
