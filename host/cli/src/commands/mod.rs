// SPDX-License-Identifier: Apache-2.0
//! The subcommands, one file each.

mod build;
mod compat;
mod deploy;
mod doctor;
mod grants;
mod invoke;
mod local;
mod logs;
mod ps;
mod remove;
mod status;
mod trace;

use std::error::Error;
use std::process::ExitCode;

use clap::Subcommand;

use crate::admin::Admin;
use crate::output::Output;

/// How a subcommand ends.
type Outcome = Result<ExitCode, Box<dyn Error>>;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Build(build::Build),
    Compat(compat::Compat),
    Deploy(deploy::Deploy),
    Invoke(invoke::Invoke),
    Local(local::Local),
    Logs(logs::Logs),
    Ps(ps::Ps),
    Remove(remove::Remove),
    Status(status::Status),
    Trace(trace::Trace),
    Doctor(doctor::Doctor),
}

impl Command {
    pub(crate) async fn run(self, admin: Admin, output: Output) -> Outcome {
        match self {
            Self::Build(build) => build.run(output),
            Self::Compat(compat) => compat.run(output).await,
            Self::Deploy(deploy) => deploy.run(&admin, output).await,
            Self::Invoke(invoke) => invoke.run(&admin, output).await,
            Self::Local(local) => local.run(&admin).await,
            Self::Logs(logs) => logs.run(&admin).await,
            Self::Ps(ps) => ps.run(&admin, output).await,
            Self::Remove(remove) => remove.run(&admin, output).await,
            Self::Status(status) => status.run(&admin, output).await,
            Self::Trace(trace) => trace.run(&admin, output).await,
            Self::Doctor(doctor) => doctor.run(&admin, output).await,
        }
    }
}
