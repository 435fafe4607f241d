// SPDX-License-Identifier: Apache-2.0
//! The SDK shim in an unmodified Python image: what programs see of boto3, call by call, is what they see without the shim.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use nexus_testbed::{Deployment, Testbed};
use serde_json::{Map, Value, json};

use super::Case;
use crate::bed::Bed;

pub(crate) const CASE: Case = Case {
    name: "sdk",
    guest,
    host,
};

/// Cases that the shim has to do by itself; a difference that nobody sees is whether it did.
const OWN: [&str; 26] = [
    "get_of_nothing",
    "put_get",
    "bodies",
    "sizes",
    "keys",
    "ranges",
    "reading",
    "listing",
    "deleting_nothing",
    "head_of_nothing",
    "head_bucket",
    "other_bucket",
    "conditions",
    "handled_errors",
    "common_ways",
    "parts",
    "tidying",
    "forms",
    "urls",
    "large_file",
    "sizes_of_parts",
    "parts_of_resources",
    "pages",
    "searched_pages",
    "collections",
    "attributes",
];

/// The guest's half proper is `tests/images/functions/sdk`; the agent has none.
fn guest(arguments: &Value) -> Result<Value> {
    anyhow::bail!("this case is not for the agent: {arguments}")
}

/// The same for Node, whose suite takes long in emulation: it runs by its name only.
pub(crate) const NODE: Case = Case {
    name: "sdk_node",
    guest,
    host: node,
};

/// Cases of Node's suite that the shim has to do by itself.
const NODE_OWN: [&str; 17] = [
    "putGet",
    "sizes",
    "keys",
    "ranges",
    "deleting",
    "deletingMany",
    "copying",
    "getOfNothing",
    "headOfNothing",
    "headBucket",
    "otherBucket",
    "conditions",
    "callbacks",
    "reading",
    "uploads",
    "uploadsOfStreams",
    "uploadsOfLargeParts",
];

fn host(bed: &Bed) -> Result<()> {
    with_and_without(bed, "sdk", &OWN)
}

fn node(bed: &Bed) -> Result<()> {
    with_and_without(bed, "sdk-node", &NODE_OWN)
}

/// Has the function of an image make all its calls with the shim and without, and compares what it saw.
fn with_and_without(bed: &Bed, image: &str, own: &[&str]) -> Result<()> {
    // One name, which is in what policy refuses; two deployments. What buckets begin with is nothing that a case says itself.
    let function = Deployment::new("sdk", &bed.root(image))
        .with("--memory", "512")
        .with("--timeout", "900")
        .with("--bucket", "shim0-*")
        .with("--bucket", "bare0-*")
        .flag("--presign-writes");
    bed.testbed.deploy(&function)?;
    let shim = run(&bed.testbed, "shim0-")?;
    bed.testbed
        .deploy(&function.with("--env", "NEXUS_SDK=off"))?;
    let bare = run(&bed.testbed, "bare0-")?;
    judge_keys(&shim, &bare)?;
    judge(&Value::Object(shim), &Value::Object(bare), own)
}

/// Whether URLs and forms are signed by the gateway: by an image's SDK they are by the key in a guest's environment, which no store
/// knows.
fn judge_keys(shim: &Map<String, Value>, bare: &Map<String, Value>) -> Result<()> {
    let signing = |seen: &Map<String, Value>, by_placeholder: bool| -> BTreeSet<String> {
        let signing = seen
            .iter()
            .filter(|(_, seen)| seen["placeholder"] == by_placeholder);
        signing.map(|(name, _)| name.clone()).collect()
    };
    let (ours, theirs) = (signing(shim, false), signing(bare, true));
    ensure!(
        !theirs.is_empty() && ours == theirs,
        "the gateway signs in {ours:?}, of {theirs:?}"
    );
    Ok(())
}

/// Whether programs see the same, and the shim did by itself what it has to.
pub(super) fn judge(shim: &Value, bare: &Value, own: &[&str]) -> Result<()> {
    // Two that were killed would be the same.
    for (name, seen) in [shim, bare]
        .into_iter()
        .filter_map(Value::as_object)
        .flatten()
    {
        ensure!(
            seen.get("died").is_none(),
            "{name} was not ended by itself: {seen}"
        );
    }
    for name in own.iter().copied() {
        ensure!(
            shim[name]["loaded"] == false,
            "{name}: the shim loaded the image's SDK"
        );
        ensure!(
            bare[name]["loaded"] == true,
            "{name}: the image's own SDK was not used"
        );
    }
    let mut differences = Vec::new();
    compare("", shim, bare, &mut differences);
    ensure!(
        differences.is_empty(),
        "with the shim programs see something else:\n{}",
        differences.join("\n")
    );
    Ok(())
}

/// What became of each case, in buckets whose names begin with `prefix`.
fn run(testbed: &Testbed, prefix: &str) -> Result<Map<String, Value>> {
    let names = testbed.invoke("sdk", &json!({}))?.success()?;
    let mut all = Map::new();
    for name in names.as_array().context("no names")? {
        let name = name.as_str().context("a name that is no text")?;
        testbed.create_bucket(&format!("{prefix}{name}"))?;
        // All of them together take longer in emulation than an invocation may.
        let seen = testbed
            .invoke("sdk", &json!({ "prefix": prefix, "only": name }))?
            .success()?;
        all.extend(seen.as_object().context("no case")?.clone());
    }
    Ok(all)
}

/// Adds the places at which two values differ.
fn compare(place: &str, shim: &Value, bare: &Value, differences: &mut Vec<String>) {
    match (shim, bare) {
        (Value::Object(one), Value::Object(other)) => {
            let names = one
                .keys()
                .chain(other.keys().filter(|name| !one.contains_key(*name)));
            for name in names.filter(|name| !["loaded", "placeholder"].contains(&name.as_str())) {
                let of =
                    |object: &Map<String, Value>| object.get(name).cloned().unwrap_or(Value::Null);
                compare(
                    &format!("{place}.{name}"),
                    &of(one),
                    &of(other),
                    differences,
                );
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (number, (one, other)) in one.iter().zip(other).enumerate() {
                compare(&format!("{place}[{number}]"), one, other, differences);
            }
        }
        _ if shim == bare => {}
        _ => differences.push(format!("{place}: {shim} with it, {bare} without")),
    }
}
