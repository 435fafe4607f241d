// SPDX-License-Identifier: Apache-2.0
//! Makes the SDK shim's tables of an installed botocore.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use nexus_sdk_tables::tables;

/// Makes the SDK shim's tables of an installed botocore.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The folder of the package botocore.
    botocore: PathBuf,
    /// The folder for the tables, one file for each service.
    output: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let folder = &arguments.botocore;
    let tables = tables(|name| fs::read(folder.join(name)).ok())
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    // Complete or not there: others may look for it meanwhile.
    let mut unfinished = arguments.output.clone().into_os_string();
    unfinished.push(format!(".{}", std::process::id()));
    let unfinished = PathBuf::from(unfinished);
    fs::create_dir_all(&unfinished)?;
    for (service, table) in tables {
        fs::write(unfinished.join(service), table)?;
    }
    if arguments.output.is_dir() {
        fs::remove_dir_all(&arguments.output)?;
    }
    match fs::rename(&unfinished, &arguments.output) {
        // Another has made it in the meantime.
        Err(_) if arguments.output.is_dir() => Ok(fs::remove_dir_all(&unfinished)?),
        renamed => Ok(renamed?),
    }
}
