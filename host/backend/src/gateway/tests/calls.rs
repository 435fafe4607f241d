// SPDX-License-Identifier: Apache-2.0
//! The same gateway, spoken to as an SDK shim does.

use nexus_proto::call::{self, FIXED_SIZE, HEAD_MAX, IN_CHUNKS};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::super::calls::Calls;
use super::*;

/// A connection of a shim.
pub(super) struct Shim(DuplexStream);

impl Shim {
    pub(super) fn connect(gateway: &Arc<Gateway>) -> Self {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        tokio::spawn(Calls::new(gateway.clone()).serve(Box::pin(theirs)));
        Self(ours)
    }

    /// Sends the beginning of a call, without its body.
    async fn begin(&mut self, method: &str, path: &str, headers: &[(&str, &str)], length: u64) {
        let start = format!("s3\0us-east-1\0Test\0{method}\0{path}\0");
        self.begin_as(start, headers, length).await;
    }

    /// The same, with the head's first strings given.
    pub(super) async fn begin_as(&mut self, start: String, headers: &[(&str, &str)], length: u64) {
        let mut head = start;
        for (name, value) in headers {
            head.extend([name, "\0", value, "\0"]);
        }
        let request = call::Request {
            head: u32::try_from(head.len()).unwrap(),
            body: length,
        };
        self.0.write_all(&request.encode()).await.unwrap();
        self.0.write_all(head.as_bytes()).await.unwrap();
    }

    /// Receives an answer whose body has a length, or comes in chunks.
    pub(super) async fn answer(&mut self) -> Answer {
        let mut fixed = [0; FIXED_SIZE];
        self.0.read_exact(&mut fixed).await.unwrap();
        let answer = call::Answer::decode(&fixed);
        let mut head = vec![0; answer.head as usize];
        self.0.read_exact(&mut head).await.unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in call::answered(&head) {
            let name = http::HeaderName::from_bytes(name).unwrap();
            headers.append(name, http::HeaderValue::from_bytes(value).unwrap());
        }
        let mut body = Vec::new();
        if answer.body == IN_CHUNKS {
            loop {
                let length = self.0.read_u32_le().await.unwrap() as usize;
                if length == 0 {
                    break;
                }
                let start = body.len();
                body.resize(start + length, 0);
                self.0.read_exact(&mut body[start..]).await.unwrap();
            }
        } else {
            body = vec![0; usize::try_from(answer.body).unwrap()];
            self.0.read_exact(&mut body).await.unwrap();
        }
        Answer {
            status: answer.status,
            headers,
            body: body.into(),
        }
    }

    async fn call(&mut self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.begin(method, path, &[], body.len() as u64).await;
        self.0.write_all(body).await.unwrap();
        self.answer().await
    }

    /// Whether the gateway closes the connection.
    async fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        self.0
            .read_to_end(&mut rest)
            .await
            .is_ok_and(|_| rest.is_empty())
    }
}

#[tokio::test]
async fn calls_one_after_the_other() {
    let (_folder, address) = store().await;
    let gateway = gateway_to(&format!("http://{address}")).await;
    let mut shim = Shim::connect(&gateway);
    // Below, at and above what is read whole.
    for size in [0, 1, 1000, 256 * 1024, 256 * 1024 + 1, 3 * MIB] {
        let data: Vec<u8> = Made::pattern().iter().copied().cycle().take(size).collect();
        let put = shim.call("PUT", "/out/a%20b", &data).await;
        assert_eq!(put.status, 200, "{size}: {}", put.text());
        let got = shim.call("GET", "/out/a%20b", b"").await;
        assert_eq!((got.status, got.body.len()), (200, size));
        assert!(got.body == data, "{size}");
    }
    shim.begin("GET", "/out/a%20b", &[("range", "bytes=1-3")], 0)
        .await;
    let part = shim.answer().await;
    assert_eq!((part.status, &part.body[..]), (206, &Made::pattern()[1..4]));
    let list = shim.call("GET", "/out?list-type=2", b"").await;
    assert!(list.text().contains("<Key>a b</Key>"), "{}", list.text());
    assert_eq!(shim.call("HEAD", "/out/a%20b", b"").await.status, 200);
    assert_eq!(shim.call("DELETE", "/out/a%20b", b"").await.status, 204);
    assert_eq!(
        shim.call("GET", "/out/a%20b", b"").await.error(),
        (404, "NoSuchKey")
    );
}

#[tokio::test]
async fn a_body_in_chunks() {
    let (folder, address) = store().await;
    let gateway = gateway_to(&format!("http://{address}")).await;
    let mut shim = Shim::connect(&gateway);
    let headers = [("x-amz-decoded-content-length", "5")];
    shim.begin("PUT", "/out/k", &headers, IN_CHUNKS).await;
    for chunk in [&b"he"[..], b"llo", b""] {
        shim.0
            .write_u32_le(u32::try_from(chunk.len()).unwrap())
            .await
            .unwrap();
        shim.0.write_all(chunk).await.unwrap();
    }
    let put = shim.answer().await;
    // Whether a store takes a body without a length is its own matter; the connection goes on.
    if put.status == 200 {
        assert_eq!(
            std::fs::read(folder.path().join("out/k")).unwrap(),
            b"hello"
        );
    }
    assert_eq!(shim.call("HEAD", "/input", b"").await.status, 200);
}

