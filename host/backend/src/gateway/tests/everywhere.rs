// SPDX-License-Identifier: Apache-2.0
//! Requests signed for several regions at once (Signature Version 4A), and where they go.

use std::sync::Mutex;

use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{DerSignature, VerifyingKey};
use sha2::{Digest as _, Sha256};

use super::super::ServiceRule;
use super::super::predict::hex;
use super::super::upstream::Carrying;
use super::*;

/// A key of Amazon's signing test suite, and the public key that belongs to it (`aws-c-auth`, `aws-signing-test-suite/v4a`).
const SUITE_ID: &str = "AKIDEXAMPLE";
const SUITE_SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const SUITE_PUBLIC: [&str; 2] = [
    "b6618f6a65740a99e650b33b6b4b5bd0d43b176d721a3edfea7e7d2d56d936b1",
    "865ed22a7eadc9c5cb9d2cbaca1b3699139fedc5043dc6661864218330c8e518",
];

const ALIAS: &str = "mfzwi23gnjvgw.mrap";
const ACCESS_POINT: &str = "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com";

/// Answers all requests, and keeps them.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<(http::request::Parts, Bytes)>>>);

impl Carrier for Kept {
    fn carry(&self, request: Request<Body>) -> Carrying {
        let kept = Arc::clone(&self.0);
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.expect("a body").to_bytes();
            kept.lock().unwrap().push((parts, body));
            Ok(http::Response::new(full("ok")))
        })
    }
}

impl Kept {
    /// The only request that came since.
    fn one(&self) -> (http::request::Parts, Bytes) {
        let mut all = self.0.lock().unwrap();
        assert_eq!(all.len(), 1);
        all.pop().unwrap()
    }
}

fn setup(store: &str) -> (Kept, Arc<Gateway>) {
    let kept = Kept::default();
    let endpoints = endpoints(HashMap::from([("s3".to_owned(), store.to_owned())])).unwrap();
    let key = Credentials::new(SUITE_ID, SUITE_SECRET, None, None, "test");
    let key = SharedCredentialsProvider::new(key);
    let upstream = Upstream::by(kept.clone(), endpoints, "us-east-1".into(), key);
    let mut policy = policy();
    policy.presign = Presign::All;
    policy.buckets.rules.push(BucketRule {
        bucket: ALIAS.to_owned(),
        prefix: "mine/".to_owned(),
        access: Access::ReadWrite,
    });
    policy.services = ["events", "dynamodb"]
        .map(|service| ServiceRule {
            service: service.to_owned(),
            actions: Vec::new(),
        })
        .to_vec();
    let gateway = Gateway::new(upstream, Arc::new(policy), "f".to_owned());
    (kept, gateway)
}

/// Sends what a guest's SDK signed for all regions.
async fn send(
    gateway: &Arc<Gateway>,
    (host, service): (&str, &str),
    (method, path): (Method, &str),
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let authorization = format!(
        "AWS4-ECDSA-P256-SHA256 Credential=placeholder/20261126/{service}/aws4_request, SignedHeaders=host;x-amz-date;x-amz-region-set, Signature=00"
    );
    let own = [
        ("host", host),
        ("authorization", &authorization),
        ("x-amz-region-set", "*"),
        ("x-amz-date", "20261126T000000Z"),
    ];
    let headers = [&own[..], headers].concat();
    let mut guest = Guest::connect(gateway).await;
    let asked = request(method, path, &headers, full(body.to_owned()));
    let (parts, body) = guest.0.send_request(asked).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body,
    }
}

/// Checks a signature with the public key of the suite, as the service would.
fn verify(parts: &http::request::Parts, service: &str, payload: &str) {
    let authorization = parts.headers[AUTHORIZATION].to_str().unwrap();
    let field = |name: &str| {
        let (_, rest) = authorization.split_once(name).unwrap();
        rest.split(',').next().unwrap().to_owned()
    };
    let (credential, signed, signature) = (
        field("Credential="),
        field("SignedHeaders="),
        field("Signature="),
    );
    let time = parts.headers["x-amz-date"].to_str().unwrap();
    let scope = format!("{}/{service}/aws4_request", &time[..8]);
    assert_eq!(credential, format!("{SUITE_ID}/{scope}"));
    let mut canonical = format!(
        "{}\n{}\n{}\n",
        parts.method,
        parts.uri.path(),
        parts.uri.query().unwrap_or_default()
    );
    for name in signed.split(';') {
        let value = parts.headers[name].to_str().unwrap();
        canonical.extend([name, ":", value, "\n"]);
    }
    canonical.extend(["\n", &signed, "\n", payload]);
    let hash = hex(&Sha256::digest(canonical));
    let text = format!("AWS4-ECDSA-P256-SHA256\n{time}\n{scope}\n{hash}");
    let unhex = |text: &str| -> Vec<u8> {
        let pairs = (0..text.len()).step_by(2);
        let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        pairs.map(byte).collect()
    };
    let public = unhex(&format!("04{}", SUITE_PUBLIC.concat()));
    let public = VerifyingKey::from_sec1_bytes(&public).unwrap();
    let signature = DerSignature::try_from(&unhex(&signature)[..]).unwrap();
    public.verify(text.as_bytes(), &signature).unwrap();
}

