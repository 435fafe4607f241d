// SPDX-License-Identifier: Apache-2.0

use hyper::client::conn::http1::{SendRequest, handshake};

use super::*;

async fn connect(service: Arc<BootService>) -> SendRequest<Full<Bytes>> {
    let (ours, theirs) = tokio::io::duplex(4096);
    tokio::spawn(service.serve(Box::pin(theirs)));
    let (sender, connection) = handshake(TokioIo::new(ours)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn ask(
    init: &mut SendRequest<Full<Bytes>>,
    method: Method,
    path: &str,
    body: String,
) -> (u16, Bytes) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .body(Full::from(body))
        .unwrap();
    let response = init.send_request(request).await.unwrap();
    let status = response.status().as_u16();
    (
        status,
        response.into_body().collect().await.unwrap().to_bytes(),
    )
}

fn config() -> BootConfig {
    BootConfig {
        env: [("TZ".to_owned(), "UTC".to_owned())].into(),
        command: Some(vec!["app.handler".to_owned()]),
        entrypoint: None,
        cwd: Some("/var/task".to_owned()),
        hostname: "thumbnail".to_owned(),
        authority: None,
    }
}

#[tokio::test]
async fn init_gets_its_configuration_and_the_time() {
    let boot = BootService::new(config());
    let mut init = connect(boot.clone()).await;
    assert_eq!(boot.booted_at(), None);
    let before = SystemTime::now();
    let (status, body) = ask(&mut init, Method::GET, "/2026-11-01/boot", String::new()).await;
    let after = SystemTime::now();
    assert_eq!(status, 200);
    assert_eq!(
        serde_json::from_slice::<BootConfig>(&body).unwrap(),
        config()
    );
    let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert!(answer["entrypoint"].is_null());
    let clock = SystemTime::UNIX_EPOCH
        + std::time::Duration::from_nanos(answer["clock_ns"].as_u64().unwrap());
    assert!(before <= clock && clock <= after);
    let first = boot.booted_at();
    assert!(first.is_some());
    ask(&mut init, Method::GET, "/2026-11-01/boot", String::new()).await;
    assert_eq!(boot.booted_at(), first);
}

#[tokio::test]
async fn the_first_report_of_an_exit_counts() {
    let boot = BootService::new(config());
    let mut init = connect(boot.clone()).await;
    for report in [
        r#"{"status":"signaled","code":9}"#,
        r#"{"status":"exited","code":0}"#,
    ] {
        let (status, body) = ask(
            &mut init,
            Method::POST,
            "/2026-11-01/exit",
            report.to_owned(),
        )
        .await;
        assert_eq!((status, body.len()), (204, 0));
    }
    assert_eq!(boot.exited().await, ProcessExit::Signaled { signal: 9 });
}

#[test]
fn reports_of_all_kinds() {
    let parse = |text| serde_json::from_str::<ProcessExit>(text).unwrap();
    assert_eq!(
        parse(r#"{"status":"exited","code":3,"error":null}"#),
        ProcessExit::Exited { code: 3 }
    );
    let failed = ProcessExit::Failed {
        error: "no such file".to_owned(),
    };
    assert_eq!(
        parse(r#"{"status":"failed","error":"no such file"}"#),
        failed
    );
}

#[tokio::test]
async fn bad_requests() {
    let mut init = connect(BootService::new(config())).await;
    for (method, path, body, expected) in [
        (Method::GET, "/", String::new(), 404),
        (Method::POST, "/2026-11-01/boot", String::new(), 405),
        (Method::POST, "/2026-11-01/exit", "{}".to_owned(), 400),
        (
            Method::POST,
            "/2026-11-01/exit",
            "x".repeat(MAX_REPORT + 1),
            413,
        ),
    ] {
        let (status, text) = ask(&mut init, method, path, body).await;
        assert_eq!(status, expected, "{path}: {text:?}");
    }
}
