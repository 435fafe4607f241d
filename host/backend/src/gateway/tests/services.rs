// SPDX-License-Identifier: Apache-2.0
//! Services other than S3: what reaches them, and what must not.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::{Calls, ServiceRule};
use super::*;

/// A service that answers everything with `answer`, and the requests that reached it.
async fn service(answer: impl Into<Vec<u8>>) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let answer = answer.into();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let requests = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 64 * 1024];
            let length = stream.read(&mut request).await.unwrap();
            let text = String::from_utf8_lossy(&request[..length]).into_owned();
            requests.lock().unwrap().push(text);
            stream.write_all(&answer).await.unwrap();
        }
    });
    (address, seen)
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

/// A gateway of a function that may ask who it is, publish, and do all things to a database.
async fn gateway(address: SocketAddr) -> Arc<Gateway> {
    let names = ["sts", "sns", "dynamodb", "ecr"];
    let endpoints = names.map(|name| (name.to_owned(), format!("http://{address}")));
    let config = GatewayConfig::new("us-east-1", HashMap::from(endpoints));
    let rule = |service: &str, actions: &[&str]| ServiceRule {
        service: service.into(),
        actions: actions.iter().map(|action| (*action).into()).collect(),
    };
    let policy = Policy {
        services: vec![
            rule("sts", &[]),
            rule("sns", &["Publish"]),
            rule("dynamodb", &[]),
            rule("ecr", &[]),
        ],
        ..Policy::default()
    };
    let key = Credentials::new(
        REAL_ID,
        REAL_SECRET,
        Some("real-token".into()),
        None,
        "test",
    );
    let upstream = Upstream::new(config, SharedCredentialsProvider::new(key))
        .await
        .unwrap();
    Gateway::new(upstream, Arc::new(policy), "f".to_owned())
}

