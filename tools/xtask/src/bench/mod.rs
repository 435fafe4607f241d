// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask bench`: boot, start and invocation under instruction counting, as a table and as JSON; `cargo xtask bench --network`: bytes and
//! round trips beside other ways out of a guest; `cargo xtask bench --sdk`: what the SDK costs a function.

use std::time::Duration;

use anyhow::Result;

use crate::demo::Inputs;
use crate::{lab, step};

mod job;
pub(crate) mod network;
mod report;
pub(crate) mod sdk;

pub(crate) use job::job;

/// How long a benchmark may take; about three times what it does.
const LIMIT: Duration = Duration::from_secs(45 * 60);

/// Sets everything up and measures.
pub(crate) fn run() -> Result<()> {
    let inputs = Inputs::prepare("bench")?;
    let place = lab::Place::find()?;
    step::note("measuring; under instruction counting this takes some minutes");
    place.run(&lab::Job {
        folder: &inputs.folder,
        clock: lab::Clock::Instructions,
        limit: Some(LIMIT),
        program: &inputs.command("bench-job"),
    })
}
