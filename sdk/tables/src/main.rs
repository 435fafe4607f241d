// SPDX-License-Identifier: Apache-2.0
//! Makes the SDK shim's tables of an installed botocore.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use nexus_sdk_tables::{Release, SERVICES, table};

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
    let release = release(&arguments.botocore)?;
    // Complete or not there: others may look for it meanwhile.
    let mut unfinished = arguments.output.clone().into_os_string();
    unfinished.push(format!(".{}", std::process::id()));
    let unfinished = PathBuf::from(unfinished);
    fs::create_dir_all(&unfinished)?;
    for (service, folder) in SERVICES {
        let folder = arguments.botocore.join("data").join(folder);
        let model = ["service-2.json.gz", "service-2.json"]
            .iter()
            .find_map(|name| fs::read(folder.join(name)).ok())
            .ok_or_else(|| format!("no service-2.json in {}", folder.display()))?;
        let table = table(service, &model, &release)?;
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

fn release(botocore: &Path) -> Result<Release, Box<dyn std::error::Error>> {
    let read = |name: &str| {
        let path = botocore.join(name);
        fs::read_to_string(&path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))
    };
    let (init, response) = (read("__init__.py")?, read("response.py")?);
    let release = Release::of(&init, &response);
    Ok(release.ok_or_else(|| format!("no __version__ in {}", botocore.display()))?)
}
