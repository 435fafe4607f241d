// SPDX-License-Identifier: Apache-2.0
//! Keys of the standard chain, from an endpoint such as a container has.
//!
//! Where that is, is said by variables, which are a process's own: the test runs itself once more, with them.

mod support;

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use aws_credential_types::provider::ProvideCredentials as _;
use nexus_backend::gateway::{
    Access, BucketPolicy, BucketRule, CredentialSource, Gateway, GatewayConfig, Policy, Upstream,
    credentials_from,
};
use nexus_backend::service::Service as _;
use nexusd::config;
use nexusd::store::Store;
use support::eventually;
use support::http::request;
use tokio_util::sync::CancellationToken;

const URI: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";

/// Variables by which the chain would find something else first.
const OTHERS: [&str; 5] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
];

/// Seconds for which a key is good.
const GOOD_FOR: u64 = 6;

struct Endpoint(Child, u16);

impl Endpoint {
    fn start() -> Self {
        let folder = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").expect("cargo says it"));
        let mut process = Command::new("python3")
            .arg(folder.join("tests/functions/container_keys.py"))
            .arg(GOOD_FOR.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Python runs");
        let mut line = String::new();
        let output = process.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut line).expect("a line");
        Self(process, line.trim().parse().expect("a port"))
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test]
async fn keys_of_a_container_are_renewed_before_they_expire() {
    if let Ok(uri) = std::env::var(URI) {
        return with_keys_from(&uri).await;
    }
    let endpoint = Endpoint::start();
    let mut again = tokio::process::Command::new(std::env::current_exe().expect("a path"));
    again
        .args([
            "--exact",
            "keys_of_a_container_are_renewed_before_they_expire",
        ])
        .env(URI, format!("http://127.0.0.1:{}/keys", endpoint.1))
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    for other in OTHERS {
        again.env_remove(other);
    }
    let output = again.output().await.expect("it runs");
    let seen = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && seen.contains("1 passed"),
        "{seen}"
    );
}

async fn with_keys_from(uri: &str) {
    let chain = credentials_from(CredentialSource::Chain)
        .await
        .expect("a chain");
    let key = chain.provide_credentials().await.expect("a key");
    assert_eq!(key.session_token(), Some("token-1"));
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("photos")).expect("made");
    std::fs::write(folder.path().join("photos/x"), "kept").expect("written");
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
    let upstream = Upstream::new(config, chain).await.expect("a gateway");
    let rules = vec![BucketRule {
        bucket: "photos".into(),
        prefix: String::new(),
        access: Access::Read,
    }];
    let policy = Policy {
        buckets: BucketPolicy { rules },
        ..Policy::default()
    };
    let gateway = Gateway::new(upstream, Arc::new(policy), "f".into());
    let get = async || {
        let (guest, host) = tokio::io::duplex(64 * 1024);
        tokio::spawn(Arc::clone(&gateway).serve(Box::pin(host)));
        let authorization = "AWS4-HMAC-SHA256 Credential=p/20261123/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        let headers = [("authorization", authorization)];
        request(guest, "GET", "/photos/x", &headers, b"")
            .await
            .status
    };
    for _ in 0..5 {
        assert_eq!(get().await, 200);
    }
    assert_eq!(
        asked(uri).await,
        2,
        "once for the store, once for the gateway"
    );
    // From half of its time on, the next request has it renewed.
    eventually("another key is asked for", async || {
        assert_eq!(get().await, 200);
        asked(uri).await == 3
    })
    .await;
    for _ in 0..5 {
        assert_eq!(get().await, 200);
    }
    assert_eq!(asked(uri).await, 3);
}

/// How often the endpoint has given a key.
async fn asked(uri: &str) -> u64 {
    let host = uri.trim_start_matches("http://").trim_end_matches("/keys");
    let stream = tokio::net::TcpStream::connect(host)
        .await
        .expect("connected");
    let answer = request(stream, "GET", "/count", &[], b"").await;
    String::from_utf8_lossy(&answer.body)
        .trim()
        .parse()
        .expect("a number")
}
