// SPDX-License-Identifier: Apache-2.0
//! The store's secret key is nowhere in a guest that uses the store: not in its memory, its root, its environment.
//! That the search can find something is shown with the placeholder that the guest has instead.

use std::env;
use std::fs;

use anyhow::{Result, ensure};
use nexus_testbed::memory;
use serde_json::{Value, json};

use super::{Case, gateway};
use crate::bed::Bed;

pub(crate) const CASE: Case = Case {
    name: "secret",
    guest,
    host,
};

/// Uses the store through the gateway, and returns the environment.
fn guest(_arguments: &Value) -> Result<Value> {
    let (endpoint, agent, authorization) = gateway()?;
    let mut response = agent
        .get(format!("{endpoint}/secret-test/object"))
        .header("Authorization", authorization)
        .call()?;
    let body = response.body_mut().read_to_string()?;
    let environment: std::collections::BTreeMap<String, String> = env::vars().collect();
    Ok(json!({ "status": response.status().as_u16(), "body": body, "environment": environment }))
}

fn host(bed: &Bed) -> Result<()> {
    let testbed = &bed.testbed;
    testbed.create_bucket("secret-test")?;
    let file = testbed.folder().join("object");
    fs::write(&file, "the content")?;
    testbed.put_object("secret-test", "object", &file)?;
    testbed.deploy(&bed.agent("secret").with("--bucket", "secret-test"))?;
    let result = bed.guest_of("secret", &CASE, &json!({}))?.success()?;
    ensure!(
        result["status"] == 200 && result["body"] == "the content",
        "the guest did not get the object: {result}"
    );

    let guest = memory::guest_memory(bed.testbed.vmm("secret")?)?;
    let places = [guest.clone(), bed.root("agent")];
    let keys = testbed.keys();
    for place in &places {
        for key in [&keys.secret, &keys.access] {
            ensure!(
                memory::occurrences(place, key.as_bytes())? == 0,
                "a key of the store is in {}",
                place.display()
            );
        }
    }
    ensure!(
        !result["environment"].to_string().contains(&keys.secret),
        "the secret key is in the guest's environment"
    );
    let placeholder = result["environment"]["AWS_SECRET_ACCESS_KEY"]
        .as_str()
        .unwrap_or_default();
    ensure!(!placeholder.is_empty(), "the guest has no placeholder key");
    ensure!(
        memory::occurrences(&guest, placeholder.as_bytes())? > 0,
        "the search does not even find the placeholder"
    );
    Ok(())
}
