// SPDX-License-Identifier: Apache-2.0
//! A write of which the function was told as done is there when its invocation is answered, or the invocation has failed; with
//! `--writeback sync` the function sees the store's error itself.

use std::fs;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{Case, gateway};
use crate::bed::Bed;

pub(crate) const CASE: Case = Case {
    name: "writeback",
    guest,
    host,
};

const BUCKET: &str = "writeback-test";

/// Puts the objects with these keys, one after the other, and returns what the store is said to have answered.
fn guest(arguments: &Value) -> Result<Value> {
    let (endpoint, agent, authorization) = gateway()?;
    let keys = arguments["keys"].as_array().into_iter().flatten();
    let put = |key: &Value| {
        let key = key.as_str().unwrap_or_default();
        let request = agent.put(format!("{endpoint}/{BUCKET}/{key}"));
        let request = request.header("Authorization", &authorization);
        Ok(request.send(key)?.status().as_u16())
    };
    let statuses: Vec<u16> = keys.map(put).collect::<Result<_>>()?;
    Ok(json!({ "statuses": statuses }))
}

fn host(bed: &Bed) -> Result<()> {
    let testbed = &bed.testbed;
    testbed.create_bucket(BUCKET)?;
    let deferred = bed.agent("deferred").with("--bucket", BUCKET);
    let sync = bed
        .agent("sync")
        .with("--bucket", BUCKET)
        .with("--writeback", "sync");
    testbed.deploy(&deferred)?;
    testbed.deploy(&sync)?;

    let keys = ["a", "b", "c", "d"];
    for name in ["deferred", "sync"] {
        let result = bed.guest_of(name, &CASE, &json!({ "keys": keys }))?;
        let statuses = &result.success()?["statuses"];
        ensure!(
            *statuses == json!([200, 200, 200, 200]),
            "{name}: {statuses}"
        );
        for key in keys {
            let object = testbed.folder().join("object");
            testbed.get_object(BUCKET, key, &object)?;
            ensure!(
                fs::read_to_string(object)? == key,
                "{name}: {key} is not there"
            );
        }
    }

    // From here on the store has no place for what it said it would take.
    let folder = testbed.store_root().join(BUCKET);
    fs::remove_dir_all(&folder)?;
    fs::write(&folder, "no folder")?;
    let reply = bed.guest_of("sync", &CASE, &json!({ "keys": ["e"] }))?;
    let statuses = &reply.success()?["statuses"];
    ensure!(*statuses == json!([500]), "sync: {statuses}");
    let reply = bed.guest_of("deferred", &CASE, &json!({ "keys": ["e"] }))?;
    let kind = &reply.payload["errorType"];
    ensure!(
        reply.function_error.is_some() && kind == "Nexus.WriteFailed",
        "deferred: {reply:?}"
    );
    let message = reply.payload["errorMessage"].to_string();
    ensure!(
        message.contains("the store answered 500"),
        "deferred: {message}"
    );

    // The instance that was told otherwise is gone.
    fs::remove_file(&folder)?;
    testbed.create_bucket(BUCKET)?;
    let result = bed.guest_of("deferred", &CASE, &json!({ "keys": ["f"] }))?;
    ensure!(
        result.success()?["statuses"] == json!([200]),
        "not served any more"
    );
    Ok(())
}
