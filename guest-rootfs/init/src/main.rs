// SPDX-License-Identifier: Apache-2.0
//! PID 1 of a Nexus guest: it makes the machine ready, runs the image's program, and ends the VM with it.
//!
//! The kernel starts it as `/.nexus/init` from the read-only root. In this order it
//! 1. puts a writable overlay over the root and moves into it ([`mounts`]),
//! 2. loads the driver, which brings the socket families ([`machine`]),
//! 3. asks nexusd how to run the program ([`host`], [`config`]), or finds that on the kernel's command line ([`standalone`]), and
//!    writes what libc reads ([`files`]) and whom SDKs are to trust ([`trust`]),
//! 4. starts the program, reaps orphans, and reports how the program ended ([`process`]),
//! 5. ends the VM ([`machine`]).
//!
//! What goes wrong on the way is said on the console in a line that starts with `nexus-init:`, reported to nexusd if
//! it can be reached, and ends the VM with code 126, or 127 if the program does not exist.

mod config;
mod error;
mod files;
mod host;
mod http;
mod machine;
mod mounts;
mod process;
mod standalone;
mod trust;

use std::convert::Infallible;
use std::path::Path;

use config::{ImageConfig, Program};
use error::InitError;
use host::ProcessExit;

/// Where the builder puts what init needs.
const MODULE: &str = "/.nexus/nexus.ko";
const IMAGE_CONFIG: &str = "/.nexus/image.json";
const SDK: &str = "/.nexus/sdk";

fn main() {
    let Err(error) = if std::process::id() == 1 {
        boot()
    } else {
        Err(InitError::NotPidOne)
    };
    eprintln!("nexus-init: {error}");
    let code = error.exit_code();
    if matches!(error, InitError::NotPidOne) {
        std::process::exit(code.into());
    }
    let report = ProcessExit::Failed {
        error: error.to_string(),
    };
    if !matches!(standalone::job(), Ok(Some(_)))
        && error.host_is_reachable()
        && let Err(error) = host::report_exit(&report)
    {
        eprintln!("nexus-init: {error}");
    }
    machine::end(code);
}

/// Does everything; returns only if something fails.
fn boot() -> Result<Infallible, InitError> {
    let began = machine::time_since_boot();
    mounts::enter_overlay(Path::new("/"))?;
    let console = mounts::open_console()?;
    let job = standalone::job()?;
    let stock = job.as_ref().is_some_and(|job| job.stock);
    if stock {
        machine::bring_loopback_up()?;
    } else {
        machine::load_module(Path::new(MODULE))?;
    }
    let image = ImageConfig::load(Path::new(IMAGE_CONFIG))?;
    let is_alone = job.is_some();
    let boot = match job {
        Some(job) => job.boot,
        None => host::boot_config()?,
    };
    machine::set_clock(boot.clock_ns)?;
    machine::set_hostname(&boot.hostname)?;
    files::write(Path::new("/"), &boot.hostname, !stock)?;
    // Without the driver there is no gateway for it to speak to.
    let sdk = (!stock && Path::new(SDK).exists()).then_some(SDK);
    let trust = match &boot.authority {
        Some(authority) => trust::write(Path::new("/"), authority, |name| {
            image.variable(&boot, name)
        })?,
        None => Vec::new(),
    };
    let program = Program::new(image, boot, sdk, trust)?;
    let ready = machine::time_since_boot();
    println!(
        "nexus-init: ready in {} ns (init began at {} ns)",
        ready.as_nanos(),
        began.as_nanos()
    );
    let child = process::start(&program, &console)?;
    println!(
        "nexus-init: exec {} at {} ns",
        program.arguments.join(" ").escape_debug(),
        machine::time_since_boot().as_nanos()
    );
    let exit = process::reap_until_exit(child)?;
    if is_alone {
        println!("nexus-init: ended with code {}", exit.code());
    } else if let Err(error) = host::report_exit(&exit) {
        eprintln!("nexus-init: {error}");
    }
    machine::end(exit.code())
}
