// SPDX-License-Identifier: Apache-2.0
//! What is refused, and what the guest hears when the store does not answer.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

#[tokio::test]
async fn what_the_policy_does_not_allow() {
    let (folder, address) = store().await;
    let mut guest = Guest::connect(&gateway_to(&format!("http://{address}")).await).await;
    std::fs::write(folder.path().join("secret/k"), b"hidden").unwrap();
    for (method, path) in [
        (Method::GET, "/secret/k"),
        (Method::GET, "/secret?list-type=2"),
        (Method::GET, "/out/x/../../secret/k"),
        (Method::PUT, "/input/k"),
        (Method::DELETE, "/input/k"),
        (Method::PUT, "/new-bucket"),
        (Method::PUT, "/out?policy"),
        (Method::GET, "/"),
    ] {
        let refused = guest.call(method.clone(), path, "").await;
        assert!(
            matches!(refused.error(), (403, "AccessDenied") | (400, "InvalidURI")),
            "{method} {path}: {}",
            refused.text()
        );
        assert!(refused.text().contains("<RequestId>"));
    }
    let hidden = folder.path().join("secret/k");
    let absolute = guest.get(&format!("/input/{}", hidden.display())).await;
    assert_eq!(absolute.error(), (400, "InvalidURI"), "{}", absolute.text());
    assert!(absolute.text().contains("starts with"));
    let source = format!("input/{}", hidden.display());
    let copy = [("x-amz-copy-source", source.as_str())];
    let refused = guest
        .send(request(Method::PUT, "/out/k", &copy, full("")))
        .await;
    assert_eq!(refused.error(), (400, "InvalidURI"), "{}", refused.text());
    assert_eq!(guest.put("/secret/shared/k", "x").await.status, 200);
    let head = guest.call(Method::HEAD, "/secret/k", "").await;
    assert_eq!((head.status, head.body.len()), (403, 0));
    let copy = [("x-amz-copy-source", "secret/k")];
    let refused = guest
        .send(request(Method::PUT, "/out/k", &copy, full("")))
        .await;
    assert_eq!(refused.error(), (403, "AccessDenied"));
    assert!(
        refused.text().contains("reading secret/k"),
        "{}",
        refused.text()
    );
    let large = guest.put("/input/large", vec![0; MIB / 8]).await;
    assert_eq!(
        large.error(),
        (403, "AccessDenied"),
        "the body is read before the refusal"
    );
}

#[tokio::test]
async fn a_writer_may_neither_publish_nor_lock() {
    let (folder, address) = store().await;
    let mut guest = Guest::connect(&gateway_to(&format!("http://{address}")).await).await;
    for (name, value) in [
        ("x-amz-acl", "public-read"),
        (
            "x-amz-grant-read",
            "uri=\"http://acs.amazonaws.com/groups/global/AllUsers\"",
        ),
        ("x-amz-object-lock-mode", "COMPLIANCE"),
        ("x-amz-object-lock-legal-hold", "ON"),
        ("x-amz-bypass-governance-retention", "true"),
    ] {
        let put = request(Method::PUT, "/out/k", &[(name, value)], full("x"));
        let refused = guest.send(put).await;
        assert_eq!(refused.error(), (403, "AccessDenied"), "{name}");
        assert!(refused.text().contains(name), "{}", refused.text());
        assert!(!folder.path().join("out/k").exists());
    }
    let private = request(
        Method::PUT,
        "/out/k",
        &[("x-amz-acl", "private")],
        full("x"),
    );
    assert_eq!(guest.send(private).await.status, 200);
}

#[tokio::test]
async fn requests_that_an_sdk_does_not_make() {
    let (_folder, address) = store().await;
    let mut guest = Guest::connect(&gateway_to(&format!("http://{address}")).await).await;
    let presigned = guest
        .get("/input/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00")
        .await;
    assert_eq!(presigned.error(), (501, "NotImplemented"));
    let path = "/input/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00";
    let mut presigned = signed(request(Method::GET, path, &[], full("")));
    presigned.headers_mut().remove(AUTHORIZATION);
    let presigned = guest.0.send_request(presigned).await.unwrap();
    assert_eq!(presigned.status(), 501);
    let mut unsigned = signed(request(Method::GET, "/input/k", &[], full("")));
    unsigned.headers_mut().remove(AUTHORIZATION);
    let unsigned = guest.0.send_request(unsigned).await.unwrap();
    assert_eq!(unsigned.status(), 403);
}

