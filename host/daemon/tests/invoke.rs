// SPDX-License-Identifier: Apache-2.0
//! The Invoke API and the pool, with real runtimes in processes: what a caller sees in each way a function can go.

mod support;

use std::path::Path;

use base64::Engine;
use serde_json::{Value, json};
use support::host::Host;
use support::http::{Answer, request};
use support::{eventually, root_image};
use tokio::net::TcpStream;

fn error_type(answer: &Answer) -> String {
    assert_eq!(
        answer.status, 200,
        "a function's error is a success of the service: {answer:?}"
    );
    assert_eq!(answer.header("x-amz-function-error"), "Unhandled");
    answer.json()["errorType"]
        .as_str()
        .expect("an error type")
        .to_owned()
}

fn is_stopped(pid: u64) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    status.lines().any(|line| line.starts_with("State:\tT"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_kept_paused_and_used_again() {
    let host = Host::start("").await;
    host.deploy("f", json!({})).await;

    let first = host.invoke("f", json!({ "a": [1] })).await;
    assert_eq!(first.status, 200, "{first:?}");
    assert_eq!(first.json()["event"], json!({ "a": [1] }));
    assert_eq!(first.header("x-amz-executed-version"), "$LATEST");
    assert_eq!(first.header("content-type"), "application/json");
    let seen = first.json()["headers"].clone();
    assert_eq!(
        seen["lambda-runtime-aws-request-id"],
        first.header("x-amzn-requestid")
    );
    assert_eq!(
        seen["lambda-runtime-trace-id"],
        first.header("x-amzn-trace-id")
    );
    assert_eq!(
        seen["lambda-runtime-invoked-function-arn"],
        "arn:aws:lambda:us-east-1:000000000000:function:f"
    );

    let pid = host.instances().await[0]["pid"].as_u64().expect("a pid");
    eventually("the idle instance is paused", async || is_stopped(pid)).await;

    let second = host.invoke("f", json!({})).await;
    assert_eq!(second.json()["count"], 2, "the same process");
    assert_eq!(
        second.header("x-nexus-instance"),
        first.header("x-nexus-instance")
    );

    let record = host
        .admin(
            "GET",
            &format!("/v1/invocations/{}", first.header("x-amzn-requestid")),
            &Value::Null,
        )
        .await;
    assert_eq!(record.json()["cold"], true);
    let names: Vec<_> = record.json()["marks"]
        .as_array()
        .expect("marks")
        .iter()
        .map(|mark| mark["name"].clone())
        .collect();
    for name in [
        "arrival",
        "placed",
        "instance started",
        "initialised",
        "handed over",
        "answered",
        "done",
    ] {
        assert!(names.contains(&json!(name)), "{name} in {names:?}");
    }
    host.end().await;
    assert!(
        !Path::new(&format!("/proc/{pid}")).exists(),
        "no instance outlives the daemon"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_an_invocation() {
    let host = Host::start("").await;
    host.deploy("f", json!({})).await;
    let answer = host
        .call(
            "f",
            &[("X-Amz-Log-Type", "Tail")],
            br#"{"print": "from the handler"}"#,
        )
        .await;
    let tail = base64::engine::general_purpose::STANDARD
        .decode(answer.header("x-amz-log-result"))
        .expect("base64");
    let tail = String::from_utf8(tail).expect("text");
    let id = answer.header("x-amzn-requestid");
    assert!(
        tail.starts_with(&format!(
            "START RequestId: {id} Version: $LATEST\nfrom the handler\nEND RequestId: {id}\n"
        )),
        "{tail}"
    );
    assert!(
        tail.contains(&format!("REPORT RequestId: {id}\tDuration: "))
            && tail.contains("Init Duration"),
        "{tail}"
    );

    let log = host
        .admin("GET", "/v1/functions/f/logs", &Value::Null)
        .await;
    assert_eq!(
        String::from_utf8(log.body).expect("text"),
        format!("loaded\n{tail}")
    );
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failing_function_looks_like() {
    let host = Host::start("").await;
    host.deploy("f", json!({ "timeout_s": 1 })).await;

    let raised = host.invoke("f", json!({ "raise": "no such key" })).await;
    assert_eq!(error_type(&raised), "ValueError");
    assert_eq!(raised.json()["errorMessage"], "no such key");
    let after = host.invoke("f", json!({})).await;
    assert_eq!(
        after.header("x-nexus-instance"),
        raised.header("x-nexus-instance"),
        "an exception does not end the instance"
    );

    let died = host.invoke("f", json!({ "exit": 7 })).await;
    assert_eq!(error_type(&died), "Runtime.ExitError");
    let id = died.header("x-amzn-requestid");
    assert_eq!(
        died.json()["errorMessage"],
        format!("RequestId: {id} Error: Runtime exited with error: exit status 7")
    );

    let hung = host.invoke("f", json!({ "sleep": 1000 })).await;
    assert_ne!(
        hung.header("x-nexus-instance"),
        died.header("x-nexus-instance")
    );
    assert_eq!(error_type(&hung), "Sandbox.Timedout");
    let id = hung.header("x-amzn-requestid");
    assert_eq!(
        hung.json()["errorMessage"],
        format!("RequestId: {id} Error: Task timed out after 1.00 seconds")
    );
    assert!(
        host.instances().await.is_empty(),
        "an instance that hangs is ended"
    );

    host.deploy("broken", json!({ "env": { "INIT_ERROR": "1" } }))
        .await;
    let broken = host.invoke("broken", json!({})).await;
    assert_eq!(error_type(&broken), "Runtime.ImportModuleError");
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_leaves_after_its_answer_is_replaced() {
    let host = Host::start("").await;
    host.deploy("f", json!({})).await;
    for _ in 0..5 {
        let answer = host.invoke("f", json!({ "leave": 0 })).await;
        assert_eq!(answer.header("x-amz-function-error"), "", "{answer:?}");
        assert_eq!(answer.json()["count"], 1);
    }
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pool_is_bounded() {
    let host = Host::start("max_instances = 1").await;
    host.deploy("f", json!({ "timeout_s": 900 })).await;
    host.deploy("g", json!({})).await;
    let slow = host.invoke("f", json!({ "sleep": 2 }));
    let other = async {
        host.until_running().await;
        let throttled = host.invoke("f", json!({})).await;
        let queued = host
            .call(
                "f",
                &[("X-Amz-Invocation-Type", "Event")],
                br#"{"print": "later"}"#,
            )
            .await;
        (throttled, queued)
    };
    let (slow, (throttled, queued)) = tokio::join!(slow, other);
    assert_eq!(slow.status, 200);
    assert_eq!(throttled.status, 429);
    assert_eq!(
        throttled.header("x-amzn-errortype"),
        "TooManyRequestsException"
    );
    assert_eq!(queued.status, 202);
    assert!(queued.body.is_empty());
    eventually("the event is run when there is room", async || {
        let log = host
            .admin("GET", "/v1/functions/f/logs", &Value::Null)
            .await;
        String::from_utf8_lossy(&log.body).contains("\nlater\n")
    })
    .await;
    eventually(
        "an idle instance makes room for another function",
        async || host.invoke("g", json!({})).await.status == 200,
    )
    .await;
    let instances = host.instances().await;
    assert_eq!(instances.len(), 1);
    assert_eq!(instances[0]["function"], "g");
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_instances_go_and_replaced_functions_too() {
    let host = Host::start("idle_timeout_s = 1").await;
    host.deploy("f", json!({})).await;
    assert_eq!(host.invoke("f", json!({})).await.json()["count"], 1);
    host.deploy("f", json!({ "env": { "A": "B" } })).await;
    assert_eq!(
        host.invoke("f", json!({})).await.json()["count"],
        1,
        "a new deployment is a new process"
    );
    eventually("the idle instance is ended", async || {
        host.instances().await.is_empty()
    })
    .await;
    assert_eq!(
        host.admin("DELETE", "/v1/functions/f", &Value::Null)
            .await
            .status,
        204
    );
    assert_eq!(
        host.invoke("f", json!({})).await.header("x-amzn-errortype"),
        "ResourceNotFoundException"
    );
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_reach_no_function() {
    let host = Host::start("").await;
    host.deploy("f", json!({})).await;
    let large = vec![b' '; 6 * 1024 * 1024 + 1];
    for (name, headers, event, status, code) in [
        (
            "nobody",
            vec![],
            &b"{}"[..],
            404,
            "ResourceNotFoundException",
        ),
        (
            "f?Qualifier=v7",
            vec![],
            b"{}",
            404,
            "ResourceNotFoundException",
        ),
        (
            "a%20b",
            vec![],
            b"{}",
            400,
            "InvalidParameterValueException",
        ),
        (
            "f",
            vec![("X-Amz-Invocation-Type", "Later")],
            b"{}",
            400,
            "InvalidParameterValueException",
        ),
        (
            "f",
            vec![],
            b"{\"a\":",
            400,
            "InvalidRequestContentException",
        ),
        ("f", vec![], &large, 413, "RequestTooLargeException"),
        ("nobody", vec![], &large, 404, "ResourceNotFoundException"),
        (
            "f",
            vec![("X-Amz-Invocation-Type", "Event")],
            &large[..=1024 * 1024],
            413,
            "RequestTooLargeException",
        ),
        (
            "f",
            vec![("X-Amz-Invocation-Type", "DryRun")],
            b"{}",
            204,
            "",
        ),
    ] {
        let (name, query) = name
            .split_once('?')
            .map_or((name, String::new()), |(name, query)| {
                (name, format!("?{query}"))
            });
        let stream = TcpStream::connect(host.invoke).await.expect("connected");
        let path = format!("/2015-03-31/functions/{name}/invocations{query}");
        let answer = request(stream, "POST", &path, &headers, event).await;
        assert_eq!(
            (answer.status, answer.header("x-amzn-errortype")),
            (status, code),
            "{path} {headers:?}"
        );
    }
    let chunk = format!("{:x}\r\n{}\r\n", large.len(), " ".repeat(large.len()));
    let chunked = [("Transfer-Encoding", "chunked")];
    let answer = host
        .call("f", &chunked, format!("{chunk}0\r\n\r\n").as_bytes())
        .await;
    assert_eq!(answer.status, 413, "a length that shows only at the end");
    let description = json!({ "root": " ".repeat(1024 * 1024) });
    let answer = host.admin("PUT", "/v1/functions/f", &description).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(
        host.instances().await.is_empty(),
        "none of them started an instance"
    );
    let answer = host
        .call(
            "f:$LATEST",
            &[("X-Amz-Client-Context", "eyJhIjoxfQ==")],
            b"",
        )
        .await;
    assert_eq!(
        answer.json()["event"],
        json!({}),
        "no event is an empty one"
    );
    assert_eq!(
        answer.json()["headers"]["lambda-runtime-client-context"],
        "{\"a\":1}"
    );
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn descriptions_that_cannot_be_deployed() {
    let host = Host::start("").await;
    let image = root_image(host.folder.path());
    let not_an_image = host.folder.path().join("admin.sock");
    for (function, expected) in [
        (json!({}), "missing field `root`"),
        (json!({ "root": "/no/such/file" }), "No such file"),
        (json!({ "root": "root.erofs" }), "must be absolute"),
        (json!({ "root": "/etc/passwd" }), "not an EROFS image"),
        (json!({ "root": not_an_image }), "root image"),
        (
            json!({ "root": image, "memory": 128 }),
            "unknown field `memory`",
        ),
        (
            json!({ "root": image, "timeout_s": 901 }),
            "timeout_s is 901",
        ),
        (
            json!({ "root": image, "env": { "AWS_REGION": "x" } }),
            "reserved",
        ),
        (json!({ "root": image, "command": [] }), "command is empty"),
        (
            json!({ "root": image, "policy": { "endpoints": ["no port"] } }),
            "no port",
        ),
    ] {
        let answer = host.admin("PUT", "/v1/functions/f", &function).await;
        assert_eq!(answer.status, 400, "{function}");
        let error = answer.json()["error"]
            .as_str()
            .expect("an error")
            .to_owned();
        assert!(error.contains(expected), "{error}");
    }
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_that_cannot_be_published() {
    let host = Host::start("").await;
    let image = root_image(host.folder.path());
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = free.local_addr().expect("its address").port();
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a listener");
    let held = listener.local_addr().expect("its address").port();
    drop(free);
    let publish = |ports: &[String]| json!({ "root": image, "publish": ports });
    let own = publish(&[format!("{port}:80")]);
    for (name, function, expected) in [
        ("f", publish(&["80".into()]), "is not [address:]port"),
        (
            "f",
            publish(&[format!("{held}:80")]),
            "cannot be had: Address already in use",
        ),
        (
            "f",
            publish(&[format!("{port}:80"), format!("0.0.0.0:{port}:81")]),
            "(of this function) are the same port",
        ),
        ("g", own.clone(), ""),
        // Its own again.
        ("g", own.clone(), ""),
        ("f", own, "(of g) are the same port"),
        ("f", publish(&[format!("{port}:80/udp")]), ""),
    ] {
        let path = format!("/v1/functions/{name}");
        let answer = host.admin("PUT", &path, &function).await;
        if expected.is_empty() {
            assert_eq!(answer.status, 200, "{function}: {:?}", answer.json());
        } else {
            assert_eq!(answer.status, 400, "{function}");
            let error = answer.json()["error"].to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_with_published_ports_is_not_paused() {
    let host = Host::start("").await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = free.local_addr().expect("its address").port();
    drop(free);
    host.deploy("f", json!({ "publish": [format!("{port}:80")] }))
        .await;
    host.deploy("g", json!({})).await;
    let answer = host.invoke("f", json!({})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let published = host.instances().await[0]["pid"].as_u64().expect("a pid");
    // By the time that another idle instance is paused, this one would be.
    host.invoke("g", json!({})).await;
    let other = async || {
        let instances = host.instances().await;
        let pids = instances
            .iter()
            .filter_map(|instance| instance["pid"].as_u64());
        pids.filter(|pid| *pid != published).any(is_stopped)
    };
    eventually("the other instance is paused", other).await;
    assert!(!is_stopped(published), "it was paused");
    let again = host.invoke("f", json!({})).await;
    assert_eq!(again.json()["count"], 2, "the same process");
    host.end().await;
}
