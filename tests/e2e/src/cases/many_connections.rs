// SPDX-License-Identifier: Apache-2.0
//! 200 connections at once, each with bytes of its own; then all are gone on both sides.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{Case, port};
use crate::bed::{self, Bed, SERVER};
use crate::pattern;

pub(crate) const CASE: Case = Case {
    name: "many_connections",
    guest,
    host,
};

const CONNECTIONS: u64 = 200;
const LENGTH: usize = 10_000;

fn guest(arguments: &Value) -> Result<Value> {
    let port = port(arguments)?;
    let mut streams = Vec::new();
    for number in 0..CONNECTIONS {
        let mut stream = TcpStream::connect((SERVER, port))?;
        stream.write_all(&number.to_le_bytes())?;
        streams.push(stream);
    }
    // Only now is anything read: all are open at once.
    for (number, stream) in (0..).zip(&streams) {
        pattern::expect(stream, number, LENGTH)?;
        pattern::send(stream, number + CONNECTIONS, LENGTH)?;
    }
    for mut stream in &streams {
        let mut verdict = [0];
        stream.read_exact(&mut verdict)?;
        ensure!(verdict == [1], "the host received wrong bytes");
    }
    Ok(json!(streams.len()))
}

fn host(bed: &Bed) -> Result<()> {
    let port = bed::serve(SERVER, |mut stream| {
        let mut number = [0; 8];
        stream.read_exact(&mut number)?;
        let number = u64::from_le_bytes(number);
        pattern::send(&stream, number, LENGTH)?;
        let right = pattern::expect(&stream, number + CONNECTIONS, LENGTH).is_ok();
        stream.write_all(&[u8::from(right)])
    })?;
    let before = bed.open_files()?;
    ensure!(
        bed.guest(&CASE, &json!({ "port": port }))? == json!(CONNECTIONS),
        "not all connections were made"
    );
    // The next invocation's answer comes after the device has released what the guest closed before it.
    bed.guest(&super::connect_errors::CASE, &json!({ "addresses": [] }))?;
    let after = bed.open_files()?;
    ensure!(
        after < before + 20,
        "nexusd had {before} open files before and has {after} after {CONNECTIONS} connections"
    );
    Ok(())
}
