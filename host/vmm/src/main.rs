// SPDX-License-Identifier: Apache-2.0
//! `nexus-vmm`: runs one virtual machine. See the library for everything; this only turns results into an exit status.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use nexus_vmm::cli::{Cli, Command};
use nexus_vmm::machine;

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(false)
        .without_time()
        .init();
    let cli = Cli::parse();
    match (cli.command, cli.machine) {
        (Some(Command::Probe { json }), _) => probe(json),
        (None, Some(config)) => run(&config),
        (None, None) => Cli::command()
            .error(
                clap::error::ErrorKind::MissingRequiredArgument,
                "a kernel and a memory size are needed: --kernel PATH --memory MIB",
            )
            .exit(),
    }
}

/// Status 0 if KVM is complete, 22 if not.
fn probe(json: bool) -> ExitCode {
    let support = nexus_vmm::probe_kvm();
    if json {
        match serde_json::to_string(&support) {
            Ok(text) => println!("{text}"),
            Err(error) => tracing::error!("{error}"),
        }
    } else {
        println!("{support}");
    }
    let lacks = nexus_vmm::VmmError::KvmLacks(String::new());
    ExitCode::from(if support.is_complete() {
        0
    } else {
        lacks.status()
    })
}

fn run(config: &nexus_vmm::cli::MachineConfig) -> ExitCode {
    match machine::run(config) {
        Ok(reason) => {
            tracing::info!("{reason}");
            ExitCode::from(reason.status())
        }
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::from(error.status())
        }
    }
}
