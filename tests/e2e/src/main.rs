// SPDX-License-Identifier: Apache-2.0
//! End-to-end tests in real guests, the guest's half and the host's half of each in one file of [`cases`].
//!
//! One program, two lives. On the host, `nexus-e2e run` starts a Nexus and runs the host's halves. In a guest, the same program,
//! linked statically, is the function: `nexus-e2e agent` serves AWS Lambda's runtime API, and an event names the guest's
//! half to run and its arguments.

use std::process::ExitCode;

use clap::Parser;

mod agent;
mod bed;
mod cases;
mod pattern;
mod runner;
mod traffic;
mod watchdog;

#[derive(Debug, Parser)]
enum Life {
    /// Serve the runtime API inside a guest.
    Agent,
    /// Make the traffic of the network benchmark, on a machine without nexusd.
    Traffic {
        /// What to do, as JSON.
        orders: String,
    },
    /// Run the tests.
    Run(runner::Arguments),
}

fn main() -> ExitCode {
    match Life::parse() {
        Life::Agent => match agent::serve() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("agent: {error:#}");
                ExitCode::FAILURE
            }
        },
        Life::Traffic { orders } => match traffic::run(&orders) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("traffic: {error:#}");
                ExitCode::FAILURE
            }
        },
        Life::Run(arguments) => runner::run(&arguments),
    }
}
