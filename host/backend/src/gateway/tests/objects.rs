// SPDX-License-Identifier: Apache-2.0
//! What works as with S3, against a real store.

use super::*;

async fn guest() -> (TempDir, Guest) {
    guest_who(Presign::Reads).await
}

/// A guest who may have URLs signed for this.
async fn guest_who(presign: Presign) -> (TempDir, Guest) {
    let (folder, address) = store().await;
    let policy = Policy {
        presign,
        ..policy()
    };
    let gateway = gateway_of(&format!("http://{address}"), policy).await;
    (folder, Guest::connect(&gateway).await)
}

#[tokio::test]
async fn a_url_for_a_write_needs_leave() {
    let (_folder, mut guest) = guest().await;
    let headers = [("x-nexus-presign", "60")];
    let refused = guest
        .send(request(Method::PUT, "/out/a", &headers, full("")))
        .await;
    assert_eq!(refused.error(), (403, "AccessDenied"));
}

#[tokio::test]
async fn a_url_is_good_for_whoever_has_it() {
    let (folder, mut guest) = guest_who(Presign::All).await;
    std::fs::write(folder.path().join("input/a b"), b"pixels").unwrap();
    let url = async |guest: &mut Guest, method, path: &str, seconds: &str| {
        let headers = [("x-nexus-presign", seconds)];
        guest.send(request(method, path, &headers, full(""))).await
    };
    let got = url(&mut guest, Method::GET, "/input/a%20b", "60").await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert!(got.text().contains("X-Amz-Expires=60"), "{}", got.text());
    let of = |answer: &Answer| answer.text().to_owned();
    let (get, tampered) = (of(&got), of(&got).replace("a%20b", "c"));
    let put = of(&url(&mut guest, Method::PUT, "/out/new", "60").await);
    assert_eq!(curl(get, &[]).await, "pixels 200");
    let content = &[
        "--request",
        "PUT",
        "--data-binary",
        "content",
        "--header",
        "Content-Type:",
    ];
    assert_eq!(curl(put, content).await, " 200");
    let tampered = curl(tampered, &[]).await;
    assert!(tampered.ends_with(" 403"), "{tampered}");
    let written = std::fs::read(folder.path().join("out/new")).unwrap();
    assert_eq!(written, b"content");

    let refused = url(&mut guest, Method::PUT, "/input/a", "60").await;
    assert_eq!(refused.error(), (403, "AccessDenied"));
    let refused = url(&mut guest, Method::GET, "/input/a", "604801").await;
    assert_eq!(refused.error(), (400, "AuthorizationQueryParametersError"));
}

