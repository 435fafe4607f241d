// SPDX-License-Identifier: Apache-2.0
//! Forms for uploads: made by the gateway, and used at a real store by somebody who has nothing but the form.

use super::*;

/// A function that may have others write, and a store.
async fn setup(presign: Presign) -> (TempDir, SocketAddr, Guest) {
    let (folder, address) = store().await;
    let policy = Policy {
        presign,
        ..policy()
    };
    let gateway = gateway_of(&format!("http://{address}"), policy).await;
    (folder, address, Guest::connect(&gateway).await)
}

async fn form(guest: &mut Guest, path: &str, conditions: &'static str) -> Answer {
    let headers = [("x-nexus-presign-post", "60")];
    guest
        .send(request(Method::POST, path, &headers, full(conditions)))
        .await
}

/// The URL's path and the fields.
fn read(answer: &Answer) -> (String, Vec<(String, String)>) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut lines = answer.text().lines();
    let url: http::Uri = lines.next().unwrap().parse().unwrap();
    let fields = lines.map(|line| line.split_once(' ').unwrap());
    let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
    (url.path().to_owned(), fields.collect())
}

/// Sends a form as a browser does.
async fn upload(address: SocketAddr, path: &str, fields: &[(String, String)], file: &str) -> u16 {
    let part = |(name, value): &(String, String)| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let parts: Vec<String> = fields.iter().map(part).collect();
    let last = "Content-Disposition: form-data; name=\"file\"; filename=\"n.txt\"";
    let body = format!(
        "{}--b\r\n{last}\r\nContent-Type: text/plain\r\n\r\n{file}\r\n--b--\r\n",
        parts.concat()
    );
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let host = address.to_string();
    let headers = [
        ("host", host.as_str()),
        ("content-type", "multipart/form-data; boundary=b"),
    ];
    let post = request(Method::POST, path, &headers, full(body));
    sender.send_request(post).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_form_uploads_what_it_is_for_and_nothing_else() {
    let (folder, address, mut guest) = setup(Presign::All).await;
    let conditions = r#"[["content-length-range",1,10],{"Content-Type":"text/plain"}]"#;
    let answer = form(&mut guest, "/out/a/k", conditions).await;
    let (path, mut fields) = read(&answer);
    assert_eq!(path, "/out");
    let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "x-amz-algorithm",
            "x-amz-credential",
            "x-amz-date",
            "policy",
            "x-amz-signature"
        ]
    );
    assert!(!answer.text().contains(REAL_SECRET));
    fields.insert(0, ("key".into(), "a/k".into()));
    fields.insert(1, ("Content-Type".into(), "text/plain".into()));
    let ok = upload(address, &path, &fields, "hello").await;
    assert!((200..300).contains(&ok), "{ok}");
    assert_eq!(
        std::fs::read(folder.path().join("out/a/k")).unwrap(),
        b"hello"
    );
    assert!(upload(address, &path, &fields, "much too long for it").await >= 400);
    fields[0].1 = "a/other".into();
    assert!(upload(address, &path, &fields, "hello").await >= 400);
    assert!(upload(address, "/secret", &fields, "hello").await >= 400);
    assert!(!folder.path().join("out/a/other").exists());
}

#[tokio::test]
async fn a_form_for_all_keys_that_begin_alike() {
    let (folder, address, mut guest) = setup(Presign::All).await;
    let (path, mut fields) = read(&form(&mut guest, "/out/in/$%7Bfilename%7D", "[]").await);
    fields.insert(0, ("key".into(), "in/any".into()));
    let ok = upload(address, &path, &fields, "hello").await;
    assert!((200..300).contains(&ok), "{ok}");
    assert!(folder.path().join("out/in/any").exists());
    fields[0].1 = "elsewhere".into();
    assert!(upload(address, &path, &fields, "hello").await >= 400);
}

#[tokio::test]
async fn who_may_not_write_gets_no_form() {
    let (_folder, _, mut guest) = setup(Presign::Reads).await;
    assert_eq!(
        form(&mut guest, "/out/k", "[]").await.error(),
        (403, "AccessDenied")
    );
    let (folder, _, mut guest) = setup(Presign::All).await;
    for path in [
        "/input/k",
        "/secret/k",
        "/secret/$%7Bfilename%7D",
        "/secret/shared$%7Bfilename%7D",
    ] {
        assert_eq!(
            form(&mut guest, path, "[]").await.error(),
            (403, "AccessDenied"),
            "{path}"
        );
    }
    let shared = form(&mut guest, "/secret/shared/$%7Bfilename%7D", "[]").await;
    assert_eq!(shared.status, 200);
    for conditions in ["", "[", r#"[{"a":"b","c":"d"}]"#] {
        let refused = form(&mut guest, "/out/k", conditions).await;
        assert_eq!(
            refused.error(),
            (400, "InvalidPolicyDocument"),
            "{conditions}"
        );
    }
    for conditions in [r#"[{"key":"other"}]"#, r#"[{"acl":"public-read"}]"#] {
        let refused = form(&mut guest, "/out/k", conditions).await;
        assert_eq!(refused.error(), (403, "AccessDenied"), "{conditions}");
    }
    let headers = [("x-nexus-presign-post", "60")];
    let put = request(Method::PUT, "/out/k", &headers, full("[]"));
    assert_eq!(guest.send(put).await.status, 400);
    let bucket = form(&mut guest, "/out", "[]").await;
    assert_eq!(bucket.status, 403);
    assert!(!folder.path().join("out/k").exists());
}
