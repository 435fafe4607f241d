// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask test`: everything that can fail, in the order in which it fails fastest.

use std::env;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::setup::kernel::{Flavour, Kernel};
use crate::{build, lab, paths, process, setup, step};

/// How long the tests in guests may take; they take ten minutes.
const LIMIT: Duration = Duration::from_secs(30 * 60);
/// The same with a kernel that looks for faults; they take ten.
const LIMIT_CHECKED: Duration = Duration::from_secs(90 * 60);

/// The same for the cases that run by their names only, each in some guests.
const LIMIT_BY_NAME: Duration = Duration::from_secs(90 * 60);

/// The cases that run by their names only, by the beginnings of these, and the images that they need.
const BY_NAME: [(&str, &[&str]); 3] = [
    ("sdk_node", &["sdk-node"]),
    ("services", &["sdk-node"]),
    (
        "functions",
        &["workloads", "workloads-node", "workloads-old"],
    ),
];

/// How many schedules of writes that are deferred are played; a minute's.
const SCHEDULES: &str = "10000";

/// What makes the tables of the shim for Python.
const TABLES: &str = "nexus-sdk-tables";

/// What cases `functions` and `services` speak to instead of AWS.
const MOTO: &str = "moto[server]==5.2.5";

/// Environment variables that ask cases for more.
const SETTINGS: [&str; 2] = ["NEXUS_MODEL_SCRIPTS", "NEXUS_CHURN_ROUNDS"];

/// Runs all tests.
pub(crate) fn run(host_only: bool, only: Option<&str>, flavour: Flavour) -> Result<()> {
    setup::debian::packages(setup::debian::Purpose::Build)?;
    if only.is_none() {
        workspace()?;
        images()?;
        python()?;
        shim()?;
    }
    if host_only {
        Ok(())
    } else {
        end_to_end(only, flavour)
    }
}

/// Unit and integration tests of all crates.
fn workspace() -> Result<()> {
    step::note("unit and integration tests on this machine");
    let mut test = Command::new("cargo");
    process::inherit(
        test.current_dir(paths::repository())
            .args(["test", "--workspace", "--quiet"])
            .env("NEXUS_SCHEDULES", SCHEDULES),
    )
}

/// The function images' own Python.
fn images() -> Result<()> {
    step::note("tests of the function images");
    let mut test = Command::new("python3");
    process::inherit(
        test.current_dir(paths::repository().join("tests/images"))
            .args(["-m", "unittest", "discover", "--quiet"]),
    )
}

/// What stands for the extension of awslambdaric, against that one, and of the SDK shim what takes no store to be tested: with boto3 as in
/// the test images, and against the models of the oldest release that the shim is used with.
fn python() -> Result<()> {
    let mut maker = Command::new("cargo");
    process::inherit(maker.current_dir(paths::repository()).args([
        "build",
        "--quiet",
        "--package",
        TABLES,
    ]))?;
    let sets: [(&str, &[&str], &[&str]); 2] = [
        (
            "python-runtime-client",
            &["awslambdaric==4.2.2", "boto3==1.44.5"],
            &["discover"],
        ),
        ("python-oldest-sdk", &["boto3==1.28.0"], &["test_models"]),
    ];
    for (name, packages, what) in sets {
        let packed = packages.join(" and ");
        step::note(&format!("tests of the shims for Python, with {packed}"));
        let programs = setup::python::programs(name, &packed, packages)?;
        let mut test = Command::new(programs.join("python3"));
        process::inherit(
            test.current_dir(paths::repository().join("sdk/python/tests"))
                .env(
                    "NEXUS_SDK_TABLES",
                    paths::target().join("debug").join(TABLES),
                )
                .args(["-m", "unittest"])
                .args(what)
                .arg("--quiet"),
        )?;
    }
    Ok(())
}

/// The SDK shim's own JavaScript, in the release of Node that is here and in the newest, which loads modules in another way.
fn shim() -> Result<()> {
    let path = env::var_os("PATH").unwrap_or_default();
    let newest =
        env::join_paths(std::iter::once(setup::node::newest()?).chain(env::split_paths(&path)))?;
    for (which, path) in [("that is here", path), ("that is the newest", newest)] {
        step::note(&format!(
            "tests of the SDK shim for Node, in the one {which}"
        ));
        let mut test = Command::new("npm");
        test.current_dir(paths::repository().join("sdk/node"));
        process::inherit(test.env("PATH", path).args(["run", "--silent", "test"]))?;
    }
    Ok(())
}

/// The beginning of a command with the environment variables that cases look at, which the lab's machine does not get by itself.
fn settings() -> Vec<String> {
    let set = SETTINGS
        .iter()
        .filter_map(|name| Some(format!("{name}={}", env::var(name).ok()?)));
    std::iter::once("env".to_owned()).chain(set).collect()
}

/// Tests in real guests.
fn end_to_end(only: Option<&str>, flavour: Flavour) -> Result<()> {
    let built = build::everything(flavour)?;
    build::image::root("sdk", &build::image::oci("sdk")?, &paths::guest_files())?;
    let asked = |name: &str| only.is_some_and(|only| only.starts_with(name));
    for (_, images) in BY_NAME.iter().filter(|(name, _)| asked(name)) {
        for image in *images {
            build::image::root(image, &build::image::oci(image)?, &paths::guest_files())?;
        }
    }
    let place = lab::Place::find()?;
    step::note("end-to-end tests in real guests");
    let runner = paths::host_programs().join("nexus-e2e");
    let folder = paths::runs().join("e2e");
    let mut program = settings();
    program.extend([runner.display().to_string(), "run".to_owned()]);
    for (flag, value) in [
        ("--programs", paths::host_programs()),
        ("--kernel", built.kernel.clone()),
        ("--images", paths::images()),
        ("--guest", paths::guest_files()),
        ("--folder", folder.clone()),
    ] {
        program.extend([flag.to_owned(), value.display().to_string()]);
    }
    if asked("functions") || asked("services") {
        let moto = setup::python::programs("moto", "moto", &[MOTO])?.join("python");
        let stock = Kernel::ensure(Flavour::Stock)?.image();
        program.extend(["--stock-kernel".to_owned(), stock.display().to_string()]);
        program.extend(["--moto".to_owned(), moto.display().to_string()]);
    }
    if flavour == Flavour::Checked {
        program.push("--checked-kernel".to_owned());
    }
    if let Some(only) = only {
        program.push(only.to_owned());
    }
    if env::var_os("CI").is_some() {
        // One case at a time, so that a machine with two emulated processors is not the thing under test.
        program.push("--test-threads=1".to_owned());
    }
    let limit = match flavour {
        Flavour::Checked => LIMIT_CHECKED,
        _ if BY_NAME.iter().any(|(name, _)| asked(name)) => LIMIT_BY_NAME,
        _ => LIMIT,
    };
    place.run(&lab::Job {
        folder: &folder,
        clock: lab::Clock::Wall,
        limit: Some(limit),
        program: &program,
    })
}
