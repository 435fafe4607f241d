// SPDX-License-Identifier: Apache-2.0
//! The benchmark's part that needs KVM.
//!
//! Under the lab's instruction clock a nanosecond of the guest's and the host's time is an instruction, so the marks of an
//! invocation's timeline count instructions of everything between them: guest, VMM, nexusd and both kernels.

use std::fs;
use std::os::unix::fs::MetadataExt;

use anyhow::{Context, Result, ensure};
use nexus_testbed::{Deployment, Options, Testbed, memory};
use serde_json::{Value, json};

use super::report::{Figure, Report};
use crate::demo::Inputs;

/// Warm invocations of which the cheapest counts: the others had to share with something.
const WARM: usize = 5;

/// Measures, prints the table and writes the JSON.
pub(crate) fn job(inputs: &Inputs) -> Result<()> {
    let testbed = Testbed::start(Options {
        programs: inputs.programs.clone(),
        kernel: inputs.kernel.clone(),
        configuration: String::new(),
        store: None,
    })?;
    let mut report = Report::default();
    report.add(
        Figure::mib(
            "nexusd, idle",
            memory::usage(testbed.daemon_pid())?.private_kib,
        )
        .at_most(20.0),
    );

    testbed.deploy(&Deployment::new("echo", &inputs.echo))?;
    let cold = testbed.invoke("echo", &json!({ "hello": "world" }))?;
    let request = cold.request_id.clone();
    let log = testbed.nexus_text(&["logs", "echo"])?;
    cold.success()?;
    boot(&mut report, &log, &timeline(&testbed, &request)?)?;
    warm(&mut report, &testbed)?;
    memory_figures(&mut report, &testbed)?;
    report.print();
    report.write(&inputs.folder.join("bench.json"))
}

/// From the start of the VM's process to init, through init, and on to the first `/invocation/next`.
///
/// The guest's own clock starts late in its boot, so the way to init is the host's time up to init's first request, less
/// what init had done by then, which is measured inside the guest.
fn boot(report: &mut Report, log: &str, timeline: &Value) -> Result<()> {
    let (ready, began) = boot_marker(log).context("init printed no boot marker")?;
    let [started, booted, next] =
        ["instance started", "guest booted", "initialised"].map(|name| mark(timeline, name));
    let (started, booted, next) = (started?, booted?, next?);
    let init = ready - began;
    let boot = ((booted - started) * 1000).saturating_sub(init);
    report.add(Figure::instructions("VM process to init: machine and kernel", boot).at_most(150.0));
    report.add(Figure::instructions("init: mounts, driver", init));
    let start = (next - booted) * 1000;
    report.add(Figure::instructions(
        "image start to first /invocation/next",
        start,
    ));
    Ok(())
}

/// The nanoseconds of `nexus-init: ready in N ns (init began at M ns)`.
fn boot_marker(log: &str) -> Option<(u64, u64)> {
    let (_, rest) = log.split_once("nexus-init: ready in ")?;
    let (ready, rest) = rest.split_once(" ns (init began at ")?;
    let (began, _) = rest.split_once(" ns)")?;
    Some((ready.parse().ok()?, began.parse().ok()?))
}

fn warm(report: &mut Report, testbed: &Testbed) -> Result<()> {
    let mut cheapest: Option<(u64, Vec<(String, u64)>)> = None;
    for round in 0..WARM {
        let before = exits(testbed)?;
        let reply = testbed.invoke("echo", &json!({ "round": round }))?;
        let request = reply.request_id.clone();
        reply.success()?;
        let after = exits(testbed)?;
        let spent = mark(&timeline(testbed, &request)?, "done")? * 1000;
        let grown = after.into_iter().map(|(kind, count)| {
            let old = before
                .iter()
                .find(|(name, _)| *name == kind)
                .map_or(0, |(_, count)| *count);
            (kind, count - old)
        });
        let grown: Vec<_> = grown.filter(|(_, count)| *count > 0).collect();
        if cheapest.as_ref().is_none_or(|(least, _)| spent < *least) {
            cheapest = Some((spent, grown));
        }
    }
    let (spent, grown) = cheapest.context("no warm invocation")?;
    report.add(Figure::instructions(
        "one warm invocation, arrival to answer",
        spent,
    ));
    let total = grown.iter().map(|(_, count)| count).sum();
    report.add(Figure::count("  exits to user space in it", total));
    for (kind, count) in grown {
        report.add(Figure::count(&format!("    {kind}"), count));
    }
    let copied = copied(testbed)?;
    report.add(Figure::count(
        "bytes through the device since the start",
        copied,
    ));
    Ok(())
}

fn memory_figures(report: &mut Report, testbed: &Testbed) -> Result<()> {
    let pid = testbed.vmm("echo")?;
    let guest = fs::metadata(memory::guest_memory(pid)?)?;
    report.add(Figure::mib(
        "guest memory in use after it",
        guest.blocks() / 2,
    ));
    report.add(Figure::mib("nexus-vmm itself", memory::usage(pid)?.private_kib).at_most(3.0));
    report.add(Figure::mib(
        "nexusd with one VM",
        memory::usage(testbed.daemon_pid())?.private_kib,
    ));
    Ok(())
}

pub(super) fn timeline(testbed: &Testbed, request: &str) -> Result<Value> {
    testbed.nexus_json(&["trace", request])
}

/// Microseconds from arrival to a mark.
pub(super) fn mark(timeline: &Value, name: &str) -> Result<u64> {
    let marks = timeline["marks"]
        .as_array()
        .with_context(|| format!("no marks in {timeline}"))?;
    let found = marks
        .iter()
        .find(|mark| mark["name"] == name)
        .and_then(|mark| mark["at_us"].as_u64());
    found.with_context(|| format!("no mark {name:?} in {timeline}"))
}

/// Exits that nexus-vmm handled, by kind.
fn exits(testbed: &Testbed) -> Result<Vec<(String, u64)>> {
    let instance = testbed.instance("echo")?;
    let exits = instance["machine"]["vmm"]["exits"]
        .as_object()
        .with_context(|| format!("no exits in {instance}"))?;
    Ok(exits
        .iter()
        .filter_map(|(kind, count)| Some((kind.clone(), count.as_u64()?)))
        .collect())
}

/// Payload bytes that the device moved in place, both ways; each was copied once in the guest and never in between.
fn copied(testbed: &Testbed) -> Result<u64> {
    let instance = testbed.instance("echo")?;
    let session = &instance["machine"]["session"];
    let bytes: Option<u64> = ["bytes_sent", "bytes_received"]
        .iter()
        .map(|name| session[name].as_u64())
        .sum();
    let bytes = bytes.with_context(|| format!("no byte counts in {instance}"))?;
    ensure!(bytes > 0, "an invocation without bytes: {instance}");
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_boot_marker() {
        let log = "x\nnexus-init: ready in 31 ns (init began at 28 ns)\r\ny";
        assert_eq!(boot_marker(log), Some((31, 28)));
        assert_eq!(boot_marker("nexus-init: exec"), None);
    }
}
