// SPDX-License-Identifier: Apache-2.0
//! Sockets that come and go in every way leave nothing behind, neither in the guest nor in nexusd (T51, T52).
//!
//! `NEXUS_CHURN_ROUNDS` asks for more of them; a round has six, and every fourth one more.

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Case, port};
use crate::bed::{self, Bed, SERVER};

pub(crate) const CASE: Case = Case {
    name: "churn",
    guest,
    host,
};

/// Memory in KiB that may be gone afterwards, on either side: less than one page for each hundred sockets.
const TOLERANCE: u64 = 2048;
/// What the host's server says first.
const GREETING: &[u8] = b"hello";
/// Rounds, unless asked for more.
const ROUNDS: u64 = 4000;
/// Rounds that pay for what is made once.
const FIRST_ROUNDS: u64 = 200;

fn guest(arguments: &Value) -> Result<Value> {
    let server = SocketAddr::from((SERVER, port(arguments)?));
    let count = arguments["rounds"].as_u64().context("no rounds")?;
    let before = available()?;
    rounds(count, server)?;
    Ok(json!({ "before": before, "after": available()? }))
}

/// So many rounds.
fn rounds(count: u64, host: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let bytes = [7; 3000];
    for number in 0..count {
        let mut client = TcpStream::connect(address)?;
        let (mut server, _) = listener.accept()?;
        client.write_all(&bytes)?;
        if number % 2 == 0 {
            server.read_exact(&mut [0; 3000])?;
        }
        if number % 3 == 0 {
            drop(client);
            drop(server);
        } else {
            drop(server);
            drop(client);
        }
        // Never accepted, and refused.
        let alone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let waiting = TcpStream::connect(alone.local_addr()?)?;
        drop(alone);
        drop(waiting);
        ensure!(
            TcpStream::connect((Ipv4Addr::LOCALHOST, 9)).is_err(),
            "somebody is at port 9"
        );
        // Never read.
        let datagrams = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        datagrams.send_to(&bytes, datagrams.local_addr()?)?;
        if number % 4 == 0 {
            outside(host, number / 4)?;
        }
    }
    Ok(())
}

/// A connection to the host's server, which greets, and reads up to the end.
fn outside(server: SocketAddr, number: u64) -> Result<()> {
    let mut stream = TcpStream::connect(server)?;
    stream.write_all(&[7; 3000])?;
    match number % 3 {
        // With a greeting that nobody has read, or before it comes.
        0 => drop(stream),
        1 => {
            stream.read_exact(&mut [0; GREETING.len()])?;
            drop(stream);
        }
        _ => {
            stream.shutdown(Shutdown::Write)?;
            let mut all = Vec::new();
            stream.read_to_end(&mut all)?;
            ensure!(all == GREETING, "the greeting is {all:?}");
        }
    }
    Ok(())
}

/// `MemAvailable` in KiB.
fn available() -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .context("no MemAvailable")?;
    let number = line.trim().trim_end_matches(" kB").parse()?;
    Ok(number)
}

fn host(bed: &Bed) -> Result<()> {
    let server = bed::serve(SERVER, |mut stream| {
        stream.write_all(GREETING)?;
        std::io::copy(&mut stream, &mut std::io::sink()).map(drop)
    })?;
    let play = |rounds: u64| bed.guest(&CASE, &json!({ "port": server, "rounds": rounds }));
    let wanted = match env::var("NEXUS_CHURN_ROUNDS") {
        Ok(rounds) => rounds.parse().context("NEXUS_CHURN_ROUNDS")?,
        Err(_) => ROUNDS,
    };
    play(FIRST_ROUNDS)?;
    let (files, memory) = (bed.open_files()?, bed.memory()?);
    let mut left = wanted;
    while left > 0 {
        let now = left.min(ROUNDS);
        let result = play(now)?;
        let available = |when: &str| result[when].as_u64().context("no memory");
        let (before, after) = (available("before")?, available("after")?);
        ensure!(
            after + TOLERANCE > before,
            "{before} KiB were available in the guest before {now} rounds, {after} KiB are after them"
        );
        left -= now;
    }
    let (files_after, memory_after) = (bed.open_files()?, bed.memory()?);
    ensure!(
        files_after < files + 20,
        "nexusd had {files} open files before and has {files_after} after {wanted} rounds"
    );
    ensure!(
        memory_after < memory + TOLERANCE,
        "nexusd had {memory} KiB before and has {memory_after} after {wanted} rounds"
    );
    Ok(())
}
