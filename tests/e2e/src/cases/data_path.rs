// SPDX-License-Identifier: Apache-2.0
//! No message of the data path leaves the kernel for the VMM: a thousand round trips cost it no exit.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Case, port};
use crate::bed::{self, Bed, SERVER};

pub(crate) const CASE: Case = Case {
    name: "data_path",
    guest,
    host,
};

const ROUND_TRIPS: u64 = 1000;

fn guest(arguments: &Value) -> Result<Value> {
    let mut stream = TcpStream::connect((SERVER, port(arguments)?))?;
    stream.set_nodelay(true)?;
    let count = arguments["count"].as_u64().context("no count")?;
    for number in 0..count {
        let message = number.to_le_bytes();
        stream.write_all(&message)?;
        let mut echo = [0; 8];
        stream.read_exact(&mut echo)?;
        ensure!(echo == message, "wrong echo of {number}");
    }
    Ok(json!(count))
}

fn host(bed: &Bed) -> Result<()> {
    let port = bed::serve(SERVER, |mut stream| {
        let mut message = [0; 8];
        loop {
            stream.read_exact(&mut message)?;
            stream.write_all(&message)?;
        }
    })?;
    let exits_of = |count: u64| -> Result<u64> {
        let before = user_exits(&bed.testbed.instance("agent")?)?;
        bed.guest(&CASE, &json!({ "port": port, "count": count }))?;
        Ok(user_exits(&bed.testbed.instance("agent")?)? - before)
    };
    // The function has an instance from here on, whichever cases ran before.
    bed.guest(&CASE, &json!({ "port": port, "count": 1 }))?;
    let (few, many) = (exits_of(1)?, exits_of(ROUND_TRIPS)?);
    // The console, pages of the disk and the like may cost some; messages must not.
    ensure!(
        many < few + ROUND_TRIPS / 20,
        "{ROUND_TRIPS} round trips cost {many} exits to user space, one cost {few}"
    );
    Ok(())
}

/// Sum of all exits that the VMM process handled.
fn user_exits(instance: &Value) -> Result<u64> {
    let total = &instance["machine"]["vmm"]["exits_total"];
    total
        .as_u64()
        .with_context(|| format!("no exits in {instance}"))
}
