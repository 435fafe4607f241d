// SPDX-License-Identifier: Apache-2.0
//! What goes into a guest beside its image: nexus.ko, init, the preload library.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::cache::{self, Key};
use crate::setup::kernel::Kernel;
use crate::step::Step;
use crate::{paths, process, step};

const TARGET: &str = "x86_64-unknown-linux-gnu";
/// The compiler's flag for static programs.
const STATIC: &str = "-C target-feature=+crt-static";

/// Builds all guest files into [`paths::guest_files`] and returns that folder.
pub(crate) fn files(kernel: &Kernel) -> Result<PathBuf> {
    let folder = paths::guest_files();
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let module = module(kernel)?;
    copy(&module, &folder.join("nexus.ko"))?;
    step::run("guest init, preload library and probes", |step| {
        // A static program: it runs before, and whatever, the image's C library is.
        let init = program("nexus-init", "nexus-init", STATIC, step)?;
        copy(&init, &folder.join("nexus-init"))?;
        let preload = program("nexus-preload", "libnexus_preload.so", "", step)?;
        copy(&preload, &folder.join("libnexus_preload.so"))?;
        let probe = program("nexus-socket-model", "nexus-probe", STATIC, step)?;
        copy(&probe, &folder.join("nexus-probe"))
    })?;
    step::run("SDK shims", |step| {
        // For local mode; roots get their tables when they are built.
        let maker = "nexus-sdk-tables";
        copy(&paths::host_programs().join(maker), &folder.join(maker))?;
        node_shim(&folder.join("sdk/node"))?;
        shim(&folder.join("sdk/python"), step)
    })?;
    Ok(folder)
}

/// Puts the SDK shim for Node together, which is its files.
fn node_shim(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot replace {}", folder.display()))?;
    }
    let source = paths::repository().join("sdk/node");
    fs::create_dir_all(folder.join("lib"))
        .with_context(|| format!("cannot create {}", folder.display()))?;
    for name in ["register.cjs", "package.json"] {
        copy(&source.join(name), &folder.join(name))?;
    }
    for entry in fs::read_dir(source.join("lib"))? {
        let path = entry?.path();
        if let (Some(name), Some("js")) = (path.file_name(), extension(&path)) {
            copy(&path, &folder.join("lib").join(name))?;
        }
    }
    Ok(())
}

/// Puts the SDK shim for Python together, with bytecode for the Python of this machine; any other compiles it when it starts.
fn shim(folder: &Path, step: &Step) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot replace {}", folder.display()))?;
    }
    let source = paths::repository().join("sdk/python");
    let package = Path::new("nexus_sdk");
    fs::create_dir_all(folder.join(package))
        .with_context(|| format!("cannot create {}", folder.display()))?;
    copy(
        &source.join("sitecustomize.py"),
        &folder.join("sitecustomize.py"),
    )?;
    for entry in fs::read_dir(source.join(package))? {
        let path = entry?.path();
        if let (Some(name), Some("py")) = (path.file_name(), extension(&path)) {
            copy(&path, &folder.join(package).join(name))?;
        }
    }
    // By hash and unchecked, since the root has times of its own; without the folder's name, so that it is the same everywhere.
    let mut compile = Command::new("python3");
    compile
        .current_dir(folder)
        .args([
            "-m",
            "compileall",
            "-q",
            "--invalidation-mode",
            "unchecked-hash",
        ])
        .args(["-s", ".", "-p", "/.nexus/sdk/python", "."]);
    process::run(step, &mut compile)
}

fn extension(path: &Path) -> Option<&str> {
    path.extension()?.to_str()
}

/// Builds a program for the guest with the given compiler flags; each set of flags has a target folder of its own.
pub(crate) fn program(package: &str, product: &str, flags: &str, step: &Step) -> Result<PathBuf> {
    let target = paths::target().join(if flags.is_empty() {
        "guest-dynamic"
    } else {
        "guest-static"
    });
    let mut build = Command::new("cargo");
    build
        .current_dir(paths::repository())
        .args([
            "build",
            "--profile",
            "guest",
            "--target",
            TARGET,
            "--package",
            package,
            "--target-dir",
        ])
        .arg(&target)
        .env("RUSTFLAGS", flags);
    process::run(step, &mut build)?;
    Ok(target.join(TARGET).join("guest").join(product))
}

/// Builds nexus.ko.
fn module(kernel: &Kernel) -> Result<PathBuf> {
    let wire = paths::repository().join("host/proto/src/wire");
    kernel_module(
        kernel,
        "nexus",
        &paths::repository().join("guest-kmod"),
        Key::default().path(&wire)?,
    )
}

/// Builds garble.ko, with which the end-to-end tests play a guest that has been taken over.
pub(crate) fn garble(kernel: &Kernel) -> Result<PathBuf> {
    kernel_module(
        kernel,
        "garble",
        &paths::repository().join("tests/e2e/garble"),
        Key::default(),
    )
}

/// Builds the driver's own checks, static programs in C; returns each one's name in an image, and the file.
pub(crate) fn checks(step: &Step) -> Result<Vec<(String, PathBuf)>> {
    let folder = paths::target().join("checks");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let source = paths::repository().join("guest-kmod/tests");
    let mut built = Vec::new();
    for name in ["connect", "stream", "events", "options"] {
        let program = folder.join(name);
        let mut compile = Command::new("gcc");
        compile
            .args(["-O1", "-static", "-pthread", "-o"])
            .arg(&program)
            .arg(source.join(format!("{name}.c")));
        process::run(step, &mut compile)?;
        built.push((format!("checks/{name}"), program));
    }
    Ok(built)
}

/// Builds a module out of `source` against the guest kernel.
fn kernel_module(kernel: &Kernel, name: &str, source: &Path, key: Key) -> Result<PathBuf> {
    let file = format!("{name}.ko");
    let key = key.text(&kernel.image().to_string_lossy()).path(source)?;
    let folder = cache::ensure(&format!("module-{name}"), key, &file, |folder, step| {
        let mut make = kernel.make();
        make.arg(format!("M={}", source.display()))
            .arg(format!("MO={}", folder.display()))
            .arg("modules");
        process::run(step, &mut make)?;
        strip(&folder.join(&file), step)
    })?;
    Ok(folder.join(file))
}

/// Debug sections are of no use to a guest, and would lie in its page cache.
fn strip(module: &Path, step: &Step) -> Result<()> {
    process::run(
        step,
        Command::new("llvm-strip-19")
            .arg("--strip-debug")
            .arg(module),
    )
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}