/// What curl hears from the store: a body and a status.
async fn curl(url: String, args: &'static [&'static str]) -> String {
    let curl = move || {
        let mut command = std::process::Command::new("curl");
        command.args(["--silent", "--write-out", " %{http_code}"]);
        command.args(args).arg(url).output().unwrap()
    };
    let output = tokio::task::spawn_blocking(curl).await.unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn a_url_holds_what_it_is_to_hold() {
    let (folder, mut guest) = guest_who(Presign::All).await;
    let headers = [
        ("x-nexus-presign", "60"),
        ("x-nexus-presign-query", "x-amz-meta-b;x-amz-meta-none"),
        ("x-nexus-presign-signed", "content-disposition;x-amz-meta-a"),
        ("x-nexus-presign-length", "7"),
        ("x-amz-meta-a", "1"),
        ("x-amz-meta-b", "2 +"),
        ("cache-control", "no-cache"),
        ("content-disposition", "attachment"),
    ];
    let put = request(Method::PUT, "/out/k?x-id=PutObject", &headers, full(""));
    let answer = guest.send(put).await;
    let url = answer.text().to_owned();
    assert_eq!(answer.status, 200, "{url}");
    let (target, _) = url.split_once("&X-Amz-Algorithm").unwrap();
    assert!(
        target.ends_with("/out/k?x-id=PutObject&x-amz-meta-b=2%20%2B"),
        "{url}"
    );
    let signed = "content-disposition%3Bcontent-length%3Bhost%3Bx-amz-meta-a";
    assert!(
        url.contains(&format!("X-Amz-SignedHeaders={signed}&")),
        "{url}"
    );
    let whole: &[&str] = &[
        "--request",
        "PUT",
        "--data-binary",
        "content",
        "--header",
        "Content-Type:",
        "--header",
        "Content-Disposition: attachment",
        "--header",
        "x-amz-meta-a: 1",
    ];
    assert_eq!(curl(url.clone(), whole).await, " 200");
    assert_eq!(
        std::fs::read(folder.path().join("out/k")).unwrap(),
        b"content"
    );
    assert!(curl(url, &whole[..6]).await.ends_with(" 403"));
}

#[tokio::test]
async fn a_url_begins_when_it_is_to_begin() {
    let (folder, mut guest) = guest_who(Presign::Reads).await;
    std::fs::write(folder.path().join("input/k"), b"pixels").unwrap();
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let mut sign = async |seconds: u64| {
        let date = seconds.to_string();
        let headers = [("x-nexus-presign", "900"), ("x-nexus-presign-date", &date)];
        guest
            .send(request(Method::GET, "/input/k", &headers, full("")))
            .await
    };
    let since = sign(now - 600).await.text().to_owned();
    assert_eq!(curl(since, &[]).await, "pixels 200");
    let past = sign(900_000_000).await.text().to_owned();
    assert!(past.contains("X-Amz-Date=19980709T160000Z"), "{past}");
    assert!(curl(past, &[]).await.ends_with(" 403"));
    // By which it would be valid for longer than it may be.
    let error = (400, "AuthorizationQueryParametersError");
    assert_eq!(sign(now + 3600).await.error(), error);
    assert_eq!(sign(u64::MAX).await.error(), error);
}

#[tokio::test]
async fn what_a_url_cannot_hold_is_refused() {
    let (_folder, mut guest) = guest_who(Presign::All).await;
    for (name, value) in [
        ("x-nexus-presign-query", "content-type"),
        ("x-nexus-presign-query", "x-amz-meta a"),
        ("x-nexus-presign-signed", "a b"),
        ("x-nexus-presign-length", "-1"),
        ("x-nexus-presign-date", "tomorrow"),
    ] {
        let headers = [("x-nexus-presign", "60"), (name, value)];
        let refused = guest
            .send(request(Method::PUT, "/out/k", &headers, full("")))
            .await;
        let expected = (400, "AuthorizationQueryParametersError");
        assert_eq!(refused.error(), expected, "{name}: {value}");
    }
    // Policy holds for what becomes a parameter.
    let headers = [
        ("x-nexus-presign", "60"),
        ("x-nexus-presign-query", "x-amz-acl"),
        ("x-amz-acl", "public-read"),
    ];
    let refused = guest
        .send(request(Method::PUT, "/out/k", &headers, full("")))
        .await;
    assert_eq!(refused.error(), (403, "AccessDenied"));
}

#[tokio::test]
async fn put_get_head_list_copy_delete() {
    let (folder, mut guest) = guest().await;
    std::fs::write(folder.path().join("input/photo 1+ä.jpg"), b"pixels").unwrap();
    let got = guest.get("/input/photo%201%2B%C3%A4.jpg").await;
    assert_eq!((got.status, got.text()), (200, "pixels"));

    assert_eq!(guest.put("/out/a/b.txt", "hello, store").await.status, 200);
    assert_eq!(
        std::fs::read(folder.path().join("out/a/b.txt")).unwrap(),
        b"hello, store"
    );
    let range = guest
        .send(request(
            Method::GET,
            "/out/a/b.txt",
            &[("range", "bytes=7-11")],
            full(""),
        ))
        .await;
    assert_eq!((range.status, range.text()), (206, "store"));
    assert_eq!(range.headers["content-range"], "bytes 7-11/12");

    let head = guest.call(Method::HEAD, "/out/a/b.txt", "").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.headers["content-length"], "12");
    let list = guest.get("/out?list-type=2&prefix=a%2F").await;
    assert_eq!(list.status, 200);
    assert!(
        list.text().contains("<Key>a/b.txt</Key>"),
        "{}",
        list.text()
    );

    let copy = [("x-amz-copy-source", "/input/photo%201%2B%C3%A4.jpg")];
    assert_eq!(
        guest
            .send(request(Method::PUT, "/out/copy", &copy, full("")))
            .await
            .status,
        200
    );
    assert_eq!(guest.get("/out/copy").await.text(), "pixels");
    assert_eq!(
        guest.call(Method::DELETE, "/out/copy", "").await.status,
        204
    );
    assert!(!folder.path().join("out/copy").exists());
}

#[tokio::test]
async fn the_stores_own_errors_pass_unchanged() {
    let (_folder, mut guest) = guest().await;
    let missing = guest.get("/input/none").await;
    assert_eq!(missing.error(), (404, "NoSuchKey"));
    let head = guest.call(Method::HEAD, "/input/none", "").await;
    assert_eq!((head.status, head.body.len()), (404, 0));
}

