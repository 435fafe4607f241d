// SPDX-License-Identifier: Apache-2.0
//! Plays the written scripts on the kernel that it runs on, for `nexus compat --probes`: prints a line for each, a mark and JSON with the
//! script's name, its calls and what became of them.

use std::error::Error;
use std::io::Write;

use nexus_socket_model::{play, scripts};
use serde_json::json;

/// What each line begins with, among whatever else a guest's console says.
const MARK: &str = "nexus-probe: ";

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    for (name, calls) in scripts::all() {
        let outcomes = play(&calls);
        let calls: Vec<_> = calls.iter().map(|call| format!("{call:?}")).collect();
        let outcomes: Vec<_> = outcomes.iter().map(|one| format!("{one:?}")).collect();
        let line = json!({ "name": name, "calls": calls, "outcomes": outcomes });
        writeln!(out, "{MARK}{line}")?;
    }
    Ok(())
}
