// SPDX-License-Identifier: Apache-2.0
//! The lab's emulator: QEMU from Debian's source package with `tools/emulator/patches`, for the devices of
//! `tools/emulator/devices.mak`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::debian::{self, Suite};
use super::{patches, python};
use crate::cache::{self, Key};
use crate::step::{self, Step};
use crate::{paths, process};

/// Series of the source package that the patches are for.
const SERIES: &str = "1:10.0.";
/// Changes when the recipe below does.
const RECIPE: &str = "1";
/// What QEMU's build is made with.
const TOOLS: &[&str] = &["meson==1.5.0", "pycotap==1.3.1"];
const PROGRAM: &str = "qemu-system-x86_64";

/// What of QEMU the lab needs. Without the defaults it is built in two minutes.
const OPTIONS: &[&str] = &[
    "--target-list=x86_64-softmmu",
    "--without-default-features",
    "--without-default-devices",
    "--with-devices-x86_64=lab",
    "--enable-tcg",
    "--enable-virtfs",
    "--enable-attr",
    "--enable-cap-ng",
    "--disable-download",
    "--disable-install-blobs",
];

/// Builds the emulator, or finds it built. Where that cannot be done it is the installed QEMU, and that is said.
pub(crate) fn ensure() -> PathBuf {
    match build() {
        Ok(program) => program,
        Err(error) => {
            step::note(&format!("cannot build the lab's emulator: {error:#}"));
            step::note(
                "the installed QEMU takes its place; its guests may hang or end in a triple fault (docs/testing.md)",
            );
            PathBuf::from(PROGRAM)
        }
    }
}

fn build() -> Result<PathBuf> {
    let sources = paths::repository().join("tools/emulator");
    let key = Key::default()
        .text(SERIES)
        .text(RECIPE)
        .text(&OPTIONS.join(" "))
        .path(&sources)?;
    let tools = python::programs("emulator-tools", "tools to build the emulator", TOOLS)?;
    let folder = cache::ensure("emulator", key, "emulator of the lab", |folder, step| {
        let tree = unpack(folder, step)?;
        patches::apply(&sources.join("patches"), &tree, step)?;
        let devices = tree.join("configs/devices/x86_64-softmmu/lab.mak");
        fs::copy(sources.join("devices.mak"), &devices)
            .with_context(|| format!("cannot write {}", devices.display()))?;
        compile(&tree, &tools, step)?;
        fs::copy(tree.join("build").join(PROGRAM), folder.join(PROGRAM))
            .context("QEMU's build left no program")?;
        fs::remove_dir_all(&tree)?;
        Ok(())
    })?;
    Ok(folder.join(PROGRAM))
}

fn unpack(folder: &Path, step: &Step) -> Result<PathBuf> {
    debian::refresh(Suite::Sources, step)?;
    let version = debian::version(Suite::Sources, "qemu", SERIES)?;
    let archive = debian::upstream_source("qemu", &version, folder, step)?;
    let tree = folder.join("tree");
    fs::create_dir_all(&tree)?;
    let mut unpack = Command::new("tar");
    unpack.args(["--strip-components=1", "-C"]).arg(&tree);
    process::run(step, unpack.arg("-xf").arg(&archive))?;
    fs::remove_file(&archive)?;
    Ok(tree)
}

fn compile(tree: &Path, tools: &Path, step: &Step) -> Result<()> {
    let build = tree.join("build");
    fs::create_dir_all(&build)?;
    let path = env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", tools.display());
    let mut configure = Command::new("../configure");
    configure.current_dir(&build).env("PATH", &path);
    configure.arg(format!("--python={}", tools.join("python3").display()));
    process::run(step, configure.args(OPTIONS))?;
    let mut ninja = Command::new("ninja");
    ninja.current_dir(&build).env("PATH", &path);
    process::run(step, ninja.arg(process::jobs()).arg(PROGRAM))
}
