// SPDX-License-Identifier: Apache-2.0
//! Writes that are answered before they are done, over HTTP, with a store that answers when the test lets it.

use std::sync::Mutex;
use std::sync::atomic::AtomicU16;

use http::Response;
use tokio::sync::Semaphore;

use super::super::upstream::Carrying;
use super::*;
use crate::writeback::Writeback;

/// A store that answers each request when it is given leave.
#[derive(Clone)]
struct Store {
    leave: Arc<Semaphore>,
    /// Bodies that came whole.
    whole: Arc<Mutex<Vec<Bytes>>>,
    seen: Arc<Mutex<Vec<HeaderMap>>>,
    status: Arc<AtomicU16>,
}

impl Carrier for Store {
    fn carry(&self, request: Request<Body>) -> Carrying {
        let store = self.clone();
        Box::pin(async move {
            store.seen.lock().unwrap().push(request.headers().clone());
            let body = request.into_body().collect().await.unwrap().to_bytes();
            store.whole.lock().unwrap().push(body.clone());
            store.leave.acquire().await.unwrap().forget();
            let tag = super::super::predict::Tag::of(&body);
            let answer = Response::builder()
                .status(store.status.load(Ordering::Relaxed))
                .header("etag", tag.value().unwrap())
                .header("connection", "close");
            Ok(answer.body(full("")).unwrap())
        })
    }
}

struct Setup {
    store: Store,
    writeback: Arc<Writeback>,
    gateway: Arc<Gateway>,
    guest: Guest,
}

impl Setup {
    /// With a first write done, which shows how the next ones are answered.
    async fn new() -> Self {
        let store = Store {
            leave: Arc::new(Semaphore::new(1)),
            whole: Arc::default(),
            seen: Arc::default(),
            status: Arc::new(AtomicU16::new(200)),
        };
        let writeback = Writeback::new(1024 * 1024);
        let gateway = Self::gateway(&store, &writeback);
        let mut setup = Self {
            guest: Guest::connect(&gateway).await,
            gateway,
            store,
            writeback,
        };
        assert_eq!(setup.guest.put("/out/first", "abc").await.status, 200);
        assert!(setup.writeback.is_clear());
        setup
    }

    fn gateway(store: &Store, writeback: &Arc<Writeback>) -> Arc<Gateway> {
        let upstream = upstream_by(store.clone());
        let policy = Arc::new(policy());
        let (writeback, inputs) = (Arc::clone(writeback), Arc::default());
        Gateway::of_vm(upstream, policy, "f".to_owned(), writeback, inputs)
    }

    /// Whether the guest gets its answer while the store gives none.
    async fn is_deferred(&mut self, headers: &[(&str, &str)], body: &'static [u8]) -> bool {
        let request = request(Method::PUT, "/out/next", headers, full(body));
        let answer = self.guest.send(request);
        let answer = tokio::time::timeout(Duration::from_millis(300), answer).await;
        answer.is_ok_and(|answer| answer.status == 200)
    }
}

#[tokio::test]
async fn a_write_is_answered_as_the_first_one_was() {
    let mut setup = Setup::new().await;
    let answer = setup.guest.put("/out/next", "abcd").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.headers["etag"],
        "\"e2fc714c4727ee9395f324cd2e7f331f\""
    );
    assert!(!setup.writeback.is_clear());
    setup.store.leave.add_permits(1);
    setup.writeback.cleared().await;
    assert_eq!(setup.store.seen.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_program_may_ask_to_wait() {
    let mut setup = Setup::new().await;
    assert!(
        !setup
            .is_deferred(&[("x-nexus-writeback", "sync")], b"abcd")
            .await
    );
    let other = [("x-nexus-writeback", "later")];
    let other = request(Method::PUT, "/out/next", &other, full("abcd"));
    let refused = Setup::new().await.guest.send(other).await;
    assert_eq!(refused.error(), (400, "InvalidArgument"));
    let seen = setup.store.seen.lock().unwrap();
    assert!(!seen.last().unwrap().contains_key("x-nexus-writeback"));
}

#[tokio::test]
async fn what_the_store_has_to_judge_is_not_deferred() {
    let (hash, long) = ("0".repeat(64), "m".repeat(2048));
    for headers in [
        ("x-amz-content-sha256", hash.as_str()),
        ("x-amz-meta-a", long.as_str()),
        ("if-none-match", "*"),
        ("x-amz-checksum-crc32", "AAAAAA=="),
        ("x-amz-tagging", "a=b"),
        ("x-amz-storage-class", "GLACIER"),
        ("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="),
    ] {
        let mut setup = Setup::new().await;
        assert!(!setup.is_deferred(&[headers], b"abcd").await, "{headers:?}");
    }
    let mut setup = Setup::new().await;
    assert!(setup.is_deferred(&[("x-amz-meta-a", "b")], b"abcd").await);
}

#[tokio::test]
async fn a_write_that_is_refused_ends_everything() {
    let mut setup = Setup::new().await;
    assert_eq!(setup.guest.put("/out/next", "abcd").await.status, 200);
    setup.store.status.store(403, Ordering::Relaxed);
    setup.store.leave.add_permits(1);
    let later = setup.guest.get("/out/other").await;
    assert_eq!(later.error(), (424, "WriteFailed"));
    let failure = setup.writeback.failed().await;
    assert!(
        failure.0.contains("/out/next: the store answered 403"),
        "{failure}"
    );
    assert_eq!(setup.store.seen.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn the_rest_of_a_body_waits_for_a_write_that_was_answered_meanwhile() {
    for headers in [("x-nexus-writeback", "sync"), ("content-length", "8")] {
        let mut setup = Setup::new().await;
        let mut other = Guest::connect(&setup.gateway).await;
        let (pieces, given) = tokio::sync::mpsc::channel(4);
        let upload = Given(given).boxed_unsync();
        let upload = request(Method::PUT, "/out/upload", &[headers], upload);
        let upload = tokio::spawn(async move { other.send(upload).await.status });
        pieces.send("aaaa".into()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;

        assert_eq!(setup.guest.put("/out/next", "abcd").await.status, 200);
        pieces.send("bbbb".into()).await.unwrap();
        drop(pieces);
        tokio::time::sleep(Duration::from_millis(200)).await;
        let whole = setup.store.whole.lock().unwrap().clone();
        assert_eq!(whole, ["abc", "abcd"], "{headers:?}");

        setup.store.leave.add_permits(2);
        assert_eq!(upload.await.unwrap(), 200, "{headers:?}");
        setup.writeback.cleared().await;
        let whole = setup.store.whole.lock().unwrap().clone();
        assert_eq!(whole, ["abc", "abcd", "aaaabbbb"], "{headers:?}");
    }
}
