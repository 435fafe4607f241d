// SPDX-License-Identifier: Apache-2.0
//! A function that dies, hangs, cannot start or answers twice, and events that are none: each has a clear error, and
//! the next invocation works.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use nexus_testbed::Reply;
use serde_json::{Value, json};

use super::Case;
use crate::bed::Bed;

pub(crate) const CASE: Case = Case {
    name: "function_faults",
    guest,
    host,
};

fn guest(arguments: &Value) -> Result<Value> {
    match arguments["fault"].as_str() {
        Some("exit") => std::process::exit(3),
        Some("abort") => std::process::abort(),
        Some("hang") => sleep(Duration::from_secs(3600)),
        Some("error") => bail!("asked to fail"),
        _ => {}
    }
    Ok(json!("fine"))
}

fn host(bed: &Bed) -> Result<()> {
    bed.testbed.deploy(&bed.agent("faulty"))?;
    let fault = |fault: &str| bed.guest_of("faulty", &CASE, &json!({ "fault": fault }));

    expect_error(&fault("error")?, "Case.Failed", "asked to fail")?;
    expect_error(&fault("exit")?, "Runtime.ExitError", "exit status 3")?;
    expect_error(&fault("abort")?, "Runtime.ExitError", "signal")?;
    ensure!(
        fault("none")?.success()? == json!("fine"),
        "no new instance after the function died"
    );

    bed.testbed
        .deploy(&bed.agent("hanging").with("--timeout", "20"))?;
    bed.guest_of("hanging", &CASE, &json!({}))?.success()?;
    let reply = bed.guest_of("hanging", &CASE, &json!({ "fault": "hang" }))?;
    expect_error(&reply, "Sandbox.Timed", "timed out after 20.00 seconds")?;
    ensure!(
        bed.testbed.instance("hanging").is_err(),
        "the instance that hung is still there"
    );

    let twice = json!({ "case": CASE.name, "arguments": {}, "answer_twice": true });
    ensure!(
        bed.testbed.invoke("faulty", &twice)?.success()? == json!("fine"),
        "the first answer does not count"
    );
    ensure!(
        fault("none")?.success()? == json!("fine"),
        "a second answer breaks the next invocation"
    );

    bed.testbed
        .deploy(&bed.agent("unborn").with("--env", "E2E_FAIL_INIT=1"))?;
    expect_error(
        &bed.guest_of("unborn", &CASE, &json!({}))?,
        "Runtime.TestInit",
        "asked to fail",
    )?;
    bad_events(bed)
}

fn bad_events(bed: &Bed) -> Result<()> {
    let reply = bed.testbed.invoke_bytes("faulty", b"{ this is no JSON")?;
    ensure!(reply.status == 400, "an event that is no JSON: {reply:?}");
    ensure!(
        reply.api_error.as_deref() == Some("InvalidRequestContentException"),
        "an event that is no JSON: {reply:?}"
    );
    let reply = bed.testbed.invoke("nobody", &json!({}))?;
    ensure!(
        reply.status == 404 && reply.api_error.as_deref() == Some("ResourceNotFoundException"),
        "no function: {reply:?}"
    );
    let large = format!("\"{}\"", "x".repeat(7 << 20));
    let reply = bed.testbed.invoke_bytes("faulty", large.as_bytes())?;
    ensure!(
        reply.status == 413 && reply.api_error.as_deref() == Some("RequestTooLargeException"),
        "too large: {}",
        reply.status
    );
    Ok(())
}

fn expect_error(reply: &Reply, error_type: &str, message: &str) -> Result<()> {
    ensure!(
        reply.status == 200 && reply.function_error.is_some(),
        "no function error: {reply:?}"
    );
    let said = reply.payload["errorType"].as_str().unwrap_or_default();
    ensure!(
        said.starts_with(error_type),
        "error type {said:?} instead of {error_type}: {reply:?}"
    );
    ensure!(
        reply.payload.to_string().contains(message),
        "the error does not say {message:?}: {reply:?}"
    );
    Ok(())
}
