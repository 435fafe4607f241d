// SPDX-License-Identifier: Apache-2.0
//! Reads that find what was fetched before, and those that must not.

use std::sync::Mutex;

use http::{Response, StatusCode};

use super::super::Prefetcher;
use super::super::upstream::Carrying;
use super::*;
use crate::prefetch::{Budget, Inputs, Object};
use crate::writeback::Writeback;

/// What a budget has room for here, in bytes.
const ROOM: usize = 64 * 1024;

/// A store of one object, which writes down what it is asked.
#[derive(Clone, Default)]
struct Store {
    /// Its content, and the entity tag.
    object: Arc<Mutex<(String, String)>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Store {
    fn put(&self, content: &str, tag: &str) {
        *self.object.lock().unwrap() = (content.to_owned(), format!("\"{tag}\""));
    }

    /// What it was asked since the last time.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    fn answer(&self, request: &Request<Body>) -> Response<Body> {
        let (content, tag) = self.object.lock().unwrap().clone();
        let header = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok());
        let same = header("if-none-match") == Some(tag.as_str());
        let range = header("range").is_some();
        let is_fetch = header("user-agent").is_some_and(|agent| agent.starts_with("nexus/"));
        let what = match (request.method(), same, range) {
            (&Method::GET, true, _) => "same?",
            (&Method::GET, false, true) if is_fetch => "fetch part",
            (&Method::GET, false, true) => "get part",
            (&Method::GET, false, false) if is_fetch => "fetch",
            (&Method::GET, false, false) => "get",
            _ => "write",
        };
        self.asked.lock().unwrap().push(what.to_owned());
        let mut response = Response::builder()
            .header("etag", tag)
            .header("x-amz-checksum-crc32", "AAAAAA==");
        let body = match (same, range) {
            (true, _) => {
                response = response.status(StatusCode::NOT_MODIFIED);
                String::new()
            }
            (false, true) => {
                response = response.status(StatusCode::PARTIAL_CONTENT);
                content[..2].to_owned()
            }
            (false, false) => content,
        };
        let response = response.header("content-length", body.len());
        response.body(full(body)).unwrap()
    }
}

impl Carrier for Store {
    fn carry(&self, request: Request<Body>) -> Carrying {
        let store = self.clone();
        Box::pin(async move { Ok(store.answer(&request)) })
    }
}

struct Setup {
    store: Store,
    upstream: Arc<Upstream>,
    inputs: Arc<Inputs>,
    guest: Guest,
    /// Of the function, and of the node.
    budgets: [Budget; 2],
}

fn object(bucket: &str, range: Option<&str>) -> Object {
    Object {
        bucket: bucket.into(),
        key: "k y".into(),
        range: range.map(str::to_owned),
    }
}

impl Setup {
    async fn new() -> Self {
        let store = Store::default();
        store.put("first", "1");
        let upstream = upstream_by(store.clone());
        let inputs = Arc::new(Inputs::default());
        let gateway = Gateway::of_vm(
            Arc::clone(&upstream),
            Arc::new(policy()),
            "f".into(),
            Writeback::off(),
            Arc::clone(&inputs),
        );
        let guest = Guest::connect(&gateway).await;
        Self {
            store,
            upstream,
            inputs,
            guest,
            budgets: [ROOM, ROOM].map(Budget::new),
        }
    }

    /// An invocation begins, for which an object is fetched; returns once that is so. Says how many the store was asked for.
    async fn begin(&self, unasked: bool, wanted: Object) -> u64 {
        let region = "us-east-1".to_owned();
        let [of_function, of_node] = &self.budgets;
        let prefetcher = Prefetcher::new(Arc::clone(&self.upstream), region, of_node.clone());
        let objects = vec![wanted.clone()];
        let objects = prefetcher.start("f", policy(), unasked, of_function, objects);
        let fetched = objects.fetched();
        self.inputs.begin(Some(objects), false);
        if let Some((mut arriving, _)) = self.inputs.read(&wanted) {
            arriving.wait_for(Option::is_some).await.unwrap();
        }
        fetched
    }
}

