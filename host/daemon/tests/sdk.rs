// SPDX-License-Identifier: Apache-2.0
//! AWS's own SDK and command line against the Invoke API.

mod support;

use std::path::PathBuf;
use std::sync::LazyLock;

use serde_json::{Value, json};
use support::host::Host;
use support::venv;

/// The release of boto3 that the test installs.
const BOTO3: &str = "1.44.5";

/// The release of the command line, which shares boto3's core.
const AWS_CLI: &str = "1.46.3";

/// One environment for both tests, which run at once.
static ENVIRONMENT: LazyLock<PathBuf> = LazyLock::new(environment);

/// Python programs with boto3 and the command line.
fn environment() -> PathBuf {
    let name = format!("boto3-{BOTO3}-awscli-{AWS_CLI}");
    let packages = [format!("boto3=={BOTO3}"), format!("awscli=={AWS_CLI}")];
    venv(&name, &packages.each_ref().map(String::as_str))
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_is_content() {
    let python = ENVIRONMENT.join("bin/python");
    let host = Host::start("max_instances = 1").await;
    host.deploy("f", json!({ "timeout_s": 1 })).await;
    let folder = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says it");
    let program = format!("{folder}/tests/functions/boto3_client.py");
    let endpoint = format!("http://{}", host.invoke);
    let status = tokio::process::Command::new(python)
        .args([&program, &endpoint])
        .status()
        .await
        .expect("it runs");
    assert!(status.success());
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_invokes() {
    let host = Host::start("max_instances = 1").await;
    host.deploy("f", json!({ "timeout_s": 1 })).await;
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out.json");
    let aws = |function: &str, payload: &str| {
        let mut aws = tokio::process::Command::new(ENVIRONMENT.join("bin/aws"));
        aws.args(["lambda", "invoke", "--function-name", function])
            .args(["--endpoint-url", &format!("http://{}", host.invoke)])
            .args(["--region", "us-east-1", "--payload", payload])
            .arg(&out)
            .env("AWS_ACCESS_KEY_ID", "any")
            .env("AWS_SECRET_ACCESS_KEY", "any")
            .env("AWS_MAX_ATTEMPTS", "1");
        aws
    };
    let answered = aws("f", r#"{"print": "seen"}"#)
        .output()
        .await
        .expect("it runs");
    assert!(answered.status.success(), "{answered:?}");
    let printed: Value = serde_json::from_slice(&answered.stdout).expect("JSON");
    assert_eq!(printed["StatusCode"], 200);
    assert_eq!(printed["ExecutedVersion"], "$LATEST");
    let payload: Value =
        serde_json::from_slice(&std::fs::read(&out).expect("a payload")).expect("JSON");
    assert_eq!(payload["event"], json!({ "print": "seen" }));

    let unknown = aws("nobody", "{}").output().await.expect("it runs");
    let error = String::from_utf8_lossy(&unknown.stderr);
    assert!(
        !unknown.status.success() && error.contains("ResourceNotFoundException"),
        "{error}"
    );
    host.end().await;
}
