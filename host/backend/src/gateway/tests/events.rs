// SPDX-License-Identifier: Apache-2.0
//! Answers that are streams of events, which come when they come; and requests that are, which the gateway cannot sign.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::super::{Calls, ServiceRule};
use super::*;

const EVENTS: &str = "application/vnd.amazon.eventstream";

/// A service that sends an event for each that the test gives, and the gateway of a function that may ask it.
async fn service() -> (mpsc::UnboundedSender<Vec<u8>>, Arc<Gateway>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, mut events) = mpsc::unbounded_channel::<Vec<u8>>();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {EVENTS}\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        while let Some(event) = events.recv().await {
            let size = format!("{:x}\r\n", event.len());
            stream
                .write_all(&[size.as_bytes(), &event, b"\r\n"].concat())
                .await
                .unwrap();
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
    });
    let names = ["s3", "bedrock", "kinesis", "transcribe"];
    let endpoints = names.map(|name| (name.to_owned(), format!("http://{address}")));
    let config = GatewayConfig::new("us-east-1", HashMap::from(endpoints));
    let rule = |name: &&str| ServiceRule {
        service: (*name).to_owned(),
        actions: Vec::new(),
    };
    let policy = Policy {
        services: names.iter().map(rule).collect(),
        ..policy()
    };
    let upstream = Upstream::new(config, key()).await.unwrap();
    (
        sender,
        Gateway::new(upstream, Arc::new(policy), "f".to_owned()),
    )
}

/// An event of AWS's framing: lengths, checksums, no headers.
fn event(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + payload.len()).unwrap();
    let mut event = [length.to_be_bytes(), 0_u32.to_be_bytes()].concat();
    event.extend(crc32fast::hash(&event).to_be_bytes());
    event.extend(payload);
    event.extend(crc32fast::hash(&event).to_be_bytes());
    event
}

#[tokio::test]
async fn each_event_comes_when_it_is_sent() {
    for (path, service_name) in [
        ("/input/k?select&select-type=2", "s3"),
        ("/model/m/invoke-with-response-stream", "bedrock"),
        ("/", "kinesis"),
    ] {
        let (sender, gateway) = service().await;
        let mut guest = Guest::connect(&gateway).await;
        let mut asked = signed(request(Method::POST, path, &[], full("{}")));
        let authorization = asked.headers()[AUTHORIZATION].to_str().unwrap();
        let authorization = authorization.replace("/s3/", &format!("/{service_name}/"));
        asked
            .headers_mut()
            .insert(AUTHORIZATION, authorization.parse().unwrap());
        let answer = guest.0.send_request(asked).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.headers()["content-type"], EVENTS);
        let mut body = answer.into_body();
        for number in 0..5 {
            let sent = event(format!("event {number}").as_bytes());
            sender.send(sent.clone()).unwrap();
            // Nothing else follows: whoever kept it back would keep it for ever.
            let came = tokio::time::timeout(Duration::from_secs(20), body.frame());
            let came = came.await.unwrap().unwrap().unwrap().into_data().unwrap();
            assert_eq!(came, sent, "{path}");
        }
        drop(sender);
        assert!(body.frame().await.is_none());
    }
}

#[tokio::test]
async fn requests_signed_event_by_event_are_refused_before_they_are_sent() {
    let (_sender, gateway) = service().await;
    for headers in [
        &[("content-type", EVENTS)][..],
        &[
            ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-EVENTS"),
            ("content-type", "application/json"),
        ],
    ] {
        let (mut ours, theirs) = tokio::io::duplex(64 * 1024);
        tokio::spawn(gateway.clone().serve(Box::pin(theirs)));
        let authorization = "AWS4-HMAC-SHA256 Credential=p/20261126/us-east-1/transcribe/aws4_request, SignedHeaders=host, Signature=0";
        let mut head = format!(
            "POST /stream-transcription HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\nexpect: 100-continue\r\nauthorization: {authorization}\r\n"
        );
        for (name, value) in headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        ours.write_all(format!("{head}\r\n").as_bytes())
            .await
            .unwrap();
        let mut answer = vec![0; 4096];
        let length = ours.read(&mut answer).await.unwrap();
        let text = String::from_utf8_lossy(&answer[..length]);
        assert!(text.starts_with("HTTP/1.1 501"), "{text}");
        assert!(text.contains("event by event"), "{text}");
    }
    drop(Calls::new(gateway));
}