#[tokio::test]
async fn a_read_finds_what_is_still_the_same() {
    let mut setup = Setup::new().await;
    setup.begin(false, object("input", None)).await;
    assert_eq!(setup.store.asked(), ["fetch"]);
    for _ in 0..2 {
        let answer = setup.guest.get("/input/k%20y").await;
        assert_eq!((answer.status, answer.text()), (200, "first"));
        // Checksums are answered to those who ask for them.
        assert!(!answer.headers.contains_key("x-amz-checksum-crc32"));
        assert_eq!(setup.store.asked(), ["same?"]);
    }
    let asking = [("x-amz-checksum-mode", "ENABLED")];
    let asking = request(Method::GET, "/input/k%20y", &asking, full(""));
    let answer = setup.guest.send(asking).await;
    assert_eq!(answer.headers["x-amz-checksum-crc32"], "AAAAAA==");
    let report = setup.inputs.end();
    assert!(report.used.contains(&object("input", None)));
}

#[tokio::test]
async fn a_change_meanwhile_is_seen() {
    let mut setup = Setup::new().await;
    setup.begin(false, object("input", None)).await;
    setup.store.put("second", "2");
    assert_eq!(setup.guest.get("/input/k%20y").await.text(), "second");
    assert_eq!(setup.store.asked(), ["fetch", "get"]);
    assert!(setup.inputs.end().used.is_empty());
}

#[tokio::test]
async fn who_does_not_mind_does_not_ask() {
    let mut setup = Setup::new().await;
    setup.begin(true, object("input", None)).await;
    setup.store.put("second", "2");
    assert_eq!(setup.guest.get("/input/k%20y").await.text(), "first");
    assert_eq!(setup.store.asked(), ["fetch"]);
    // It was for that invocation only.
    setup.inputs.end();
    assert_eq!(setup.guest.get("/input/k%20y").await.text(), "second");
}

#[tokio::test]
async fn a_read_after_a_write_goes_to_the_store() {
    for write in [
        request(Method::PUT, "/out/k%20y", &[], full("x")),
        request(Method::DELETE, "/out/k%20y", &[], full("")),
        request(Method::POST, "/out?delete", &[], full("<Delete/>")),
    ] {
        let mut setup = Setup::new().await;
        setup.begin(true, object("out", None)).await;
        setup.guest.send(write).await;
        setup.store.asked();
        setup.guest.get("/out/k%20y").await;
        assert_eq!(setup.store.asked(), ["get"]);
    }
}

#[tokio::test]
async fn other_reads_go_to_the_store() {
    for (path, headers) in [
        ("/input/other", &[][..]),
        ("/input/k%20y?versionId=3", &[]),
        ("/input/k%20y", &[("if-match", "\"1\"")]),
        ("/input/k%20y", &[("range", "bytes=0-1")]),
    ] {
        let mut setup = Setup::new().await;
        setup.begin(true, object("input", None)).await;
        setup.store.asked();
        let read = request(Method::GET, path, headers, full(""));
        setup.guest.send(read).await;
        assert_eq!(setup.store.asked().len(), 1, "{path} {headers:?}");
    }
}

#[tokio::test]
async fn a_range_is_found_by_its_own_words() {
    let mut setup = Setup::new().await;
    setup.begin(true, object("input", Some("bytes=0-1"))).await;
    assert_eq!(setup.store.asked(), ["fetch part"]);
    let range = [("range", "bytes=0-1")];
    let read = request(Method::GET, "/input/k%20y", &range, full(""));
    let answer = setup.guest.send(read).await;
    assert_eq!((answer.status, answer.text()), (206, "fi"));
    assert!(setup.store.asked().is_empty());
}

#[tokio::test]
async fn policy_and_room_are_asked_first() {
    let setup = Setup::new().await;
    assert_eq!(setup.begin(true, object("secret", None)).await, 0);
    assert!(setup.store.asked().is_empty());

    for budgets in [[ROOM, 2 * ROOM], [2 * ROOM, ROOM]] {
        let mut setup = Setup::new().await;
        setup.budgets = budgets.map(Budget::new);
        setup.store.put(&"x".repeat(ROOM + 1), "1");
        assert_eq!(setup.begin(true, object("input", None)).await, 1);
        assert_eq!(setup.guest.get("/input/k%20y").await.body.len(), ROOM + 1);
        assert_eq!(setup.store.asked(), ["fetch", "get"]);
        assert!(setup.inputs.end().used.is_empty());
    }
}
