// SPDX-License-Identifier: Apache-2.0
//! A store whose clock is not this host's, as it refuses what S3 would.

use std::sync::atomic::{AtomicI64, AtomicUsize};
use std::time::SystemTime;

use super::*;

/// A store whose clock is `ahead` seconds from ours, and what it refused.
async fn store_in_time(ahead: Arc<AtomicI64>) -> (TempDir, SocketAddr, Arc<AtomicUsize>) {
    let refused = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&refused);
    let (folder, address) = store_behind(move |parts| {
        let shift = ahead.load(Ordering::Relaxed);
        let by = Duration::from_secs(shift.unsigned_abs());
        let now = SystemTime::now();
        let now = if shift < 0 { now - by } else { now + by };
        let date = httpdate::fmt_http_date(now);
        // 20261126T101500Z: the day and the hour suffice here.
        let stamp = parts.headers["x-amz-date"].to_str().unwrap();
        let minute = Duration::from_secs(60);
        let is_near = |time| {
            let date = httpdate::fmt_http_date(time);
            stamp[9..11] == date[17..19] && stamp[6..8] == date[5..7]
        };
        if is_near(now - minute) || is_near(now + minute) {
            return None;
        }
        count.fetch_add(1, Ordering::Relaxed);
        let headers = [("date", date.as_str())];
        let mut answer = s3_error(403, &headers, "RequestTimeTooSkewed", "");
        if parts.method == Method::HEAD {
            *answer.body_mut() = full("");
        }
        Some(answer)
    })
    .await;
    (folder, address, refused)
}

#[tokio::test]
async fn a_clock_is_followed_once_and_remembered() {
    for hours in [2, -3] {
        let ahead = Arc::new(AtomicI64::new(hours * 3600));
        let (folder, address, refused) = store_in_time(Arc::clone(&ahead)).await;
        std::fs::write(folder.path().join("input/k"), "x").unwrap();
        let gateway = gateway_to(&format!("http://{address}")).await;
        let mut guest = Guest::connect(&gateway).await;
        for _ in 0..3 {
            let got = guest.get("/input/k").await;
            assert_eq!((got.status, got.text()), (200, "x"), "{hours}");
        }
        assert_eq!(refused.load(Ordering::Relaxed), 1);
        let head = guest.call(Method::HEAD, "/input/k", "").await;
        assert_eq!(head.status, 200);
        // Somebody sets a clock. HEAD is not told why.
        ahead.store(0, Ordering::Relaxed);
        let head = guest.call(Method::HEAD, "/input/k", "").await;
        assert_eq!(head.status, 200);
        assert_eq!(refused.load(Ordering::Relaxed), 2);
    }
}

#[tokio::test]
async fn a_clock_too_far_off_is_the_stores_own_error() {
    let ahead = Arc::new(AtomicI64::new(49 * 3600));
    let (_folder, address, refused) = store_in_time(ahead).await;
    let mut guest = Guest::connect(&gateway_to(&format!("http://{address}")).await).await;
    let answer = guest.get("/input/k").await;
    assert_eq!(answer.error(), (403, "RequestTimeTooSkewed"));
    assert_eq!(refused.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_body_that_comes_once_tells_the_next_one() {
    let ahead = Arc::new(AtomicI64::new(2 * 3600));
    let (folder, address, _) = store_in_time(ahead).await;
    let mut guest = Guest::connect(&gateway_to(&format!("http://{address}")).await).await;
    let (body, _) = Made::body(2 * MIB);
    let put = guest
        .send(request(Method::PUT, "/out/large", &[], body))
        .await;
    assert_eq!(put.error(), (403, "RequestTimeTooSkewed"));
    let (body, _) = Made::body(2 * MIB);
    let put = guest
        .send(request(Method::PUT, "/out/large", &[], body))
        .await;
    assert_eq!(put.status, 200);
    assert!(folder.path().join("out/large").exists());
}
