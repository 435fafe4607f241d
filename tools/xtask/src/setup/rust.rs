// SPDX-License-Identifier: Apache-2.0
//! What building Rust inside the kernel needs beside the compiler: the standard library's source, and bindgen.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::debian::{self, Suite};
use crate::cache::{self, Key};
use crate::process;

const BINDGEN: &str = "0.73.2";

/// The compiler's version, such as `1.95.0`.
pub(crate) fn compiler_version() -> Result<String> {
    let text = process::output(Command::new("rustc").arg("--version"))?;
    text.split(' ')
        .nth(1)
        .map(str::to_owned)
        .with_context(|| format!("rustc calls itself {text:?}"))
}

/// The `library` folder of exactly the compiler's version: rustup's component, else Debian's package.
pub(crate) fn library_source() -> Result<PathBuf> {
    let sysroot = process::output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let component = Path::new(&sysroot).join("lib/rustlib/src/rust/library");
    if component.join("core/src/lib.rs").exists() {
        return Ok(component);
    }
    let version = compiler_version()?;
    let folder = cache::ensure(
        "rust-src",
        Key::default().text(&version),
        "Rust library source",
        |folder, step| {
            debian::refresh(Suite::Next, step)?;
            let package = debian::version(Suite::Next, "rust-src", &format!("{version}+"))?;
            debian::unpack(Suite::Next, "rust-src", &package, folder, step)
        },
    )?;
    Ok(folder.join(format!("usr/src/rustc-{version}/library")))
}

/// The folder with the `bindgen` program.
pub(crate) fn bindgen() -> Result<PathBuf> {
    let key = Key::default().text(BINDGEN).text(&compiler_version()?);
    let folder = cache::ensure("bindgen", key, "bindgen", |folder, step| {
        let mut install = Command::new("cargo");
        install
            .args([
                "install",
                "bindgen-cli",
                "--locked",
                "--version",
                BINDGEN,
                "--root",
            ])
            .arg(folder);
        process::run(step, install.env_remove("CARGO_TARGET_DIR"))
    })?;
    Ok(folder.join("bin"))
}
