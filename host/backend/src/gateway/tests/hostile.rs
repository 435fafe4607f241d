// SPDX-License-Identifier: Apache-2.0
//! Stores that answer what no store should, and requests at the edge of what there is: each an answer, or an error that SDKs know, and
//! nothing else disturbed.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

/// A server that does to each connection, after a request's head, what `act` says.
async fn server<F>(act: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => break,
                }
            }
            tokio::spawn(act(stream));
        }
    });
    address
}

async fn saying(answer: &'static [u8]) -> SocketAddr {
    server(move |mut stream| async move { stream.write_all(answer).await }).await
}

/// What a guest gets: a status and code, or nothing that is whole.
async fn get(gateway: &Arc<Gateway>) -> Option<(u16, String)> {
    let mut guest = Guest::connect(gateway).await;
    let get = signed(request(Method::GET, "/input/k", &[], full("")));
    let (parts, body) = guest.0.send_request(get).await.ok()?.into_parts();
    let body = tokio::time::timeout(Duration::from_secs(20), body.collect())
        .await
        .unwrap()
        .ok()?
        .to_bytes();
    let answer = Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body,
    };
    let (status, code) = answer.error();
    Some((status, code.to_owned()))
}

#[tokio::test]
async fn what_is_no_http() {
    for garbage in [
        &b"SSH-2.0-OpenSSH_9.6\r\n"[..],
        b"HTTP/1.1 999999 What\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 7\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\na header without a colon\r\n\r\n",
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"",
    ] {
        let gateway = gateway_to(&format!("http://{}", saying(garbage).await)).await;
        let expected = Some((502, "BadGateway".to_owned()));
        assert_eq!(
            get(&gateway).await,
            expected,
            "{}",
            String::from_utf8_lossy(garbage)
        );
    }
}

#[tokio::test]
async fn bodies_that_are_not_what_was_said() {
    for (broken, whole) in [
        (
            &b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhello"[..],
            false,
        ),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
            false,
        ),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
            false,
        ),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
            false,
        ),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            true,
        ),
        // What comes after it is nobody's.
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello, and more",
            true,
        ),
    ] {
        let gateway = gateway_to(&format!("http://{}", saying(broken).await)).await;
        let text = String::from_utf8_lossy(broken);
        assert_eq!(get(&gateway).await.is_some(), whole, "{text}");
        // Nor is the next answer any other's.
        assert_eq!(get(&gateway).await.is_some(), whole, "{text}");
    }
}

#[tokio::test]
async fn heads_and_errors_without_end() {
    let long = server(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
        loop {
            stream
                .write_all(&[b"x-long: ", &[b'x'; 8192][..], b"\r\n"].concat())
                .await?;
        }
    })
    .await;
    let gateway = gateway_to(&format!("http://{long}")).await;
    assert_eq!(get(&gateway).await, Some((502, "BadGateway".to_owned())));
    let error = server(|mut stream| async move {
        stream
            .write_all(b"HTTP/1.1 400 Bad\r\n\r\n<Error><Code>")
            .await?;
        loop {
            stream.write_all(&[b'x'; 8192]).await?;
        }
    })
    .await;
    let gateway = gateway_to(&format!("http://{error}")).await;
    assert_eq!(get(&gateway).await, Some((502, "BadGateway".to_owned())));
}

