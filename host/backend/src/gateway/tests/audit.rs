// SPDX-License-Identifier: Apache-2.0
//! What is written down of calls, and what never is.

use std::sync::Mutex;

use super::super::{Audit, Entry, How};
use super::*;

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