#[tokio::test]
async fn objects_of_an_access_point() {
    let (kept, gateway) = setup("https://s3.us-east-1.amazonaws.com");
    let s3 = (ACCESS_POINT, "s3");
    let hash = hex(&Sha256::digest("content"));
    let headers = [("x-amz-content-sha256", hash.as_str())];
    let put = (Method::PUT, "/mine/a%20b");
    let answer = send(&gateway, s3, put, &headers, "content").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let (parts, body) = kept.one();
    assert_eq!(
        parts.uri.to_string(),
        format!("https://{ACCESS_POINT}/mine/a%20b")
    );
    assert_eq!(
        (&parts.headers[HOST], &body[..]),
        (
            &http::HeaderValue::from_static(ACCESS_POINT),
            &b"content"[..]
        )
    );
    assert_eq!(parts.headers["x-amz-region-set"], "*");
    verify(&parts, "s3", &hash);

    let got = send(&gateway, s3, (Method::GET, "/mine/k?versionId=1"), &[], "").await;
    assert_eq!(got.text(), "ok");
    verify(&kept.one().0, "s3", "UNSIGNED-PAYLOAD");

    // What is not this function's, by the alias as the bucket's name.
    let other = send(&gateway, s3, (Method::GET, "/other/k"), &[], "").await;
    assert_eq!(other.error(), (403, "AccessDenied"));

    let headers = [("x-nexus-presign", "60")];
    let url = send(&gateway, s3, (Method::GET, "/mine/k"), &headers, "").await;
    let start = format!("https://{ACCESS_POINT}/mine/k?X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256&");
    assert!(url.text().starts_with(&start), "{}", url.text());
    assert!(
        url.text().contains("&X-Amz-Region-Set=%2A"),
        "{}",
        url.text()
    );
    assert!(kept.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_for_no_access_point_is_refused() {
    let get = || (Method::GET, "/mine/k");
    let (kept, gateway) = setup("http://store");
    let answer = send(&gateway, (ACCESS_POINT, "s3"), get(), &[], "").await;
    assert_eq!(answer.error(), (501, "NotImplemented"));
    let (also_kept, gateway) = setup("https://s3.us-east-1.amazonaws.com");
    for (host, path) in [
        ("s3.us-east-1.amazonaws.com", "/out/k"),
        ("169.254.170.2", "/out/k"),
    ] {
        let answer = send(&gateway, (host, "s3"), (Method::GET, path), &[], "").await;
        assert_eq!(answer.error(), (400, "InvalidRequest"), "{host}");
    }
    // An access point is nothing that one region's signature is good for.
    let mut guest = Guest::connect(&gateway).await;
    let asked = request(Method::GET, "/mine/k", &[("host", ACCESS_POINT)], full(""));
    assert_eq!(guest.send(asked).await.error(), (400, "InvalidRequest"));
    assert!(kept.0.lock().unwrap().is_empty() && also_kept.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn events_for_a_global_endpoint() {
    let (kept, gateway) = setup("http://store");
    let headers = [
        ("x-amz-target", "AWSEvents.PutEvents"),
        ("content-type", "application/x-amz-json-1.1"),
    ];
    let post = || (Method::POST, "/");
    let host = "abcde.veo.endpoint.events.amazonaws.com";
    let body = r#"{"Entries": [], "EndpointId": "abcde.veo"}"#;
    let answer = send(&gateway, (host, "events"), post(), &headers, body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let (parts, _) = kept.one();
    assert_eq!(parts.uri.to_string(), format!("https://{host}/"));
    verify(&parts, "events", &hex(&Sha256::digest(body)));
    // Of others the gateway does not know where they are.
    let answer = send(&gateway, ("a", "dynamodb"), post(), &headers, body).await;
    assert_eq!(answer.status, 501, "{}", answer.text());
    assert!(kept.0.lock().unwrap().is_empty());
}
