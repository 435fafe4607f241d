// SPDX-License-Identifier: Apache-2.0
//! The driver's own checks (`guest-kmod/tests`): static C programs against peers in Python, so that neither end is ours.

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nexus_testbed::KilledOnDrop;
use serde_json::{Value, json};

use super::Case;
use crate::bed::{Bed, SERVER, SILENT};

pub(crate) const CASE: Case = Case {
    name: "driver",
    guest,
    host,
};

/// The peers, a program in Python.
const PEERS: &str = include_str!("../../../../guest-kmod/tests/peers.py");

/// Programs in the function's image, one for each file of checks.
const PROGRAMS: [&str; 4] = ["connect", "stream", "events", "options"];

/// How long the checks of one program may take: a failure that makes them wait ends with what they have said.
const PATIENCE: Duration = Duration::from_secs(90);

fn guest(arguments: &Value) -> Result<Value> {
    let name = arguments["program"].as_str().context("no program")?;
    let path = format!("/tmp/{name}.out");
    let mut child = Command::new(format!("/checks/{name}"))
        .env("PEER", SERVER.to_string())
        .env("SILENT", SILENT.to_string())
        .env("TRACE", "1")
        .stdout(File::create(&path)?)
        .spawn()
        .with_context(|| format!("cannot run the checks of {name}"))?;
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status.to_string();
        }
        if start.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            break "did not end".to_owned();
        }
        sleep(Duration::from_millis(20));
    };
    Ok(json!({ "status": status, "output": fs::read_to_string(&path)? }))
}

fn host(bed: &Bed) -> Result<()> {
    let mut program = Command::new("python3");
    program
        .args(["-c", PEERS, &SERVER.to_string()])
        .stdout(Stdio::piped());
    // It ends the peers, whatever becomes of the case.
    let mut peers = KilledOnDrop::spawn(&mut program).context("cannot start python3")?;
    let mut ready = String::new();
    let out = peers.stdout.take().context("no output")?;
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut ready)?;
    ensure!(ready.trim() == "ready", "the peers say {ready:?}");

    let mut failed = Vec::new();
    for program in PROGRAMS {
        let result = bed.guest(&CASE, &json!({ "program": program }))?;
        if result["status"] != "exit status: 0" {
            let output = result["output"].as_str().unwrap_or_default();
            failed.push(format!("{program}: {}\n{output}", result["status"]));
        }
    }
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}
