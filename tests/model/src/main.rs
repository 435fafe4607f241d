// SPDX-License-Identifier: Apache-2.0
//! Plays the scripts of its standard input, one JSON array of calls a line, on the kernel that it runs on; prints their
//! outcomes in the same form.

use std::error::Error;
use std::io::{BufRead, Write};

use nexus_socket_model::{Call, play};

fn main() -> Result<(), Box<dyn Error>> {
    for line in std::io::stdin().lock().lines() {
        let calls: Vec<Call> = serde_json::from_str(&line?)?;
        let mut out = std::io::stdout().lock();
        serde_json::to_writer(&mut out, &play(&calls))?;
        out.write_all(b"\n")?;
        out.flush()?;
    }
    Ok(())
}
