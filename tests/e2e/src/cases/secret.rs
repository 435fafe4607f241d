// SPDX-License-Identifier: Apache-2.0
//! The store's secret key is nowhere but in nexusd: neither in a guest that uses the store in every way that there is (its memory, its root,
//! its environment), nor in its VMM, nor in what nexusd writes down or tells. That the search can find something is shown with the
//! placeholder that the guest has instead, and with nexusd itself.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use nexus_testbed::{Testbed, memory};
use serde_json::{Value, json};

use super::{Case, gateway};
use crate::bed::Bed;

pub(crate) const CASE: Case = Case {
    name: "secret",
    guest,
    host,
};

/// Uses the store through the gateway, well and badly, and returns the environment.
fn guest(_arguments: &Value) -> Result<Value> {
    let (endpoint, agent, authorization) = gateway()?;
    let get = |path: &str, header: (&str, &str)| -> Result<(u16, String)> {
        let mut response = agent
            .get(format!("{endpoint}/{path}"))
            .header("Authorization", &authorization)
            .header(header.0, header.1)
            .call()?;
        let status = response.status().as_u16();
        Ok((status, response.body_mut().read_to_string()?))
    };
    let plain = ("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD");
    let (status, body) = get("secret-test/object", plain)?;
    let url = get("secret-test/object", ("X-Nexus-Presign", "60"))?.1;
    let put = agent
        .put(format!("{endpoint}/secret-test/another"))
        .header("Authorization", &authorization)
        .send("something")?
        .status()
        .as_u16();
    let statuses = [
        put,
        get("of-somebody-else/object", plain)?.0,
        get("secret-test/not-there", plain)?.0,
    ];
    let environment: std::collections::BTreeMap<String, String> = env::vars().collect();
    Ok(
        json!({ "status": status, "body": body, "url": url, "statuses": statuses, "environment": environment }),
    )
}

fn host(bed: &Bed) -> Result<()> {
    let testbed = &bed.testbed;
    testbed.create_bucket("secret-test")?;
    let file = testbed.folder().join("object");
    fs::write(&file, "the content")?;
    testbed.put_object("secret-test", "object", &file)?;
    testbed.deploy(&bed.agent("secret").with("--bucket", "secret-test"))?;
    let reply = bed.guest_of("secret", &CASE, &json!({}))?;
    let request = reply.request_id.clone();
    let result = reply.success()?;
    ensure!(
        result["status"] == 200 && result["body"] == "the content",
        "the guest did not get the object: {result}"
    );
    ensure!(
        result["statuses"] == json!([200, 403, 404]),
        "the guest's other calls went otherwise: {result}"
    );
    ensure!(
        result["url"]
            .as_str()
            .is_some_and(|url| url.contains("X-Amz-Signature=")),
        "the guest got no signed URL: {result}"
    );
    ensure!(
        !result.to_string().contains(&testbed.keys().secret),
        "the guest told the secret key"
    );
    let placeholder = result["environment"]["AWS_SECRET_ACCESS_KEY"]
        .as_str()
        .unwrap_or_default();
    ensure!(!placeholder.is_empty(), "the guest has no placeholder key");
    guest_has_no_key(bed, "secret", "agent", placeholder)?;
    nobody_is_told(testbed, &request)
}

/// Neither the guest of a function nor its VMM has the secret, and the search finds what they have: the text `known`.
pub(super) fn guest_has_no_key(bed: &Bed, function: &str, root: &str, known: &str) -> Result<()> {
    let secret = bed.testbed.keys().secret.as_bytes();
    let vmm = bed.testbed.vmm(function)?;
    let guest = memory::guest_memory(vmm)?;
    for place in [&guest, &bed.root(root)] {
        let found = memory::occurrences(place, secret)?;
        ensure!(found == 0, "the secret key is in {}", place.display());
    }
    ensure!(
        memory::occurrences_in_process(vmm, secret)? == 0,
        "the secret key is in the VMM"
    );
    ensure!(
        memory::occurrences(&guest, known.as_bytes())? > 0
            && memory::occurrences_in_process(vmm, known.as_bytes())? > 0,
        "the search does not even find {known:?}"
    );
    let daemon = bed.testbed.daemon_pid();
    ensure!(
        memory::occurrences_in_process(daemon, secret)? > 0,
        "the search does not even find the key where it is used"
    );
    Ok(())
}

/// Nothing that nexusd writes down or tells has the secret: state, logs, traces, figures.
fn nobody_is_told(testbed: &Testbed, request: &str) -> Result<()> {
    let secret = testbed.keys().secret.as_str();
    let mut files = Vec::new();
    collect(testbed.folder(), &mut files)?;
    let mut searched = 0;
    for file in files.iter().filter(|file| !file.ends_with("credentials")) {
        let found = memory::occurrences(file, secret.as_bytes())?;
        ensure!(found == 0, "the secret key is in {}", file.display());
        searched += 1;
    }
    ensure!(searched > 3, "only {searched} files were searched");
    for words in [
        &["trace", request][..],
        &["logs", "secret"],
        &["status"],
        &["ps"],
    ] {
        let told = testbed.nexus_text(words)?;
        ensure!(
            !told.is_empty() && !told.contains(secret),
            "nexus {words:?} told the secret key"
        );
    }
    Ok(())
}

/// All files below a folder; sockets are none.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => collect(&path, files)?,
            Ok(found) if found.is_file() => files.push(path),
            // A socket, or what other cases have removed meanwhile.
            _ => {}
        }
    }
    Ok(())
}