#[tokio::test]
async fn other_services_hear_it_in_their_own_words() {
    let (_folder, address) = store().await;
    let mut guest = Guest::connect(&gateway_to(&format!("http://{address}")).await).await;
    let authorization = "AWS4-HMAC-SHA256 Credential=p/20261123/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0";
    for (content_type, expected) in [
        (
            "application/x-amz-json-1.0",
            "\"__type\":\"AccessDeniedException\"",
        ),
        (
            "application/x-www-form-urlencoded; charset=utf-8",
            "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied",
        ),
    ] {
        let headers = [
            ("host", "h"),
            ("authorization", authorization),
            ("content-type", content_type),
        ];
        let (parts, body) = guest
            .0
            .send_request(request(Method::POST, "/", &headers, full("{}")))
            .await
            .unwrap()
            .into_parts();
        let text = body.collect().await.unwrap().to_bytes();
        let text = std::str::from_utf8(&text).unwrap();
        assert_eq!(parts.status, 403);
        assert!(
            text.contains(expected) && text.contains("dynamodb"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_store_that_is_not_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut guest = Guest::connect(&gateway_to(&format!("http://{address}")).await).await;
    let refused = guest.get("/input/k").await;
    assert_eq!(refused.error(), (503, "ServiceUnavailable"));
    assert!(
        refused.text().contains("Connection refused"),
        "{}",
        refused.text()
    );
    assert!(
        !refused.text().contains(&address.to_string()),
        "addresses of the host are not the guest's business"
    );
}

#[tokio::test]
async fn a_store_that_breaks_off() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        drop(stream);
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            .await
            .unwrap();
    });
    let gateway = gateway_to(&format!("http://{address}")).await;
    let mut guest = Guest::connect(&gateway).await;
    assert_eq!(guest.get("/input/k").await.error(), (502, "BadGateway"));
    let half = guest
        .start(request(Method::GET, "/input/k", &[], full("")))
        .await;
    assert_eq!(half.status(), 200);
    assert!(
        half.into_body().collect().await.is_err(),
        "half an object is not an object"
    );
}

#[tokio::test]
async fn a_store_of_another_kind() {
    // TLS to a server without it.
    let (_folder, address) = store().await;
    let mut guest = Guest::connect(&gateway_to(&format!("https://{address}")).await).await;
    assert_eq!(
        guest.get("/input/k").await.error(),
        (503, "ServiceUnavailable")
    );
}

#[tokio::test]
async fn a_store_that_does_not_read_stops_the_guest() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = gateway_to(&format!("http://{}", listener.local_addr().unwrap())).await;
    let mut guest = Guest::connect(&gateway).await;
    let (body, taken) = Made::body(1024 * MIB);
    let put =
        tokio::spawn(async move { guest.start(request(Method::PUT, "/out/k", &[], body)).await });
    let (stream, _) = listener.accept().await.unwrap();
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = taken.load(Ordering::Relaxed);
        if now > 0 && now == before {
            break;
        }
        before = now;
    }
    // What the kernel holds for the two ends of a TCP connection is the most of it.
    assert!(
        before < 64 * MIB,
        "{before} bytes were taken from the guest"
    );
    drop(stream);
    put.abort();
}

#[tokio::test]
async fn secrets_are_not_shown() {
    let (_folder, address) = store().await;
    let gateway = gateway_to(&format!("http://{address}")).await;
    gateway.upstream.credentials.get().await.unwrap();
    assert!(!format!("{gateway:?}").contains(REAL_SECRET));
    let mut guest = Guest::connect(&gateway).await;
    let listed = guest.get("/input?list-type=2").await;
    let answer = format!("{:?} {}", listed.headers, listed.text());
    assert!(!answer.contains(REAL_ID) && !answer.contains(REAL_SECRET));
}
