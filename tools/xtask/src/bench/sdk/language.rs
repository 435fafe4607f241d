// SPDX-License-Identifier: Apache-2.0
//! The languages whose SDK is measured, each with its program and its goals.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::cache::{self, Key};
use crate::{paths, process, setup};

/// A language with an SDK and a shim.
pub(super) struct Language {
    pub(super) name: &'static str,
    /// The function image in whose root the measured program is.
    pub(super) image: &'static str,
    /// Interpreter and program for outside of VMs.
    pub(super) program: fn() -> Result<[PathBuf; 2]>,
    /// Calls by which one is counted, of small ones: enough to tell.
    pub(super) counted_calls: u64,
    /// Small calls before those that count, of the SDK and of the shim.
    pub(super) warm_up: [u64; 2],
    /// The most instructions that all up to the first call is to need, and a further call.
    pub(super) first_goal: Option<u64>,
    pub(super) call_goal: u64,
}

pub(super) const LANGUAGES: [Language; 2] = [
    Language {
        name: "Python",
        image: "sdk",
        program: python,
        // The figure hardly varies.
        counted_calls: 20,
        warm_up: [3, 3],
        first_goal: Some(10_000_000),
        call_goal: 60_000,
    },
    Language {
        name: "Node",
        image: "sdk-node",
        program: node,
        // Compilers and collector come and go.
        counted_calls: 600,
        // Of the SDK, whose figure still falls by a tenth after that, more would take too long.
        warm_up: [600, 6000],
        first_goal: None,
        call_goal: 150_000,
    },
];

impl Language {
    /// What the function with the shim is called, or the one without.
    pub(super) fn function(&self, has_shim: bool) -> String {
        let way = if has_shim { "shim" } else { "sdk" };
        format!("{}-{way}", self.name.to_lowercase())
    }
}

/// Debian's Python with what the test images have.
fn python() -> Result<[PathBuf; 2]> {
    let requirements = paths::repository().join("tests/images/requirements.txt");
    let key = Key::default().path(&requirements)?;
    let title = "boto3 as in the test images";
    let folder = cache::ensure("measured-python", key, title, |folder, step| {
        let mut create = Command::new("/usr/bin/python3");
        process::run(step, create.args(["-m", "venv"]).arg(folder))?;
        let mut install = Command::new(folder.join("bin/pip"));
        install.args(["install", "--quiet", "--no-deps", "--require-hashes"]);
        process::run(step, install.arg("--requirement").arg(&requirements))
    })?;
    let program = paths::repository().join("tests/images/functions/sdk/measure.py");
    Ok([folder.join("bin/python"), program])
}

/// Node with the program beside the packages of its image, where it looks for them.
fn node() -> Result<[PathBuf; 2]> {
    setup::node::release()?;
    let source = paths::repository().join("tests/images/functions/sdk-node");
    let files = ["package.json", "package-lock.json", "measure.cjs"].map(|file| source.join(file));
    let mut key = Key::default();
    for file in &files {
        key = key.path(file)?;
    }
    let title = "the AWS SDK for Node as in the test images";
    let folder = cache::ensure("measured-node", key, title, |folder, step| {
        for file in &files {
            fs::copy(file, folder.join(file.file_name().unwrap_or_default()))?;
        }
        let mut install = Command::new("npm");
        install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
        process::run(step, install.arg("--loglevel=error").current_dir(folder))
    })?;
    Ok([
        PathBuf::from("node"),
        Path::new(&folder).join("measure.cjs"),
    ])
}
