// SPDX-License-Identifier: Apache-2.0
//! The embedded object store behind the gateway: a bucket is a border.

mod support;

use std::collections::HashMap;
use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use nexus_backend::gateway::{
    Access, BucketPolicy, BucketRule, Gateway, GatewayConfig, Policy, Upstream,
};
use nexus_backend::service::Service as _;
use nexusd::config;
use nexusd::store::Store;
use support::http::{Answer, request};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A store with the buckets `photos` and `private`, and a gateway of a function that may do all things to `photos`.
struct Site {
    folder: TempDir,
    gateway: Arc<Gateway>,
}

impl Site {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for bucket in ["photos", "private"] {
            std::fs::create_dir(folder.path().join(bucket)).expect("made");
            std::fs::write(folder.path().join(bucket).join("x"), "kept").expect("written");
        }
        let key = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
        let config = config::Store {
            listen: "127.0.0.1:0".parse().expect("an address"),
            root: folder.path().to_owned(),
        };
        let store = Store::open(&config, &key).await.expect("opened");
        let address = store.address().expect("an address");
        tokio::spawn(store.serve(CancellationToken::new()));
        let config = GatewayConfig::new(
            "us-east-1",
            HashMap::from([("s3".into(), format!("http://{address}"))]),
        );
        let upstream = Upstream::new(config, SharedCredentialsProvider::new(key))
            .await
            .expect("a gateway");
        let buckets = BucketPolicy {
            rules: vec![BucketRule {
                bucket: "photos".into(),
                prefix: String::new(),
                access: Access::ReadWrite,
            }],
        };
        let policy = Policy {
            buckets,
            ..Policy::default()
        };
        Self {
            folder,
            gateway: Gateway::new(upstream, Arc::new(policy), "f".into()),
        }
    }

    async fn call(&self, method: &str, path: &str, body: &str) -> Answer {
        self.call_with(method, path, &[], body).await
    }

    async fn call_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let (guest, host) = tokio::io::duplex(64 * 1024);
        tokio::spawn(Arc::clone(&self.gateway).serve(Box::pin(host)));
        let authorization = "AWS4-HMAC-SHA256 Credential=p/20261123/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        let headers = [&[("authorization", authorization)], headers].concat();
        request(guest, method, path, &headers, body.as_bytes()).await
    }

    fn has(&self, path: &str) -> bool {
        self.folder.path().join(path).exists()
    }
}

#[tokio::test]
async fn deleting_many_objects_stays_in_the_bucket() {
    let site = Site::start().await;
    let absolute = site.folder.path().join("private/x").display().to_string();
    for key in [absolute.as_str(), "../private/x", "a/../../private/x"] {
        let body = format!("<Delete><Object><Key>{key}</Key></Object></Delete>");
        let answer = site.call("POST", "/photos?delete", &body).await;
        assert!(site.has("private/x"), "{key}: {answer:?}");
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    let body = "<Delete><Object><Key>x</Key></Object></Delete>";
    let answer = site.call("POST", "/photos?delete", body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(!site.has("photos/x"));
}

#[tokio::test]
async fn an_absolute_key_is_refused() {
    let site = Site::start().await;
    let hidden = site.folder.path().join("private/x");
    let answer = site
        .call("GET", &format!("/photos/{}", hidden.display()), "")
        .await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(site.call("GET", "/photos/x", "").await.body, b"kept");
}

#[tokio::test]
async fn parts_in_place_of_an_object_do_not_keep_its_checksum() {
    let site = Site::start().await;
    let path = "/photos/a/b%20c";
    let checksum = [("x-amz-checksum-crc32", "NhCmhg==")];
    let put = site.call_with("PUT", path, &checksum, "hello").await;
    assert_eq!(put.status, 200, "{put:?}");
    let mode = [("x-amz-checksum-mode", "ENABLED")];
    let got = site.call_with("GET", path, &mode, "").await;
    assert_eq!(got.header("x-amz-checksum-crc32"), "NhCmhg==");

    let begun = site.call("POST", &format!("{path}?uploads"), "").await;
    let text = String::from_utf8(begun.body).expect("text");
    let (_, id) = text.split_once("<UploadId>").expect("an id");
    let (id, _) = id.split_once('<').expect("its end");
    let part = format!("{path}?partNumber=1&uploadId={id}");
    assert_eq!(site.call("PUT", &part, "other").await.status, 200);
    let parts = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>";
    let whole = format!("{path}?uploadId={id}");
    assert_eq!(site.call("POST", &whole, parts).await.status, 200);
    let got = site.call_with("GET", path, &mode, "").await;
    assert_eq!((got.status, got.header("x-amz-checksum-crc32")), (200, ""));
    assert_eq!(got.body, b"other");
}

#[tokio::test]
async fn keys_in_lists_are_encoded_for_who_decodes_them() {
    let site = Site::start().await;
    for key in ["a%2Bb%20c", "a%2Bb%20d"] {
        let put = site.call("PUT", &format!("/photos/{key}"), "").await;
        assert_eq!(put.status, 200, "{put:?}");
    }
    for version in ["", "list-type=2&"] {
        let list = format!("/photos?{version}prefix=a%2B&max-keys=1");
        let plain = text_of(site.call("GET", &list, "").await);
        assert!(plain.contains("<Key>a+b c</Key>"), "{plain}");
        let encoded = format!("{list}&encoding-type=url");
        let encoded = text_of(site.call("GET", &encoded, "").await);
        assert!(encoded.contains("<Key>a%2Bb+c</Key>"), "{encoded}");
        assert!(encoded.contains("<Prefix>a%2B</Prefix>"), "{encoded}");
        assert!(
            encoded.contains("<EncodingType>url</EncodingType>"),
            "{encoded}"
        );
        if version.is_empty() {
            assert!(
                encoded.contains("<NextMarker>a%2Bb+c</NextMarker>"),
                "{encoded}"
            );
        }
    }
}

fn text_of(answer: Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    String::from_utf8(answer.body).expect("text")
}
