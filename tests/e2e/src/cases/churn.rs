// SPDX-License-Identifier: Apache-2.0
//! Sockets that come and go in every way leave nothing behind in the guest (T51, T52).

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Case;
use crate::bed::Bed;

pub(crate) const CASE: Case = Case {
    name: "churn",
    guest,
    host,
};

/// Memory in KiB that may be gone afterwards: less than one page for each hundred sockets.
const TOLERANCE: u64 = 2048;

fn guest(_arguments: &Value) -> Result<Value> {
    // The first round pays for what is made once.
    round(200)?;
    let before = available()?;
    round(4000)?;
    let after = available()?;
    ensure!(
        after + TOLERANCE > before,
        "{before} KiB were available before, {after} KiB are after it"
    );
    Ok(json!({ "before": before, "after": after }))
}

/// So many sockets of each way to end.
fn round(count: u32) -> Result<()> {
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
    bed.guest(&CASE, &Value::Null)?;
    Ok(())
}
