// SPDX-License-Identifier: Apache-2.0
//! `nexus logs`: what a function printed.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use http_body_util::BodyExt;

use super::Outcome;
use crate::admin::{Admin, AdminError};

/// Print what a function's instances have printed.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// The function's name.
    name: String,
    /// Go on as more comes.
    #[arg(long, short)]
    follow: bool,
}

impl Logs {
    pub(super) async fn run(self, admin: &Admin) -> Outcome {
        let path = format!("/v1/functions/{}/logs?follow={}", self.name, self.follow);
        let mut body = admin.stream(&path).await?;
        while let Some(frame) = body.frame().await {
            if let Some(text) = frame.map_err(AdminError::from)?.data_ref() {
                let mut out = io::stdout();
                out.write_all(text)?;
                out.flush()?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
