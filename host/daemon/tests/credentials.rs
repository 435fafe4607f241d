// SPDX-License-Identifier: Apache-2.0
//! Keys of the standard chain, from endpoints such as containers and instances have, and from STS.
//!
//! Where these are, is said by variables, which are a process's own: a test runs itself once more, with them.

mod support;

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

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

/// Where keys are, for a test that runs again.
const KEYS: &str = "NEXUS_TEST_KEYS";

/// Variables by which the chain finds something.
const CHAIN: [&str; 11] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_STS",
];

/// The identity that the endpoint knows.
const IDENTITY: &str = "the-identity";

struct Endpoint(Child, u16);

impl Endpoint {
    /// Starts it; keys are good for so many seconds.
    fn start(good_for: u64) -> Self {
        let folder = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").expect("cargo says it"));
        let mut process = Command::new("python3")
            .arg(folder.join("tests/functions/keys.py"))
            .arg(good_for.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Python runs");
        let mut line = String::new();
        let output = process.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut line).expect("a line");
        Self(process, line.trim().parse().expect("a port"))
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.1)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Runs a test of this file again, with variables.
async fn again(test: &str, endpoint: &Endpoint, variables: &[(&str, String)]) {
    let mut again = tokio::process::Command::new(std::env::current_exe().expect("a path"));
    again.args(["--exact", test]);
    for known in CHAIN {
        again.env_remove(known);
    }
    let nowhere = [
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ("AWS_REGION", "us-east-1"),
    ];
    again.envs(nowhere).envs(variables.iter().cloned());
    again.env(KEYS, endpoint.url(""));
    let output = again.output().await.expect("it runs");
    let seen = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && seen.contains("1 passed"),
        "{seen}"
    );
}

#[tokio::test]
async fn keys_of_a_container_are_renewed_before_they_expire() {
    if let Ok(keys) = std::env::var(KEYS) {
        return are_renewed(&keys).await;
    }
    let endpoint = Endpoint::start(6);
    let uri = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", endpoint.url("/keys"));
    let test = "keys_of_a_container_are_renewed_before_they_expire";
    again(test, &endpoint, &[uri]).await;
}

#[tokio::test]
async fn keys_of_an_instance() {
    if std::env::var(KEYS).is_ok() {
        return is_there().await;
    }
    let endpoint = Endpoint::start(3600);
    let metadata = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint.url(""));
    again("keys_of_an_instance", &endpoint, &[metadata]).await;
}

#[tokio::test]
async fn keys_for_a_web_identity() {
    if std::env::var(KEYS).is_ok() {
        return is_there().await;
    }
    let endpoint = Endpoint::start(3600);
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    std::fs::write(&token, IDENTITY).expect("written");
    let role = "arn:aws:iam::123456789012:role/worker".to_owned();
    let variables = [
        ("AWS_ENDPOINT_URL_STS", endpoint.url("")),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.display().to_string()),
        ("AWS_ROLE_ARN", role),
    ];
    again("keys_for_a_web_identity", &endpoint, &variables).await;
}

/// The chain has a key that ends within the hour.
async fn is_there() {
    let source = CredentialSource::Chain;
    let chain = credentials_from(source).await.expect("a chain");
    let key = chain.provide_credentials().await.expect("a key");
    assert_eq!(
        (key.access_key_id(), key.session_token()),
        ("AKIDEXAMPLE", Some("token-1"))
    );
    let end = key.expiry().expect("an end");
    let left = end.duration_since(SystemTime::now()).expect("not over");
    assert!(left <= Duration::from_secs(3600), "{left:?}");
}

async fn are_renewed(keys: &str) {
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
        asked(keys).await,
        2,
        "once for the store, once for the gateway"
    );
    // From half of its time on, the next request has it renewed.
    eventually("another key is asked for", async || {
        assert_eq!(get().await, 200);
        asked(keys).await == 3
    })
    .await;
    for _ in 0..5 {
        assert_eq!(get().await, 200);
    }
    assert_eq!(asked(keys).await, 3);
}

/// How often the endpoint has given a key.
async fn asked(keys: &str) -> u64 {
    let host = keys.trim_start_matches("http://");
    let stream = tokio::net::TcpStream::connect(host)
        .await
        .expect("connected");
    let answer = request(stream, "GET", "/count", &[], b"").await;
    String::from_utf8_lossy(&answer.body)
        .trim()
        .parse()
        .expect("a number")
}
