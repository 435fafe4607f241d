// SPDX-License-Identifier: Apache-2.0
//! Runs the host's halves as tests.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use libtest_mimic::{Arguments as TestArguments, Failed, Trial};
use nexus_testbed::Options;

use crate::bed::{self, Bed};
use crate::cases;
use crate::watchdog;

/// Where things are, and which tests to run.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Folder of nexusd, nexus-vmm and nexus.
    #[arg(long)]
    programs: PathBuf,
    /// Uncompressed guest kernel.
    #[arg(long)]
    kernel: PathBuf,
    /// Folder of the test images' root file systems.
    #[arg(long)]
    images: PathBuf,
    /// Folder of what goes into a guest beside its image.
    #[arg(long)]
    guest: PathBuf,
    /// Folder for what a failure leaves behind.
    #[arg(long)]
    folder: PathBuf,
    /// The kernel looks for the driver's faults (KASAN, lockdep, kmemleak): run every case, and fail for what it finds.
    #[arg(long)]
    checked_kernel: bool,
    /// Uncompressed kernel with Linux' own network stack, for the cases `functions`.
    #[arg(long, requires = "moto")]
    stock_kernel: Option<PathBuf>,
    /// A Python that has moto, for the same cases.
    #[arg(long)]
    moto: Option<PathBuf>,
    /// Arguments of the test runner, such as a part of a name.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    tests: Vec<String>,
}

/// Runs all cases, or those asked for.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let mut tests = TestArguments::from_iter(
        std::iter::once("nexus-e2e".to_owned()).chain(arguments.tests.clone()),
    );
    // The guests share two emulated processors.
    tests.test_threads = tests.test_threads.or(Some(1));
    let bed = bed::enter_network().and_then(|()| {
        let (images, guest) = (&arguments.images, &arguments.guest);
        Bed::start(options(arguments), images, guest, arguments.checked_kernel)
    });
    let bed = match bed {
        Ok(mut bed) => {
            bed.needs = needs(arguments);
            Arc::new(bed)
        }
        Err(error) => {
            eprintln!("error: cannot start the tests' Nexus: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let mut trials: Vec<Trial> = cases::ALL.iter().map(|case| trial(case, &bed)).collect();
    let asked = |case: &&cases::Case| {
        arguments
            .tests
            .iter()
            .any(|test| case.name.starts_with(test))
    };
    trials.extend(cases::by_name().filter(asked).map(|case| trial(case, &bed)));
    if arguments.checked_kernel {
        // It looks at what the others have left, so it is the last.
        trials.push(trial(cases::KERNEL_REPORTS, &bed));
    }
    let conclusion = libtest_mimic::run(&tests, trials);
    if conclusion.has_failed() {
        keep(arguments, &bed);
    }
    conclusion.exit_code()
}

fn needs(arguments: &Arguments) -> Option<cases::Needs> {
    Some(cases::Needs {
        kernel: arguments.stock_kernel.clone()?,
        python: arguments.moto.clone()?,
    })
}

fn trial(case: &'static cases::Case, bed: &Arc<Bed>) -> Trial {
    let bed = Arc::clone(bed);
    Trial::test(case.name, move || {
        let _watch = watchdog::watch(case.name, bed.subject());
        (case.host)(&bed).map_err(|error| Failed::from(format!("{error:#}")))
    })
}

/// What a [`Bed`] is started with.
pub(crate) fn options(arguments: &Arguments) -> Options {
    let configuration = "[pool]\nmax_instances = 8\n".to_owned();
    Options {
        programs: arguments.programs.clone(),
        kernel: arguments.kernel.clone(),
        configuration,
        store: None,
    }
}

/// Keeps the daemon's log, and the guests' consoles, for a person to read.
fn keep(arguments: &Arguments, bed: &Bed) {
    let to = arguments.folder.join("failed");
    // What an earlier run left; it need not be there.
    drop(std::fs::remove_dir_all(&to));
    let from = bed.testbed.folder();
    let copied = std::fs::create_dir_all(&to).and_then(|()| {
        let logs = [from.join("nexusd.log"), from.join("state/logs")];
        std::process::Command::new("cp")
            .arg("-r")
            .args(logs)
            .arg(&to)
            .status()
    });
    match copied {
        Ok(status) if status.success() => eprintln!("logs are kept in {}", to.display()),
        _ => eprintln!(
            "logs could not be kept in {}; nexusd's: {}",
            to.display(),
            bed.testbed.log()
        ),
    }
}
