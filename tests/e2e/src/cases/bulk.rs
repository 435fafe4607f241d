// SPDX-License-Identifier: Apache-2.0
//! 64 MiB each way at the same time over one connection arrive as they were sent.

use std::net::{Shutdown, TcpStream};
use std::thread;

use anyhow::{Result, anyhow};
use serde_json::{Value, json};

use super::{Case, port};
use crate::bed::{self, Bed, SERVER};
use crate::pattern;

pub(crate) const CASE: Case = Case {
    name: "bulk",
    guest,
    host,
};

const LENGTH: usize = 64 << 20;
const TO_HOST: u64 = 1;
const TO_GUEST: u64 = 2;

fn guest(arguments: &Value) -> Result<Value> {
    let stream = TcpStream::connect((SERVER, port(arguments)?))?;
    both_ways(&stream, TO_HOST, TO_GUEST)?;
    Ok(json!("done"))
}

fn host(bed: &Bed) -> Result<()> {
    let (sender, result) = std::sync::mpsc::channel();
    let port = bed::serve(SERVER, move |stream| {
        // The receiver is gone only when the test has failed already.
        drop(sender.send(both_ways(&stream, TO_GUEST, TO_HOST)));
        Ok(())
    })?;
    bed.guest(&CASE, &json!({ "port": port }))?;
    result.recv()?
}

fn both_ways(stream: &TcpStream, mine: u64, theirs: u64) -> Result<()> {
    thread::scope(|scope| {
        let sending = scope.spawn(|| {
            pattern::send(stream, mine, LENGTH)?;
            stream.shutdown(Shutdown::Write)
        });
        pattern::expect(stream, theirs, LENGTH)?;
        sending
            .join()
            .map_err(|_| anyhow!("the sending thread panicked"))??;
        // The peer's FIN comes after its last byte, not instead of it.
        anyhow::ensure!(
            std::io::Read::read(&mut &*stream, &mut [0])? == 0,
            "bytes behind the end"
        );
        Ok(())
    })
}
