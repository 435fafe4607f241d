// SPDX-License-Identifier: Apache-2.0
//! Asynchronous invocations: they wait for room, however it comes about, and leave one record each.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nexusd::functions::Function;
use nexusd::logs::Logs;
use nexusd::pool::launch::{BoxFuture, LaunchError, Machine, Order};
use nexusd::pool::{Call, Launcher, Limits, Pool, PoolError};
use nexusd::timeline::{History, Timeline};
use serde_json::{Value, json};
use support::eventually;
use support::host::Host;
use support::runner::ProcessLauncher;
use tokio::sync::Notify;

const EVENT: &[(&str, &str)] = &[("X-Amz-Invocation-Type", "Event")];

/// The first launch fails, but not before it is told to.
#[derive(Debug, Default)]
struct FailsOnce {
    asked: AtomicBool,
    fail: Notify,
}

impl Launcher for FailsOnce {
    fn launch(&self, order: Order) -> BoxFuture<'_, Result<Box<dyn Machine>, LaunchError>> {
        Box::pin(async move {
            if self.asked.swap(true, Ordering::SeqCst) {
                return ProcessLauncher.launch(order).await;
            }
            self.fail.notified().await;
            Err(LaunchError::Session("as the test wants it".into()))
        })
    }
}

async fn has_printed(host: &Host, line: &str) -> bool {
    let log = host
        .admin("GET", "/v1/functions/f/logs", &Value::Null)
        .await;
    String::from_utf8_lossy(&log.body).contains(line)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_launch_makes_room_for_an_event() {
    let launcher = Arc::new(FailsOnce::default());
    let host = Host::start_on("max_instances = 1", Arc::clone(&launcher) as _).await;
    host.deploy("f", json!({})).await;
    let failed = host.invoke("f", json!({}));
    let event = async {
        eventually("the launch has begun", async || {
            launcher.asked.load(Ordering::SeqCst)
        })
        .await;
        let queued = host.call("f", EVENT, br#"{"print": "later"}"#).await;
        assert_eq!(queued.status, 202);
        // Time for the event to find all places taken. It runs in the end also if it comes too late for that.
        tokio::time::sleep(Duration::from_millis(200)).await;
        launcher.fail.notify_one();
    };
    let (failed, ()) = tokio::join!(failed, event);
    assert_eq!(failed.status, 502, "{failed:?}");
    eventually("the event is run", async || {
        has_printed(&host, "later\n").await
    })
    .await;
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_events_record_begins_when_it_arrives() {
    let host = Host::start("max_instances = 1").await;
    host.deploy("f", json!({ "timeout_s": 60 })).await;
    let slow = host.invoke("f", json!({ "sleep": 1 }));
    let event = async {
        host.until_running().await;
        host.call("f", EVENT, br#"{"print": "later"}"#).await
    };
    let (slow, queued) = tokio::join!(slow, event);
    let record = async |id: &str| {
        host.admin("GET", &format!("/v1/invocations/{id}"), &Value::Null)
            .await
    };
    let queued = queued.header("x-amzn-requestid");
    eventually("the event is run", async || {
        record(queued).await.status == 200
    })
    .await;
    let (slow, queued) = (
        record(slow.header("x-amzn-requestid")).await.json(),
        record(queued).await.json(),
    );
    assert_eq!(queued["outcome"], "ok");
    let number = |value: &Value| value.as_u64().expect("a number");
    let done = slow["marks"].as_array().expect("marks").last();
    let slow_end = number(&slow["arrived_at_ms"]) + number(&done.expect("done")["at_us"]) / 1000;
    assert!(
        number(&queued["arrived_at_ms"]) <= slow_end,
        "{queued} arrived while the other ran: {slow}"
    );
    host.end().await;
}

#[tokio::test]
async fn waiting_for_room_leaves_no_record() {
    let folder = tempfile::tempdir().expect("a folder");
    let history = Arc::new(History::default());
    let limits = Limits {
        max_instances: 0,
        idle_timeout: Duration::ZERO,
        boot_timeout: Duration::ZERO,
    };
    let logs = Logs::open(folder.path().to_owned()).expect("opened");
    let launcher = Arc::new(ProcessLauncher);
    let pool = Pool::new(limits, launcher, Arc::new(logs), Arc::clone(&history), None);
    let function: Function =
        serde_json::from_value(json!({ "root": "/f.erofs" })).expect("a function");
    for (id, tried_again) in [("event", true), ("request", false)] {
        let call = Call {
            request_id: id.into(),
            name: "f".parse().expect("a name"),
            function: Arc::new(function.clone()),
            arn: String::new(),
            trace_id: String::new(),
            client_context: None,
            payload: "{}".into(),
            objects: Vec::new(),
            tried_again,
        };
        let throttled = pool.invoke(call, Timeline::start()).await;
        assert!(matches!(throttled, Err(PoolError::Throttled { max: 0 })));
        assert_eq!(history.get(id).is_none(), tried_again, "{id}");
    }
}
