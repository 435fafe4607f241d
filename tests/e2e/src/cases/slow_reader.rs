// SPDX-License-Identifier: Apache-2.0
//! A reader that reads nothing, in the guest or on the host, makes its writer wait and nobody's memory grow.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
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
        let word_port = arguments["word_port"]
            .as_u64()
            .context("no port for the word")?;
        let mut word = TcpStream::connect((SERVER, u16::try_from(word_port)?))?;
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
        (1..LIMIT).contains(&written),
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

/// One server writes until nothing moves; another then gives the guest its word to go on.
fn guest_reads_nothing(bed: &Bed) -> Result<u64> {
    let (full, is_full) = channel();
    let port = bed::serve(SERVER, move |mut stream| {
        let written = fill(&mut stream)?;
        full.send(written).map_err(|_| ErrorKind::Other)?;
        // The connection is held while the guest's half looks at its memory.
        stream.read(&mut [0]).map(drop)
    })?;
    let (is_full, written) = (Mutex::new(is_full), AtomicU64::new(0));
    let shared = Arc::new((is_full, written));
    let other = Arc::clone(&shared);
    let word_port = bed::serve(SERVER, move |mut stream| {
        let written = other
            .0
            .lock()
            .map_err(|_| ErrorKind::Other)?
            .recv()
            .map_err(|_| ErrorKind::Other)?;
        other.1.store(written, Ordering::Relaxed);
        stream.write_all(&[1])
    })?;
    bed.guest(
        &CASE,
        &json!({ "port": port, "word_port": word_port, "role": "reader" }),
    )?;
    Ok(shared.1.load(Ordering::Relaxed))
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
