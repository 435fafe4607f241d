// SPDX-License-Identifier: Apache-2.0
//! `nexus ps`: the instances and what they cost.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::Outcome;
use crate::admin::Admin;
use crate::output::{Output, cell, mib, table::table};

/// List the instances.
#[derive(Debug, Args)]
pub(crate) struct Ps {}

impl Ps {
    pub(super) async fn run(self, admin: &Admin, output: Output) -> Outcome {
        output.show(&admin.get("/v1/instances").await?, text)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn text(value: &Value) -> String {
    let instances = value["instances"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let rows: Vec<_> = instances
        .iter()
        .map(|instance| {
            let paused = instance["paused"] == true;
            let state = if paused {
                "paused".into()
            } else {
                cell(instance, "/state")
            };
            [
                cell(instance, "/id"),
                cell(instance, "/function"),
                state,
                cell(instance, "/pid"),
                format!("{} s", cell(instance, "/age_s")),
                mib(instance, "/machine/vmm/memory_resident", 1),
                mib(instance, "/memory/private_kib", 1024),
                cell(instance, "/machine/vmm/exits_total"),
                cell(instance, "/machine/session/sockets_open"),
            ]
        })
        .collect();
    table(
        [
            "INSTANCE", "FUNCTION", "STATE", "PID", "AGE", "GUEST", "PRIVATE", "EXITS", "SOCKETS",
        ],
        &rows,
    )
}
