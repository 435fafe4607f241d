// SPDX-License-Identifier: Apache-2.0
//! `nexus trace`: what happened when during an invocation.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::Outcome;
use crate::admin::Admin;
use crate::output::{Output, cell, table::table};

/// Show the timeline of one of the last invocations.
#[derive(Debug, Args)]
pub(crate) struct Trace {
    /// The invocation's request id.
    request: String,
}

impl Trace {
    pub(super) async fn run(self, admin: &Admin, output: Output) -> Outcome {
        let record = admin
            .get(&format!("/v1/invocations/{}", self.request))
            .await?;
        output.show(&record, timeline_table)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The marks of an invocation: since its arrival, and since the mark before.
pub(super) fn timeline_table(timeline: &Value) -> String {
    let mut before = 0;
    let marks = timeline["marks"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let rows: Vec<_> = marks
        .iter()
        .map(|mark| {
            let at = mark["at_us"].as_u64().unwrap_or_default();
            let step = at.saturating_sub(before);
            before = at;
            [
                cell(mark, "/name"),
                millis(at),
                format!("+{}", millis(step)),
            ]
        })
        .collect();
    table(["WHAT", "AT", "STEP"], &rows)
}

fn millis(micros: u64) -> String {
    format!("{}.{:03} ms", micros / 1000, micros % 1000)
}