/// Sends a request over HTTP as a guest would write it by hand, and returns the status.
async fn send(gateway: &Arc<Gateway>, service: &str, request: &str) -> u16 {
    let (mut ours, theirs) = tokio::io::duplex(256 * 1024);
    tokio::spawn(gateway.clone().serve(Box::pin(theirs)));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=p/20261126/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    );
    let (line, rest) = request.split_once("\r\n").unwrap();
    let text = format!("{line}\r\nhost: a\r\nauthorization: {authorization}\r\n{rest}");
    ours.write_all(text.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    ours.read_exact(&mut answer).await.unwrap();
    std::str::from_utf8(&answer[9..]).unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_is_allowed_is_signed_anew() {
    let (address, seen) = service(OK).await;
    let gateway = gateway(address).await;
    let body = "Action=GetCallerIdentity&Version=2011-06-15";
    let request = format!(
        "POST / HTTP/1.1\r\ncontent-type: application/x-www-form-urlencoded\r\naccept-encoding: gzip\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(send(&gateway, "sts", &request).await, 200);
    let seen = seen.lock().unwrap();
    assert!(
        seen[0].contains(&format!("Credential={REAL_ID}/")),
        "{}",
        seen[0]
    );
    assert!(seen[0].contains("x-amz-security-token: real-token") && seen[0].ends_with(body));
    assert!(!seen[0].contains("accept-encoding"), "{}", seen[0]);
}

#[tokio::test]
async fn what_is_judged_is_what_is_done() {
    let (address, seen) = service(OK).await;
    let gateway = gateway(address).await;
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    for (service, start, body) in [
        // Named in Connection, a header would be gone when the service looks.
        (
            "sts",
            format!(
                "POST / HTTP/1.1\r\nconnection: x-amz-target\r\nx-amz-target: a.GetCallerIdentity\r\n{form}"
            ),
            "Action=AssumeRole",
        ),
        (
            "sts",
            format!("POST /?Action=AssumeRole HTTP/1.1\r\nconnection: content-type\r\n{form}"),
            "Action=GetCallerIdentity",
        ),
        (
            "sts",
            "POST / HTTP/1.1\r\n".to_owned(),
            "%41ction=AssumeRole",
        ),
        (
            "sts",
            "GET /?%41ction=AssumeRole HTTP/1.1\r\n".to_owned(),
            "",
        ),
        (
            "sts",
            "POST / HTTP/1.1\r\nx-amz-target: a.GetCallerIdentity\r\n".to_owned(),
            "",
        ),
        (
            "sns",
            format!("POST / HTTP/1.1\r\nx-amz-target: a.Publish\r\n{form}"),
            "Action=DeleteTopic",
        ),
        (
            "ecr",
            "POST / HTTP/1.1\r\nx-amz-target: a.GetAuthorizationToken\r\n".to_owned(),
            "{}",
        ),
        ("ecr", "POST / HTTP/1.1\r\n".to_owned(), "{}"),
        (
            "dynamodb",
            "POST / HTTP/1.1\r\nx-amz-target: D.GetItem\r\nx-amz-target: D.DeleteTable\r\n"
                .to_owned(),
            "{}",
        ),
        (
            "kms",
            "POST / HTTP/1.1\r\nx-amz-target: K.ListKeys\r\n".to_owned(),
            "{}",
        ),
        (
            "iam",
            format!("POST / HTTP/1.1\r\n{form}"),
            "Action=CreateAccessKey",
        ),
    ] {
        let request = format!("{start}content-length: {}\r\n\r\n{body}", body.len());
        assert_eq!(
            send(&gateway, service, &request).await,
            403,
            "{service} {start}{body}"
        );
    }
    assert!(seen.lock().unwrap().is_empty(), "{seen:?}");
}

#[tokio::test]
async fn large_bodies_are_refused_before_they_take_memory() {
    let (address, seen) = service(OK).await;
    let gateway = gateway(address).await;
    let large = "POST / HTTP/1.1\r\nx-amz-target: D.GetItem\r\ncontent-length: 99999999\r\nexpect: 100-continue\r\n\r\n";
    assert_eq!(send(&gateway, "dynamodb", large).await, 413);
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_cut_call_is_not_made() {
    let (address, seen) = service(OK).await;
    let gateway = gateway(address).await;
    let (mut ours, theirs) = tokio::io::duplex(MIB);
    let served = tokio::spawn(Calls::new(gateway).serve(Box::pin(theirs)));
    let head =
        b"sns\0us-east-1\0Publish\0POST\0/\0content-type\0application/x-www-form-urlencoded\0";
    let request = nexus_proto::call::Request {
        head: u32::try_from(head.len()).unwrap(),
        body: 400_000,
    };
    ours.write_all(&request.encode()).await.unwrap();
    ours.write_all(head).await.unwrap();
    let body = format!("Action=Publish&Message={}", "x".repeat(300_000));
    ours.write_all(body.as_bytes()).await.unwrap();
    drop(ours);
    served.await.unwrap();
    assert!(seen.lock().unwrap().is_empty(), "{seen:?}");
}

#[tokio::test]
async fn what_was_signed_is_not_repeated_to_the_guest() {
    use std::io::Write as _;

    let plain = |text: &str| text.as_bytes().to_vec();
    let packed = |text: &str| {
        let level = flate2::Compression::fast();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), level);
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap()
    };
    let xml = "<Error><Code>SignatureDoesNotMatch</Code>AKIA</Error>";
    let json = r#"{"__type":"InvalidSignatureException","message":"should have been 'POST /'"}"#;
    let allowed = r#"{"__type":"ConditionalCheckFailedException","message":"m"}"#;
    for (status, encoding, body, expected) in [
        ("403 Forbidden", "identity", plain(xml), 502),
        ("403 Forbidden", "gzip", packed(xml), 502),
        ("400 Bad Request", "identity", plain(json), 502),
        ("400 Bad Request", "gzip", packed(json), 502),
        ("400 Bad Request", "gzip", packed("{} real-token"), 502),
        ("400 Bad Request", "gzip", packed(allowed), 400),
        ("400 Bad Request", "gzip", plain(allowed), 502),
        ("400 Bad Request", "br", plain(allowed), 502),
    ] {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-encoding: {encoding}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        );
        let answer = [head.into_bytes(), body].concat();
        let (address, _) = service(answer).await;
        let gateway = gateway(address).await;
        let request = "POST / HTTP/1.1\r\nx-amz-target: D.GetItem\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(
            send(&gateway, "dynamodb", request).await,
            expected,
            "{status} {encoding}"
        );
    }
}
