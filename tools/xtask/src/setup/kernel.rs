// SPDX-License-Identifier: Apache-2.0
//! The guest kernel, built from Debian's source package with `guest-kmod/patches` and `guest-kmod/kernel.config`, and its form
//! with checks for tests.

use std::collections::HashSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::debian::{self, Suite};
use super::{patches, rust};
use crate::cache::{self, Key};
use crate::step::Step;
use crate::{paths, process};

/// Series of the kernel source package.
const SERIES: &str = "7.3";
/// Changes when the recipe below does.
const RECIPE: &str = "1";

/// What a kernel is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// To run functions.
    Plain,
    /// To find faults of the driver: KASAN, lockdep, kmemleak.
    Checked,
    /// To compare with, and as distributions have it: Linux' own network stack.
    Stock,
}

impl Flavour {
    /// Name of its folder in the cache.
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "guest-kernel",
            Self::Checked => "guest-kernel-checked",
            Self::Stock => "guest-kernel-stock",
        }
    }

    /// Its configuration, one fragment over the other.
    fn configuration(self) -> Vec<PathBuf> {
        let fragments: &[&str] = match self {
            Self::Plain => &["kernel.config"],
            Self::Checked => &["kernel.config", "kernel.checks.config"],
            Self::Stock => &["kernel.config", "kernel.stock.config"],
        };
        let folder = paths::repository().join("guest-kmod");
        fragments.iter().map(|name| folder.join(name)).collect()
    }
}

/// A built kernel with its tree, against which modules are built.
#[derive(Clone)]
pub(crate) struct Kernel {
    tree: PathBuf,
    bindgen: PathBuf,
    library: PathBuf,
}

impl Kernel {
    /// Builds the kernel, or finds it built.
    pub(crate) fn ensure(flavour: Flavour) -> Result<Self> {
        let library = rust::library_source()?;
        let bindgen = rust::bindgen()?;
        let configuration = flavour.configuration();
        let mut key = Key::default()
            .text(SERIES)
            .text(RECIPE)
            .text(&rust::compiler_version()?);
        for fragment in &configuration {
            key = key.path(fragment)?;
        }
        let patches = paths::repository().join("guest-kmod/patches");
        key = key.path(&patches)?;
        let what = match flavour {
            Flavour::Plain => "guest kernel",
            Flavour::Checked => "guest kernel with checks",
            Flavour::Stock => "guest kernel with a network stack",
        };
        let folder = cache::ensure(flavour.name(), key, what, |folder, step| {
            let kernel = Self {
                tree: folder.join("tree"),
                bindgen: bindgen.clone(),
                library: library.clone(),
            };
            unpack(folder, &kernel.tree, step)?;
            patches::apply(&patches, &kernel.tree, step)?;
            kernel.build(&configuration, step)
        })?;
        Ok(Self {
            tree: folder.join("tree"),
            bindgen,
            library,
        })
    }

    /// The uncompressed kernel, which boots by PVH.
    pub(crate) fn image(&self) -> PathBuf {
        self.tree.join("vmlinux")
    }

    /// `make` in the kernel's tree, with the same compilers always.
    pub(crate) fn make(&self) -> Command {
        let path = env::var("PATH").unwrap_or_default();
        let mut make = Command::new("make");
        make.current_dir(&self.tree)
            .args(["LLVM=-19", &process::jobs()])
            .env("PATH", format!("{}:{path}", self.bindgen.display()))
            .env("LIBCLANG_PATH", "/usr/lib/llvm-19/lib")
            .env("RUST_LIB_SRC", &self.library)
            // The same input gives the same bytes.
            .env("KBUILD_BUILD_TIMESTAMP", "1970-01-01")
            .env("KBUILD_BUILD_USER", "nexus")
            .env("KBUILD_BUILD_HOST", "nexus");
        for variable in ["RUSTFLAGS", "MAKEFLAGS", "CARGO_TARGET_DIR"] {
            make.env_remove(variable);
        }
        make
    }

