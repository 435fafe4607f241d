// SPDX-License-Identifier: Apache-2.0
//! `nexus-rootfs`: the root file system builder on its own.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use nexus_rootfs::{BuildOptions, GuestFiles, Progress, build};

/// Makes EROFS roots for Nexus VMs out of function images.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build a root from an OCI layout folder, an OCI archive or the output of `docker save`.
    Build(Build),
}

#[derive(Args)]
struct Build {
    /// The image.
    image: PathBuf,
    /// Where the root goes.
    #[arg(long, short)]
    output: PathBuf,
    /// The guest's init, a static executable.
    #[arg(long)]
    init: PathBuf,
    /// The driver, nexus.ko.
    #[arg(long)]
    module: PathBuf,
    /// The preload library, `libnexus_preload.so`.
    #[arg(long)]
    preload: PathBuf,
    /// Folder of the SDK shims: `python`, and `node` if there is one.
    #[arg(long)]
    sdk: Option<PathBuf>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// Shows the stages as a bar on standard error, if that is a terminal.
struct Bar(ProgressBar);

impl Progress for Bar {
    fn stage(&self, name: &str, total: u64) {
        self.0.reset();
        self.0.set_message(name.to_owned());
        self.0.set_length(total);
    }

    fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }
}

fn main() -> ExitCode {
    let Command::Build(arguments) = Cli::parse().command;
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nexus-rootfs: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Build) -> Result<(), Box<dyn std::error::Error>> {
    let options = BuildOptions {
        image: arguments.image.clone(),
        guest: GuestFiles {
            init: arguments.init.clone(),
            module: arguments.module.clone(),
            preload: arguments.preload.clone(),
            probe: None,
            sdk: arguments.sdk.clone(),
        },
        output: arguments.output.clone(),
    };
    let style = "{msg:15} {bar:40} {decimal_bytes}/{decimal_total_bytes}";
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(style)?);
    let report = build(&options, &Bar(bar.clone()));
    bar.finish_and_clear();
    let report = report?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!(
            "{}: {} bytes, {} files, image {}",
            arguments.output.display(),
            report.size,
            report.files,
            report.image_digest
        );
    }
    Ok(())
}
