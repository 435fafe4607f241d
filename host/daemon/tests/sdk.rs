// SPDX-License-Identifier: Apache-2.0
//! AWS's own SDK against the Invoke API.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use support::host::Host;

/// The release of boto3 that the test installs.
const BOTO3: &str = "1.44.5";

/// A Python with boto3, in an environment of the test's own that is made once and kept with the build's other files.
fn python() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("boto3-{BOTO3}"));
    let python = folder.join("bin/python");
    let check = format!("import boto3; assert boto3.__version__ == '{BOTO3}'");
    let ready = Command::new(&python).args(["-c", &check]).output();
    if !ready.is_ok_and(|output| output.status.success()) {
        let mut make = Command::new("python3");
        run(make.args(["-m", "venv", "--clear"]).arg(&folder));
        let mut install = Command::new(&python);
        let package = format!("boto3=={BOTO3}");
        run(install.args(["-m", "pip", "install", "--quiet", &package]));
    }
    python
}

fn run(command: &mut Command) {
    let status = command.status();
    assert!(
        status.as_ref().is_ok_and(std::process::ExitStatus::success),
        "this test needs Python 3 with venv, and a package index to install boto3 from once: {command:?}: {status:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_is_content() {
    let python = python();
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
