// SPDX-License-Identifier: Apache-2.0
//! The command line of `cargo xtask`.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::setup::kernel::Flavour;
use crate::{bench, build, check, compat, demo, lab, paths, setup, test};

/// The project's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Set everything up and show the main job: a function image runs in a Nexus VM.
    Demo,
    /// Run all tests: unit tests and integration tests on this machine, end-to-end tests where KVM is complete.
    Test {
        /// Leave the end-to-end tests out.
        #[arg(long)]
        host_only: bool,
        /// Run only the end-to-end tests whose names contain this.
        #[arg(long, value_name = "TEXT")]
        only: Option<String>,
        /// Run the guests on a kernel with KASAN, lockdep and kmemleak, and fail for what these find. Slow.
        #[arg(long, conflicts_with = "stock_kernel")]
        checked_kernel: bool,
        /// Run the guests on a kernel with Linux' own network stack, whose place nexus.ko takes.
        #[arg(long)]
        stock_kernel: bool,
    },
    /// Run other people's test suites on a guest with Linux' own network stack and on a Nexus guest, and write docs/compatibility.md.
    Compat {
        /// Run only the suites whose names or runs contain this; the page has the others' last results.
        #[arg(long, value_name = "TEXT")]
        only: Option<String>,
    },
    /// Measure boot, start and invocation, and print a table.
    Bench {
        /// Measure bytes and round trips instead, beside virtio-net and vhost-vsock.
        #[arg(long)]
        network: bool,
        /// Measure what the SDK costs a function instead, with the shim and without.
        #[arg(long, conflicts_with = "network")]
        sdk: bool,
    },
    /// Check format, lints and dependencies.
    Check,
    /// Set up and build everything, and run nothing.
    Build,
    /// Run a program where KVM can run a Linux guest.
    Lab {
        /// Folder that the program may write to.
        #[arg(long, value_name = "DIR")]
        folder: Option<PathBuf>,
        /// The program and its arguments.
        #[arg(trailing_var_arg = true, required = true)]
        program: Vec<String>,
    },
    /// The demo's part that needs KVM.
    #[command(hide = true)]
    DemoJob(demo::Inputs),
    /// The benchmark's part that needs KVM.
    #[command(hide = true)]
    BenchJob(demo::Inputs),
    /// The network benchmark's part that needs KVM.
    #[command(hide = true)]
    BenchNetworkJob(bench::network::Inputs),
    /// The SDK benchmark's part that needs KVM.
    #[command(hide = true)]
    BenchSdkJob(bench::sdk::Inputs),
}

impl Cli {
    /// Does what the command line asks for.
    pub(crate) fn run(self) -> Result<()> {
        match self.command {
            Command::Demo => demo::run(),
            Command::Test {
                host_only,
                only,
                checked_kernel,
                stock_kernel,
            } => {
                let flavour = match (checked_kernel, stock_kernel) {
                    (true, _) => Flavour::Checked,
                    (false, true) => Flavour::Stock,
                    (false, false) => Flavour::Plain,
                };
                test::run(host_only, only.as_deref(), flavour)
            }
            Command::Compat { only } => compat::run(only.as_deref()),
            Command::Bench { sdk: true, .. } => bench::sdk::run(),
            Command::Bench { network: true, .. } => bench::network::run(),
            Command::Bench { .. } => bench::run(),
            Command::Check => check::run(),
            Command::Build => build::everything(Flavour::Plain).map(drop),
            Command::Lab { folder, program } => {
                setup::debian::packages(setup::debian::Purpose::Build)?;
                build::host::programs()?;
                let folder = folder.unwrap_or_else(|| paths::runs().join("lab"));
                lab::Place::find()?.run(&lab::Job {
                    folder: &folder,
                    clock: lab::Clock::Wall,
                    limit: None,
                    program: &program,
                })
            }
            Command::DemoJob(inputs) => demo::job(&inputs),
            Command::BenchJob(inputs) => bench::job(&inputs),
            Command::BenchNetworkJob(inputs) => bench::network::job(&inputs),
            Command::BenchSdkJob(inputs) => bench::sdk::job(&inputs),
        }
    }
}