#[tokio::test]
async fn promises_without_end() {
    let address = server(|mut stream| async move {
        loop {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let config = GatewayConfig {
        read_timeout: Duration::from_millis(500),
        ..GatewayConfig::new(
            "us-east-1",
            HashMap::from([("s3".to_owned(), format!("http://{address}"))]),
        )
    };
    let upstream = Upstream::new(config, key()).await.unwrap();
    let gateway = Gateway::new(upstream, Arc::new(policy()), "f".to_owned());
    assert_eq!(
        get(&gateway).await,
        Some((504, "GatewayTimeout".to_owned()))
    );
}

#[tokio::test]
async fn a_body_of_more_than_five_gibibytes_is_for_the_store_to_refuse() {
    const LENGTH: usize = 5 * 1024 * MIB + 1;
    let refusal = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 42\r\n\r\n<Error><Code>EntityTooLarge</Code></Error>";
    let address = server(move |mut stream| async move {
        let mut some = vec![0; 8 * MIB];
        stream.read_exact(&mut some).await?;
        stream.write_all(refusal).await?;
        // Until it is read: a reset would take it away.
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok(())
    })
    .await;
    let mut guest = Guest::connect(&gateway_to(&format!("http://{address}")).await).await;
    let (body, taken) = Made::body(LENGTH);
    let put = guest.start(request(Method::PUT, "/out/k", &[], body)).await;
    assert_eq!(put.status(), 400);
    let text = put.into_body().collect().await.unwrap().to_bytes();
    assert!(text.windows(14).any(|part| part == b"EntityTooLarge"));
    let taken = taken.load(Ordering::Relaxed);
    assert!(taken < 128 * MIB, "{taken} bytes were held");
}

#[tokio::test]
async fn a_body_shorter_than_it_was_said_is_no_object() {
    let (folder, address) = store().await;
    let gateway = gateway_to(&format!("http://{address}")).await;
    for length in [100_000, 3 * MIB] {
        let put = request(
            Method::PUT,
            "/out/short",
            &[("content-length", &length.to_string())],
            full(""),
        );
        let (parts, _) = signed(put).into_parts();
        let mut head = "PUT /out/short HTTP/1.1\r\n".to_owned();
        for (name, value) in &parts.headers {
            head += &[name.as_str(), ": ", value.to_str().unwrap(), "\r\n"].concat();
        }
        let (mut ours, theirs) = tokio::io::duplex(64 * 1024);
        let served = tokio::spawn(gateway.clone().serve(Box::pin(theirs)));
        ours.write_all(head.as_bytes()).await.unwrap();
        ours.write_all(b"\r\n").await.unwrap();
        ours.write_all(&vec![b'x'; 90_000]).await.unwrap();
        drop(ours);
        served.await.unwrap();
        assert!(!folder.path().join("out/short").exists(), "{length}");
    }
    let mut guest = Guest::connect(&gateway).await;
    assert_eq!(guest.put("/out/k", "x").await.status, 200);
}

/// Puts an object and reads it again; the statuses.
async fn round(guest: &mut Guest, key: &str) -> (u16, u16) {
    let path = format!("/out/{key}");
    let put = guest.put(&path, key.to_owned()).await;
    if put.status != 200 {
        return (put.status, 0);
    }
    let got = guest.get(&path).await;
    assert_eq!(got.body, key.as_bytes(), "{key}: {}", got.status);
    assert_eq!(
        guest.call(Method::DELETE, &path, "").await.status,
        204,
        "{key}"
    );
    (put.status, got.status)
}

#[tokio::test]
async fn keys_of_all_bytes() {
    let (_folder, address) = store().await;
    let gateway = gateway_to(&format!("http://{address}")).await;
    let mut guest = Guest::connect(&gateway).await;
    for byte in 0..=255_u8 {
        let done = round(&mut guest, &format!("a%{byte:02X}b")).await;
        let expected = match byte {
            // Not UTF-8, or cut off by a file system; the backslash would begin a segment.
            0 | 0x80.. => (400, 0),
            _ => (200, 200),
        };
        assert_eq!(done, expected, "{byte:02x}");
    }
    // As they are, where a URI can hold them.
    for byte in (b'!'..=b'~').filter(|byte| !b"#%?\"<>\\^`{|}".contains(byte)) {
        let key = format!("a{}b", char::from(byte));
        assert_eq!(round(&mut guest, &key).await, (200, 200), "{key}");
    }
}

#[tokio::test]
async fn keys_that_are_read_in_many_ways() {
    let (_folder, address) = store().await;
    let gateway = gateway_to(&format!("http://{address}")).await;
    let mut guest = Guest::connect(&gateway).await;
    for key in [
        "a+b%20c%2Bd",
        "%3Fversions%3D1",
        "a%23b%26c%3Dd",
        "%25%32%65",
        "%E2%82%AC/%F0%9F%98%80/%C3%BC",
        "e%CC%81",
        "...",
        "..a/b..",
        "~a%7Eb",
        "%C2%A0",
        "%E2%80%AE",
        "%2A%27%28%29%21",
    ] {
        assert_eq!(round(&mut guest, key).await, (200, 200), "{key}");
    }
    for key in [
        "a/../b",
        "a/%2E%2E/b",
        "..",
        ".",
        "%2Fa",
        "/a",
        "a/..",
        "a%5C..%5Cb",
    ] {
        assert_eq!(round(&mut guest, key).await.0, 400, "{key}");
    }
    // Whatever a store makes of these, it is asked for them with a signature that it takes.
    let long = vec!["x".repeat(127); 8].join("/") + "/";
    assert_eq!(long.len(), 1024);
    for key in ["a//b", "a/", "a%0Ab", &long, &"y".repeat(1024)] {
        let put = guest.put(&format!("/out/{key}"), "x").await;
        assert_ne!(put.status, 403, "{key}: {}", put.text());
    }
    assert_eq!(round(&mut guest, "plain").await, (200, 200));
}
