// SPDX-License-Identifier: Apache-2.0
//! `nexus remove`: a function goes, with its instances and its log.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::Outcome;
use crate::admin::Admin;
use crate::output::{Output, cell};

/// Remove a function. Its root image stays.
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// The function's name.
    name: String,
}

impl Remove {
    pub(super) async fn run(self, admin: &Admin, output: Output) -> Outcome {
        admin
            .delete(&format!("/v1/functions/{}", self.name))
            .await?;
        output.show(&json!({ "removed": self.name }), |value| {
            format!("removed {}\n", cell(value, "/removed"))
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
