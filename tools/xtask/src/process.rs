// SPDX-License-Identifier: Apache-2.0
//! Child processes: their output goes to the step's log, and a failure shows its end.

use std::fs::{self, OpenOptions};
use std::process::{Command, Stdio};
use std::thread::{available_parallelism, sleep};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::step::Step;

/// Lines of a failed command's output that its error repeats.
const TAIL_LINES: usize = 25;

/// The argument by which make and ninja use all processors.
pub(crate) fn jobs() -> String {
    let jobs = available_parallelism().map_or(1, std::num::NonZero::get);
    format!("-j{jobs}")
}

/// Runs a command as part of a step.
pub(crate) fn run(step: &Step, command: &mut Command) -> Result<()> {
    let shown = shown(command);
    let log = OpenOptions::new().append(true).open(step.log())?;
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start: {shown}"))?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        step.refresh();
        sleep(Duration::from_millis(100));
    };
    if status.success() {
        return Ok(());
    }
    let output = fs::read_to_string(step.log()).unwrap_or_default();
    let lines: Vec<&str> = output.lines().collect();
    let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
    bail!("{status} from: {shown}\n{tail}")
}

/// Runs a command and returns its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start: {shown}"))?;
    if !output.status.success() {
        bail!(
            "{} from: {shown}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a command whose output belongs to the user.
pub(crate) fn inherit(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    let status = command
        .status()
        .with_context(|| format!("cannot start: {shown}"))?;
    if !status.success() {
        bail!("{status} from: {shown}");
    }
    Ok(())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
