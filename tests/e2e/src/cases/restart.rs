// SPDX-License-Identifier: Apache-2.0
//! nexusd killed with SIGKILL leaves no VM behind, and starts again with its functions and objects; asked to end, it ends in
//! order.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
use nexus_testbed::{Options, Testbed};
use serde_json::{Value, json};

use super::{Case, python_image};
use crate::bed::Bed;

pub(crate) const CASE: Case = Case {
    name: "restart",
    guest,
    host,
};

fn guest(_arguments: &Value) -> Result<Value> {
    let api = std::env::var("AWS_LAMBDA_RUNTIME_API")?;
    ensure!(!api.is_empty(), "no runtime API");
    Ok(json!("alive"))
}

fn host(bed: &Bed) -> Result<()> {
    let mut testbed = Testbed::start(Options::clone(bed.testbed.options()))?;
    let event = json!({ "case": CASE.name });
    testbed.deploy(&bed.agent("survivor"))?;
    ensure!(
        testbed.invoke("survivor", &event)?.success()? == json!("alive"),
        "wrong answer"
    );
    let vmms = vmms_of(testbed.daemon_pid())?;
    ensure!(vmms.len() == 1, "one VM was expected: {vmms:?}");
    python_image::deploy(&testbed, &bed.root("thumbnail"))?;

    testbed.kill()?;
    ensure!(gone(&vmms), "the VMM outlived nexusd by a minute");
    testbed.restart()?;
    ensure!(
        testbed.invoke("survivor", &event)?.success()? == json!("alive"),
        "wrong answer after the restart"
    );
    python_image::scale(&testbed)?;

    let vmms = vmms_of(testbed.daemon_pid())?;
    ensure!(
        testbed.terminate()?,
        "nexusd did not end in order: {}",
        testbed.log()
    );
    ensure!(gone(&vmms), "the VMM outlived nexusd's end");
    ensure!(
        !testbed.folder().join("admin.sock").exists(),
        "nexusd left its socket behind"
    );
    Ok(())
}

/// Children of a process.
fn vmms_of(daemon: u32) -> Result<Vec<u32>> {
    let mut children = Vec::new();
    for thread in std::fs::read_dir(format!("/proc/{daemon}/task"))? {
        let text = std::fs::read_to_string(thread?.path().join("children"))?;
        children.extend(
            text.split_whitespace()
                .filter_map(|pid| pid.parse::<u32>().ok()),
        );
    }
    Ok(children)
}

/// Waits until none of the processes runs; they end by themselves, but not in an instant.
fn gone(processes: &[u32]) -> bool {
    for _ in 0..600 {
        let running = |pid: &u32| {
            let stat =
                std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
            // An orphan that has ended may wait for a reaper that the lab does not have.
            stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        if !processes.iter().any(running) {
            return true;
        }
        sleep(Duration::from_millis(100));
    }
    false
}
