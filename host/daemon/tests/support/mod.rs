// SPDX-License-Identifier: Apache-2.0
//! What the daemon's tests share.
#![allow(dead_code, reason = "each test program uses its own part of it")]

pub(crate) mod host;
pub(crate) mod http;
pub(crate) mod runner;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A file that passes for a root image: the superblock's magic number is where it belongs.
pub(crate) fn root_image(folder: &Path) -> PathBuf {
    let path = folder.join("root.erofs");
    let mut image = vec![0; 4096];
    image[1024..1028].copy_from_slice(&0xE0F5_E1E2_u32.to_le_bytes());
    fs::write(&path, image).expect("written");
    path
}

/// Waits until `condition` holds. The limit is only for a test that would otherwise hang.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "never happened: {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// An environment for Python programs with these packages of PyPI, made once and kept with the build's other files.
pub(crate) fn venv(name: &str, packages: &[&str]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let done = folder.join("complete");
    if !done.exists() {
        let mut make = Command::new("python3");
        run(make.args(["-m", "venv", "--clear"]).arg(&folder));
        let mut install = Command::new(folder.join("bin/python"));
        run(install
            .args(["-m", "pip", "install", "--quiet"])
            .args(packages));
        fs::write(&done, "").expect("written");
    }
    folder
}

fn run(command: &mut Command) {
    let status = command.status();
    assert!(
        status.as_ref().is_ok_and(std::process::ExitStatus::success),
        "this test needs Python 3 with venv, and a package index to install from once: {command:?}: {status:?}"
    );
}
