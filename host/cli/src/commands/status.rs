// SPDX-License-Identifier: Apache-2.0
//! `nexus status`: the daemon and its functions.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::Outcome;
use crate::admin::Admin;
use crate::output::{Output, cell, mib, table::table};

/// Show the daemon and what is deployed.
#[derive(Debug, Args)]
pub(crate) struct Status {}

impl Status {
    pub(super) async fn run(self, admin: &Admin, output: Output) -> Outcome {
        let mut status = admin.get("/v1/status").await?;
        status["deployed"] = admin.get("/v1/functions").await?["functions"].take();
        output.show(&status, text)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn text(status: &Value) -> String {
    let daemon = format!(
        "nexusd {} (pid {}), {}, up for {} s\nInvoke API at http://{}, object store at {}, region {}, {} instances\n\n",
        cell(status, "/version"),
        cell(status, "/pid"),
        mib(status, "/memory/rss_kib", 1024),
        cell(status, "/uptime_s"),
        cell(status, "/invoke"),
        cell(status, "/store"),
        cell(status, "/region"),
        cell(status, "/instances"),
    );
    let functions = status["deployed"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let rows: Vec<_> = functions
        .iter()
        .map(|function| {
            [
                cell(function, "/name"),
                format!("{} MiB", cell(function, "/memory_mib")),
                format!("{} s", cell(function, "/timeout_s")),
                format!(
                    "{} of {}",
                    cell(function, "/prefetched/used"),
                    cell(function, "/prefetched/fetched")
                ),
                cell(function, "/root"),
            ]
        })
        .collect();
    daemon
        + &table(
            ["FUNCTION", "MEMORY", "TIMEOUT", "PREFETCHED", "ROOT"],
            &rows,
        )
}