#[tokio::test]
async fn buckets_in_amazons_host_names() {
    let (folder, mut guest) = guest().await;
    std::fs::write(folder.path().join("input/k"), b"v").unwrap();
    let host = [("host", "input.s3.us-east-1.amazonaws.com")];
    assert_eq!(
        guest
            .send(request(Method::GET, "/k", &host, full("")))
            .await
            .text(),
        "v"
    );
    let host = [("host", "secret.s3.us-east-1.amazonaws.com")];
    assert_eq!(
        guest
            .send(request(Method::GET, "/k", &host, full("")))
            .await
            .error(),
        (403, "AccessDenied")
    );
}

#[tokio::test]
async fn large_objects_both_ways() {
    let (folder, mut guest) = guest().await;
    let (body, taken) = Made::body(64 * MIB);
    assert_eq!(
        guest
            .send(request(Method::PUT, "/out/large", &[], body))
            .await
            .status,
        200
    );
    assert_eq!(taken.load(Ordering::Relaxed), 64 * MIB);
    assert_eq!(
        std::fs::metadata(folder.path().join("out/large"))
            .unwrap()
            .len(),
        64 * MIB as u64
    );

    let mut body = guest
        .start(request(Method::GET, "/out/large", &[], full("")))
        .await
        .into_body();
    assert_eq!(body.size_hint().exact(), Some(64 * MIB as u64));
    let mut at = 0;
    while let Some(frame) = body.frame().await {
        let mut data = frame.unwrap().into_data().unwrap();
        while !data.is_empty() {
            let expected = Made::part(at, data.len());
            assert!(
                data.split_to(expected.len()) == expected,
                "between {at} and {}",
                at + expected.len()
            );
            at += expected.len();
        }
    }
    assert_eq!(at, 64 * MIB);
}

#[tokio::test]
async fn chunks_with_trailers_pass_through() {
    let (folder, mut guest) = guest().await;
    // The CRC-32 of the data, in base64.
    let body = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
    let headers = [
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("x-amz-decoded-content-length", "5"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
        ("content-encoding", "aws-chunked"),
    ];
    let put = guest
        .send(request(Method::PUT, "/out/k", &headers, full(body)))
        .await;
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(
        std::fs::read(folder.path().join("out/k")).unwrap(),
        b"hello"
    );
}

#[tokio::test]
async fn chunks_signed_by_the_guest_are_unpacked() {
    let (folder, mut guest) = guest().await;
    let signature = "chunk-signature=".to_owned() + &"0".repeat(64);
    let body =
        format!("5;{signature}\r\nhello\r\n6;{signature}\r\n store\r\n0;{signature}\r\n\r\n");
    let headers = [
        ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        ("x-amz-decoded-content-length", "11"),
        ("content-encoding", "aws-chunked"),
    ];
    let put = guest
        .send(request(Method::PUT, "/out/k", &headers, full(body.clone())))
        .await;
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(
        std::fs::read(folder.path().join("out/k")).unwrap(),
        b"hello store"
    );

    let short = [
        headers[0],
        ("x-amz-decoded-content-length", "10"),
        headers[2],
    ];
    let put = guest
        .send(request(Method::PUT, "/out/wrong", &short, full(body)))
        .await;
    assert_eq!(put.error(), (400, "IncompleteBody"));
    assert!(!folder.path().join("out/wrong").exists());
}

#[tokio::test]
async fn multipart_uploads() {
    let (folder, mut guest) = guest().await;
    let created = guest.call(Method::POST, "/out/parts?uploads", "").await;
    assert_eq!(created.status, 200, "{}", created.text());
    let (_, rest) = created.text().split_once("<UploadId>").unwrap();
    let id = rest.split_once("</UploadId>").unwrap().0.to_owned();
    let mut tags = Vec::new();
    for (number, size) in [(1, 5 * MIB), (2, 10)] {
        let part = guest
            .put(
                &format!("/out/parts?partNumber={number}&uploadId={id}"),
                vec![b'x'; size],
            )
            .await;
        assert_eq!(part.status, 200, "{}", part.text());
        tags.push(format!(
            "<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag></Part>",
            part.headers["etag"].to_str().unwrap()
        ));
    }
    let list = format!(
        "<CompleteMultipartUpload>{}</CompleteMultipartUpload>",
        tags.concat()
    );
    let done = guest
        .call(Method::POST, &format!("/out/parts?uploadId={id}"), list)
        .await;
    assert_eq!(done.status, 200, "{}", done.text());
    assert_eq!(
        std::fs::metadata(folder.path().join("out/parts"))
            .unwrap()
            .len(),
        (5 * MIB + 10) as u64
    );
}
