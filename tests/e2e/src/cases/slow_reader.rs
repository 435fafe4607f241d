// SPDX-License-Identifier: Apache-2.0
//! A reader that reads nothing, in the guest or on the host, makes its writer wait and nobody's memory grow.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nexus_testbed::memory;
use serde_json::{Value, json};

use super::{Case, port};
use crate::bed::{self, Bed, SERVER};

pub(crate) const CASE: Case = Case {
    name: "slow_reader",
    guest,
    host,
};

/// Far above all buffers on the way: rings, and the host kernel's socket buffers.
const LIMIT: u64 = 64 << 20;
/// How long no byte may move until the way counts as full.
const QUIET: Duration = Duration::from_secs(3);

/// `role` "reader": holds a connection without reading; "writer": writes until nothing moves.
fn guest(arguments: &Value) -> Result<Value> {
    let mut stream = TcpStream::connect((SERVER, port(arguments)?))?;
    let before = available_kib()?;
    let written = if arguments["role"] == "writer" {
        fill(&mut stream)?
    } else {
        // The host says over a second connection when its writer has stopped moving.
        let mut word = TcpStream::connect((SERVER, port(arguments)?))?;
        word.read_exact(&mut [0])?;
        0
    };
    let used = before.saturating_sub(available_kib()?);
    Ok(json!({ "written": written, "guest_kib": used }))
}

fn host(bed: &Bed) -> Result<()> {
    let before = memory::usage(bed.testbed.daemon_pid())?.private_kib;
    let written = guest_reads_nothing(bed)?;
    ensure!(
        written < LIMIT,
        "the host could write {written} bytes to a guest that reads nothing"
    );
    let port = bed::serve(SERVER, |_stream| {
        // Holds the connection, reads nothing, ends with the process.
        loop {
            std::thread::park();
        }
    })?;
    let result = bed.guest(&CASE, &json!({ "port": port, "role": "writer" }))?;
    ensure!(
        result["written"].as_u64().context("no count")? < LIMIT,
        "the guest could write on: {result}"
    );
    ensure!(
        result["guest_kib"].as_u64().context("no memory")? < 2048,
        "the guest's memory grew: {result}"
    );
    let after = memory::usage(bed.testbed.daemon_pid())?.private_kib;
    ensure!(
        after < before + 2048,
        "nexusd grew from {before} KiB to {after} KiB"
    );
    Ok(())
}

/// The first connection is written to until nothing moves, then the second gets its word.
fn guest_reads_nothing(bed: &Bed) -> Result<u64> {
    let (full, is_full) = channel::<u64>();
    let state = Mutex::new((Some(full), None::<Receiver<u64>>));
    let (report, written) = channel();
    state.lock().map_err(|_| anyhow::anyhow!("poisoned"))?.1 = Some(is_full);
    let port = bed::serve(SERVER, move |mut stream| {
        let (first, second) = {
            let mut state = state.lock().map_err(|_| ErrorKind::Other)?;
            let first = state.0.take();
            let second = if first.is_none() {
                state.1.take()
            } else {
                None
            };
            (first, second)
        };
        if let Some(full) = first {
            let count = fill(&mut stream)?;
            full.send(count).map_err(|_| ErrorKind::Other)?;
            std::thread::park();
        } else if let Some(is_full) = second {
            let count = is_full.recv().map_err(|_| ErrorKind::Other)?;
            report.send(count).map_err(|_| ErrorKind::Other)?;
            stream.write_all(&[1])?;
        }
        Ok(())
    })?;
    bed.guest(&CASE, &json!({ "port": port, "role": "reader" }))?;
    Ok(written.recv()?)
}

/// Writes until nothing has moved for a while, and returns how much went.
fn fill(stream: &mut TcpStream) -> std::io::Result<u64> {
    stream.set_write_timeout(Some(QUIET))?;
    let block = [0x5a; 16384];
    let mut written = 0;
    while written < LIMIT {
        match stream.write(&block) {
            Ok(count) => written += count as u64,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

fn available_kib() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .context("no MemAvailable")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