#[tokio::test]
async fn refusals_leave_the_connection_usable() {
    let (_folder, address) = store().await;
    let gateway = gateway_to(&format!("http://{address}")).await;
    let mut shim = Shim::connect(&gateway);
    let refused = shim.call("PUT", "/input/k", &vec![0; MIB]).await;
    assert_eq!(refused.error(), (403, "AccessDenied"));
    let length = refused.headers["content-length"].to_str().unwrap();
    assert_eq!(length, refused.body.len().to_string());
    for (method, path) in [
        ("GET", "not a path"),
        ("NO METHOD", "/"),
        ("GET", "/out/../secret"),
    ] {
        let refused = shim.call(method, path, b"some body").await;
        assert_eq!(refused.status, 400, "{method} {path}: {}", refused.text());
    }
    shim.begin("GET", "/out/k", &[("bad name", "x")], 0).await;
    assert_eq!(shim.answer().await.error(), (400, "InvalidRequest"));
    for (service, region) in [
        ("s3", "x@evil"),
        ("s3", ""),
        ("a.b", "r"),
        ("dynamodb/", "r"),
    ] {
        let start = format!("{service}\0{region}\0Test\0GET\0/\0");
        shim.begin_as(start, &[], 0).await;
        assert_eq!(shim.answer().await.status, 400, "{service} {region}");
    }
    let presigned = shim.call("GET", "/out/k?X-Amz-Signature=abc", b"").await;
    assert_eq!(presigned.status, 501);
    assert_eq!(shim.call("HEAD", "/input", b"").await.status, 200);
}

#[tokio::test]
async fn malformed_calls_close_the_connection() {
    let (_folder, address) = store().await;
    let gateway = gateway_to(&format!("http://{address}")).await;
    let mut long = Shim::connect(&gateway);
    let fixed = call::Request {
        head: HEAD_MAX + 1,
        body: 0,
    };
    long.0.write_all(&fixed.encode()).await.unwrap();
    assert!(long.is_closed().await);

    let mut short = Shim::connect(&gateway);
    let fixed = call::Request { head: 4, body: 0 };
    short.0.write_all(&fixed.encode()).await.unwrap();
    short.0.write_all(b"s3\0r").await.unwrap();
    assert!(short.is_closed().await);

    // A body that does not come: the call ends with the connection, and nothing is stored.
    let mut cut = Shim::connect(&gateway);
    cut.begin("PUT", "/out/cut", &[], 3 * MIB as u64).await;
    cut.0.write_all(&vec![0; MIB]).await.unwrap();
    cut.0.shutdown().await.unwrap();
    cut.is_closed().await;
    let mut other = Shim::connect(&gateway);
    assert_eq!(
        other.call("GET", "/out/cut", b"").await.error(),
        (404, "NoSuchKey")
    );
}

#[tokio::test]
async fn a_store_that_is_not_there() {
    let gateway = gateway_to("http://127.0.0.1:1").await;
    let mut shim = Shim::connect(&gateway);
    assert_eq!(
        shim.call("GET", "/out/k", b"").await.error(),
        (503, "ServiceUnavailable")
    );
    let large = shim.call("PUT", "/out/k", &vec![0; 2 * MIB]).await;
    assert_eq!(large.error(), (503, "ServiceUnavailable"));
}

/// A service that never answers: how many requests it took whole, and how many of them were given up.
#[derive(Clone, Default)]
struct Never(Arc<(AtomicUsize, AtomicUsize)>);

impl Carrier for Never {
    fn carry(&self, request: Request<Body>) -> super::super::upstream::Carrying {
        struct Dropped(Never);
        impl Drop for Dropped {
            fn drop(&mut self) {
                self.0.0.1.fetch_add(1, Ordering::Relaxed);
            }
        }
        let this = self.clone();
        Box::pin(async move {
            let dropped = Dropped(this);
            request.into_body().collect().await.ok();
            dropped.0.0.0.fetch_add(1, Ordering::Relaxed);
            std::future::pending().await
        })
    }
}

#[tokio::test]
async fn a_long_call_that_is_given_up_ends() {
    let never = Never::default();
    let upstream = upstream_by(never.clone());
    let gateway = Gateway::new(upstream, Arc::new(policy()), "f".to_owned());
    let mut shim = Shim::connect(&gateway);
    shim.begin("PUT", "/out/k", &[], 2 * MIB as u64).await;
    shim.0.write_all(&vec![0; 2 * MIB]).await.unwrap();
    let (taken, dropped) = &*never.0;
    while taken.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(dropped.load(Ordering::Relaxed), 0);
    drop(shim);
    while dropped.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
}
