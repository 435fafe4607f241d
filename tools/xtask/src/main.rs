// SPDX-License-Identifier: Apache-2.0
//! The project's own commands: `cargo xtask demo`, `cargo xtask test` and what they are made of.
//!
//! - [`setup`]: what has to be on the machine: Debian packages, the guest kernel, the lab's parts.
//! - [`build`]: what is made of this repository: host programs, guest files, function images.
//! - [`lab`]: runs a program where KVM can run a Linux guest: here, or in an emulated machine.
//! - [`demo`], [`test`], [`bench`], [`check`]: the commands.
//! - [`cache`], [`step`], [`process`]: results kept outside the checkout, progress, child processes.

use std::process::ExitCode;

use clap::Parser;

mod bench;
mod build;
mod cache;
mod check;
mod cli;
mod compat;
mod demo;
mod lab;
mod paths;
mod process;
mod setup;
mod step;
mod test;

fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
