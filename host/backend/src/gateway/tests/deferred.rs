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
    seen: Arc<Mutex<Vec<HeaderMap>>>,
    status: Arc<AtomicU16>,
}

impl Carrier for Store {
    fn carry(&self, request: Request<Body>) -> Carrying {
        let store = self.clone();
        Box::pin(async move {
            store.seen.lock().unwrap().push(request.headers().clone());
            let body = request.into_body().collect().await.unwrap().to_bytes();
            store.leave.acquire().await.unwrap().forget();
            let tag = super::super::predict::Tag::of(&body);
            let answer = Response::builder()
                .status(store.status.load(Ordering::Relaxed))
                .header("etag", tag.value().unwrap());
            Ok(answer.body(full("")).unwrap())
        })
    }
}

struct Setup {
    store: Store,
    writeback: Arc<Writeback>,
    guest: Guest,
}

impl Setup {
    /// With a first write done, which shows how the next ones are answered.
    async fn new() -> Self {
        let store = Store {
            leave: Arc::new(Semaphore::new(1)),
            seen: Arc::default(),
            status: Arc::new(AtomicU16::new(200)),
        };
        let writeback = Writeback::new(1024 * 1024);
        let mut setup = Self {
            guest: Self::guest(&store, &writeback).await,
            store,
            writeback,
        };
        assert_eq!(setup.guest.put("/out/first", "abc").await.status, 200);
        assert!(setup.writeback.is_clear());
        setup
    }

    async fn guest(store: &Store, writeback: &Arc<Writeback>) -> Guest {
        let upstream = upstream_by(store.clone());
        let policy = Arc::new(policy());
        let (writeback, inputs) = (Arc::clone(writeback), Arc::default());
        let gateway = Gateway::of_vm(upstream, policy, "f".to_owned(), writeback, inputs);
        Guest::connect(&gateway).await
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
    for headers in [
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
