// SPDX-License-Identifier: Apache-2.0
//! AWS's own SDK against the Invoke API.

mod support;

use serde_json::json;
use support::host::Host;

/// The interpreter is named by `NEXUS_TEST_BOTO3`, as boto3 is not on every machine.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Python with boto3; name it in NEXUS_TEST_BOTO3"]
async fn boto3_is_content() {
    let python =
        std::env::var("NEXUS_TEST_BOTO3").expect("NEXUS_TEST_BOTO3 names a Python with boto3");
    let host = Host::start("max_instances = 1").await;
    host.deploy("f", json!({ "timeout_s": 1 })).await;
    let program = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/functions/boto3_client.py"
    );
    let endpoint = format!("http://{}", host.invoke);
    let status = tokio::process::Command::new(python)
        .args([program, &endpoint])
        .status()
        .await
        .expect("it runs");
    assert!(status.success());
    host.end().await;
}
