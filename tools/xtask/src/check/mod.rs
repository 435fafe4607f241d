// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask check`: what holds without running anything. One function a rule.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cache::{self, Key};
use crate::{paths, process, setup, step};

const CARGO_DENY: &str = "0.20.2";
/// Longest source file in lines; a longer one has more than one theme.
const MAX_LINES: usize = 500;

/// Checks format, lints, dependencies and house rules.
pub(crate) fn run() -> Result<()> {
    cargo(&["fmt", "--all", "--check"])?;
    step::note("format is right");
    cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--",
        "--deny",
        "warnings",
    ])?;
    step::note("no lint is broken");
    file_sizes()?;
    step::note("no source file is too long");
    python()?;
    javascript()?;
    dependencies()
}

fn cargo(arguments: &[&str]) -> Result<()> {
    process::inherit(
        Command::new("cargo")
            .current_dir(paths::repository())
            .args(arguments),
    )
}

/// Every source file stays below [`MAX_LINES`].
fn file_sizes() -> Result<()> {
    let listed = process::output(
        Command::new("git")
            .current_dir(paths::repository())
            .args(["ls-files"]),
    )?;
    let mut long = Vec::new();
    for file in listed.lines().filter(|file| is_source(Path::new(file))) {
        let path = paths::repository().join(file);
        if let Ok(text) = fs::read_to_string(&path) {
            let lines = text.lines().count();
            if lines > MAX_LINES {
                long.push(format!("{file} has {lines} lines"));
            }
        }
    }
    ensure!(
        long.is_empty(),
        "these files have more than {MAX_LINES} lines, split them by theme: {}",
        long.join(", ")
    );
    Ok(())
}

fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        ["rs", "py", "js", "cjs", "mjs", "c", "h", "sh"]
            .iter()
            .any(|source| extension == *source)
    })
}

/// Programs of end-to-end cases, from the folder of the other Python parts.
const CASES: [&str; 3] = [
    "../e2e/src/cases/functions/scenarios.py",
    "../e2e/src/cases/functions/setup.py",
    "../e2e/src/cases/local/program.py",
];

/// The SDK shim, from the same folder.
const SHIM: &str = "../../sdk/python";

/// Lints, format and types of the Python parts.
fn python() -> Result<()> {
    let packages = ["ruff==0.13.3", "mypy==1.18.2"];
    let tools = setup::python::programs("python-tools", "ruff and mypy", &packages)?;
    let images = paths::repository().join("tests/images");
    let tool = |name: &str, arguments: &[&str]| {
        let mut command = Command::new(tools.join(name));
        process::inherit(command.current_dir(&images).args(arguments))
    };
    let ruff = |files: &[&str]| {
        let words = [&["--quiet", "--config"], files].concat();
        tool("ruff", &[&["check"][..], &words].concat())?;
        tool("ruff", &[&["format", "--check"][..], &words].concat())
    };
    ruff(&[&["pyproject.toml", "."][..], &CASES].concat())?;
    ruff(&[&format!("{SHIM}/pyproject.toml"), SHIM])?;
    for program in CASES {
        tool("mypy", &["--no-error-summary", program])?;
    }
    // Each folder of functions is a program of its own, or several; the one of a folder with one is called `app`.
    for function in fs::read_dir(images.join("functions"))? {
        let folder = function?.path();
        let module = folder.join("app.py");
        // Node's functions have none.
        if folder.join("requirements.txt").exists() || module.exists() {
            let program = if module.exists() { module } else { folder };
            tool(
                "mypy",
                &["--no-error-summary", &program.display().to_string()],
            )?;
        }
    }
    step::note("the Python parts are linted, formatted and typed");
    Ok(())
}

/// The first Node that eslint runs on.
const ESLINT_NODE: u32 = 20;

/// Lints, format and types of the SDK shim for Node and its suite.
fn javascript() -> Result<()> {
    if setup::node::release()? < ESLINT_NODE {
        step::note("SKIPPED: JavaScript was not checked, since eslint needs Node 20");
        return Ok(());
    }
    let shim = paths::repository().join("sdk/node");
    setup::node::modules(&shim)?;
    for script in ["format", "lint", "types"] {
        let mut npm = Command::new("npm");
        process::inherit(npm.current_dir(&shim).args(["run", "--silent", script]))?;
    }
    step::note("the JavaScript parts are linted, formatted and typed");
    Ok(())
}

/// Licences, sources and advisories. Where the advisory database cannot be had, that part is left out and said so.
fn dependencies() -> Result<()> {
    let deny = cargo_deny()?;
    let check = |what: &[&str]| {
        let mut command = Command::new(&deny);
        command
            .current_dir(paths::repository())
            .args(["--log-level", "error", "check"])
            .args(what);
        command
    };
    process::inherit(&mut check(&["bans", "licenses", "sources"]))?;
    step::note("dependencies, licences and sources are as deny.toml allows");
    let database = Command::new(&deny)
        .current_dir(paths::repository())
        .arg("fetch")
        .output()
        .context("cannot start cargo-deny")?;
    if database.status.success() {
        return process::inherit(&mut check(&["advisories"]));
    }
    step::note(
        "SKIPPED: advisories were not checked, since their database cannot be fetched from here",
    );
    Ok(())
}

fn cargo_deny() -> Result<PathBuf> {
    let key = Key::default()
        .text(CARGO_DENY)
        .text(&setup::rust::compiler_version()?);
    let folder = cache::ensure("cargo-deny", key, "cargo-deny", |folder, step| {
        let mut install = Command::new("cargo");
        install
            .args([
                "install",
                "cargo-deny",
                "--locked",
                "--version",
                CARGO_DENY,
                "--root",
            ])
            .arg(folder);
        process::run(step, install.env_remove("CARGO_TARGET_DIR"))
    })?;
    Ok(folder.join("bin/cargo-deny"))
}
