// SPDX-License-Identifier: Apache-2.0
//! The program `nexus`: builds and deploys functions, invokes them, and shows what runs.
//!
//! - [`admin`]: the client of the daemon's admin API.
//! - [`commands`]: one file a subcommand.
//! - [`local`]: a network namespace for a program outside a VM.
//! - [`output`]: tables for people, JSON for programs.

mod admin;
mod commands;
mod compat;
mod local;
mod output;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::admin::Admin;
use crate::commands::Command;
use crate::output::Output;

/// Builds, deploys and invokes functions that run in Nexus VMs.
#[derive(Debug, Parser)]
#[command(name = "nexus", version)]
struct Arguments {
    /// The daemon's admin socket.
    #[arg(
        long,
        global = true,
        env = "NEXUS_SOCKET",
        default_value = "/run/nexus/admin.sock"
    )]
    socket: PathBuf,
    /// Print JSON, for programs.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = Output {
        json: arguments.json,
    };
    match run(arguments, output) {
        Ok(code) => code,
        Err(error) => {
            output.error(&*error);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments, output: Output) -> Result<ExitCode, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(arguments.command.run(Admin::new(arguments.socket), output))
}
