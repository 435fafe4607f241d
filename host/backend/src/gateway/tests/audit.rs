// SPDX-License-Identifier: Apache-2.0
//! What is written down of calls, and what never is.

use std::sync::Mutex;
use std::sync::atomic::AtomicU16;

use super::super::predict::Tag;
use super::super::upstream::{Carrying, Unanswered};
use super::super::{Audit, Entry, How, Prefetcher};
use super::calls::Shim;
use super::*;
use crate::prefetch::{Budget, Inputs, Object};
use crate::writeback::Writeback;

#[derive(Debug, Default)]
struct Log(Mutex<Vec<Entry>>);

impl Audit for Log {
    fn record(&self, entry: Entry) {
        self.0.lock().unwrap().push(entry);
    }
}

#[tokio::test]
async fn each_call_is_written_down_with_what_came_of_it() {
    let (_folder, address) = store().await;
    let log = Arc::new(Log::default());
    let config = GatewayConfig {
        audit: Some(Arc::clone(&log) as Arc<dyn Audit>),
        ..GatewayConfig::new(
            "us-east-1",
            HashMap::from([("s3".to_owned(), format!("http://{address}"))]),
        )
    };
    let upstream = Upstream::new(config, key()).await.unwrap();
    let gateway = Gateway::new(upstream, Arc::new(policy()), "f".to_owned());
    let mut guest = Guest::connect(&gateway).await;
    guest.put("/out/a", "the content").await;
    guest.get("/out/missing").await;
    guest.put("/input/a", "").await;
    let presign = [("x-nexus-presign", "60")];
    let presign = request(Method::GET, "/out/a", &presign, full(""));
    guest.send(presign).await;

    let entries = log.0.lock().unwrap();
    let seen: Vec<_> = entries
        .iter()
        .map(|entry| {
            assert_eq!(
                (entry.function.as_str(), entry.service.as_str()),
                ("f", "s3")
            );
            (
                entry.method.as_str(),
                entry.resource.as_str(),
                entry.status,
                entry.how,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("PUT", "/out/a", 200, How::Done),
            ("GET", "/out/missing", 404, How::Done),
            ("PUT", "/input/a", 403, How::Refused),
            ("GET", "/out/a", 200, How::Presigned),
        ]
    );
    let text = format!("{entries:?}");
    for secret in [
        REAL_SECRET,
        REAL_ID,
        "placeholder",
        "the content",
        "Signature",
    ] {
        assert!(!text.contains(secret), "{secret} is in the log: {text}");
    }
}

/// A store that answers with this status; with none, it cannot be reached.
#[derive(Clone)]
struct Store(Arc<AtomicU16>);

impl Carrier for Store {
    fn carry(&self, request: Request<Body>) -> Carrying {
        let status = self.0.load(Ordering::Relaxed);
        Box::pin(async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            if status == 0 {
                let source = "no route".into();
                return Err(Unanswered {
                    sent: false,
                    kept: false,
                    source,
                });
            }
            let tag = Tag::of(&body);
            let answer = http::Response::builder()
                .status(status)
                .header("content-length", 0)
                .header("etag", tag.value().unwrap());
            Ok(answer.body(full("")).unwrap())
        })
    }
}

/// A log, a store that answers 200, and a gateway to it.
fn setup(writeback: &Arc<Writeback>) -> (Arc<Log>, Store, Arc<Upstream>, Arc<Gateway>) {
    let (log, store) = (
        Arc::new(Log::default()),
        Store(Arc::new(AtomicU16::new(200))),
    );
    let mut upstream = upstream_by(store.clone());
    Arc::get_mut(&mut upstream).unwrap().audit = Some(Arc::clone(&log) as Arc<dyn Audit>);
    let gateway = Gateway::of_vm(
        Arc::clone(&upstream),
        Arc::new(policy()),
        "f".to_owned(),
        Arc::clone(writeback),
        Arc::default(),
    );
    (log, store, upstream, gateway)
}

impl Log {
    /// What was written down since the last time.
    fn seen(&self) -> Vec<(String, u16, How)> {
        let entries = std::mem::take(&mut *self.0.lock().unwrap());
        let seen = entries
            .into_iter()
            .map(|entry| (entry.resource, entry.status, entry.how));
        seen.collect()
    }
}

fn entry(resource: &str, status: u16, how: How) -> (String, u16, How) {
    (resource.to_owned(), status, how)
}

#[tokio::test(start_paused = true)]
async fn what_becomes_of_a_deferred_write_is_written_down() {
    let writeback = Writeback::new(1024 * 1024);
    let (log, store, _, gateway) = setup(&writeback);
    let mut guest = Guest::connect(&gateway).await;
    guest.put("/out/a", "abc").await;
    guest.put("/out/b", "abc").await;
    writeback.cleared().await;
    assert_eq!(
        log.seen(),
        [
            entry("/out/a", 200, How::Done),
            entry("/out/b", 200, How::Deferred),
            entry("/out/b", 200, How::Done),
        ]
    );

    store.0.store(0, Ordering::Relaxed);
    guest.put("/out/c", "abc").await;
    guest.put("/out/d", "abc").await;
    writeback.failed().await;
    // The second one is given up after that, unattempted.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let seen = log.seen();
    for (resource, attempts) in [("/out/c", 5), ("/out/d", 1)] {
        let mut expected = vec![entry(resource, 200, How::Deferred)];
        expected.extend((0..attempts).map(|_| entry(resource, 0, How::Refused)));
        let of_it: Vec<_> = seen.iter().filter(|seen| seen.0 == resource).collect();
        assert_eq!(of_it, expected.iter().collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn what_is_fetched_beforehand_is_written_down() {
    let (log, store, upstream, _) = setup(&Writeback::off());
    let budget = Budget::new(64 * 1024);
    let prefetcher = Prefetcher::new(upstream, "us-east-1".to_owned(), budget.clone());
    for (bucket, status, seen) in [
        ("input", 200, &[entry("/input/k", 200, How::Fetched)][..]),
        ("input", 0, &[entry("/input/k", 0, How::Refused)]),
        // It is not asked for.
        ("secret", 200, &[]),
    ] {
        store.0.store(status, Ordering::Relaxed);
        let object = Object {
            bucket: bucket.into(),
            key: "k".into(),
            range: None,
        };
        let inputs = Inputs::default();
        let objects = prefetcher.start("f", policy(), false, &budget, vec![object.clone()]);
        inputs.begin(Some(objects), false);
        if let Some((mut arriving, _)) = inputs.read(&object) {
            arriving.wait_for(Option::is_some).await.unwrap();
        }
        assert_eq!(log.seen(), seen);
    }
}

#[tokio::test]
async fn a_call_that_cannot_be_read_is_written_down() {
    let (log, _, _, gateway) = setup(&Writeback::off());
    let mut shim = Shim::connect(&gateway);
    let start = "s3\0not a region\0Test\0GET\0/input/k?secret=1\0".to_owned();
    shim.begin_as(start, &[], 0).await;
    assert_eq!(shim.answer().await.status, 400);
    assert_eq!(log.seen(), [entry("/input/k", 400, How::Refused)]);
}
