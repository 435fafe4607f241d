// SPDX-License-Identifier: Apache-2.0
//! The program `nexusd`: reads its configuration, serves, ends on SIGTERM or SIGINT.

use std::error::Error;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use nexusd::{Config, Daemon, shutdown};
use nix::sys::prctl;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Exit status for a configuration that cannot be used.
const EXIT_CONFIG: u8 = 2;

/// Runs functions in VMs: takes invocations, holds the keys, does the VMs' I/O.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The configuration file.
    #[arg(long, default_value = "/etc/nexus/nexusd.toml")]
    config: PathBuf,
    /// Only check the configuration.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_env("NEXUS_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(filter)
        .init();
    let config = match Config::load(&arguments.config) {
        Ok(config) => config,
        Err(error) => return fail(&error, EXIT_CONFIG),
    };
    if arguments.check {
        return ExitCode::SUCCESS;
    }
    // Keys are about to be read: no core dump is to hold them, wherever the system sends those, and nobody is to trace.
    if let Err(error) = prctl::set_dumpable(false) {
        return fail(&error, 1);
    }
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&*error, 1),
    }
}

fn run(config: Config) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.worker_threads)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // Before anybody is answered, who may ask for the end next.
        let requested = shutdown::requested()?;
        let daemon = Daemon::open(config).await?;
        let stop = CancellationToken::new();
        let asked = stop.clone();
        tokio::spawn(async move {
            let signal = requested.await;
            tracing::info!(signal, "ending");
            asked.cancel();
        });
        Ok(daemon.run(stop).await?)
    })
}

/// Writes an error with its causes on one line.
fn fail(error: &dyn Error, status: u8) -> ExitCode {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    eprintln!("nexusd: {text}");
    ExitCode::from(status)
}
