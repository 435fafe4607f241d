// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask bench`: boot, start and invocation under instruction counting, as a table and as JSON; `cargo xtask bench --network`: bytes and
//! round trips beside other ways out of a guest.

use anyhow::Result;

use crate::demo::Inputs;
use crate::{lab, step};

mod job;
pub(crate) mod network;
mod report;

pub(crate) use job::job;

/// Sets everything up and measures.
pub(crate) fn run() -> Result<()> {
    let inputs = Inputs::prepare("bench")?;
    let place = lab::Place::find()?;
    step::note("measuring; under instruction counting this takes some minutes");
    place.run(
        &inputs.folder,
        lab::Clock::Instructions,
        &inputs.command("bench-job"),
    )
}