    fn build(&self, configuration: &[PathBuf], step: &Step) -> Result<()> {
        process::run(step, self.make().arg("tinyconfig"))?;
        let mut merge = Command::new("scripts/kconfig/merge_config.sh");
        process::run(
            step,
            merge
                .current_dir(&self.tree)
                .args(["-m", ".config"])
                .args(configuration),
        )?;
        process::run(step, self.make().arg("olddefconfig"))?;
        check_configuration(&self.tree.join(".config"), configuration)?;
        process::run(
            step,
            self.make().args(["vmlinux", "modules", "modules_prepare"]),
        )
    }
}

fn unpack(folder: &Path, tree: &Path, step: &Step) -> Result<()> {
    debian::refresh(Suite::Next, step)?;
    let package = format!("linux-source-{SERIES}");
    let version = debian::version(Suite::Next, &package, SERIES)?;
    debian::unpack(Suite::Next, &package, &version, folder, step)?;
    let archive = folder.join(format!("usr/src/{package}.tar.xz"));
    process::run(
        step,
        Command::new("tar")
            .arg("-C")
            .arg(folder)
            .arg("-xf")
            .arg(&archive),
    )?;
    fs::rename(folder.join(&package), tree)
        .with_context(|| format!("{} holds no {package}", archive.display()))?;
    fs::remove_dir_all(folder.join("usr"))?;
    Ok(())
}

/// Kconfig drops what it does not know or cannot satisfy without a word; a guest without it would be a riddle.
fn check_configuration(result: &Path, fragments: &[PathBuf]) -> Result<()> {
    let result = fs::read_to_string(result)?;
    let mut overridden = String::new();
    // From the last one on, since it wins over those before.
    for fragment in fragments.iter().rev() {
        let text = fs::read_to_string(fragment)?;
        let own: Vec<&str> = text
            .lines()
            .filter(|line| option(line).is_none_or(|name| !names(&overridden, name)))
            .collect();
        let own = own.join("\n");
        let lost = lost_lines(&result, &own);
        anyhow::ensure!(
            lost.is_empty(),
            "the kernel's configuration lost these lines of {}: {}",
            fragment.display(),
            lost.join(", ")
        );
        overridden.push_str(&text);
    }
    Ok(())
}

/// The option that a line of a fragment sets or unsets.
fn option(line: &str) -> Option<&str> {
    let line = line.trim();
    match line.strip_prefix("# ") {
        Some(rest) => rest.strip_suffix(" is not set"),
        None => line.split_once('=').map(|(name, _)| name),
    }
}

fn names(fragment: &str, name: &str) -> bool {
    fragment.lines().any(|line| option(line) == Some(name))
}

/// Lines of `wanted` that do not hold in `result`.
fn lost_lines<'a>(result: &str, wanted: &'a str) -> Vec<&'a str> {
    let set: HashSet<&str> = result.lines().collect();
    let named: HashSet<&str> = result
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .collect();
    let holds = |line: &str| match line
        .strip_prefix("# ")
        .and_then(|line| line.strip_suffix(" is not set"))
    {
        Some(name) => !named.contains(name),
        None => !line.starts_with("CONFIG_") || set.contains(line),
    };
    wanted
        .lines()
        .map(str::trim)
        .filter(|line| !holds(line))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_kconfig_dropped_or_turned_on_is_lost() {
        let result = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_INET=y\n";
        assert_eq!(
            lost_lines(
                result,
                "# why\nCONFIG_A=y\n# CONFIG_B is not set\n# CONFIG_C is not set\n"
            ),
            [""; 0]
        );
        assert_eq!(
            lost_lines(result, "CONFIG_B=y\n# CONFIG_INET is not set"),
            ["CONFIG_B=y", "# CONFIG_INET is not set"]
        );
    }
}
