// SPDX-License-Identifier: Apache-2.0
//! Debian packages: installed where they are programs, downloaded and unpacked where they are material.
//!
//! apt is given sources and lists of its own, in the cache, so that the machine's apt configuration stays as it is. They name
//! the mirror that the machine already uses, with backports added.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::step::{self, Step};
use crate::{paths, process};

/// The release that this set-up knows.
const RELEASE: &str = "bookworm";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Packages that building needs, on any machine.
const BUILD: &[&str] = &[
    "bc",
    "bison",
    "ca-certificates",
    "clang-19",
    "curl",
    "erofs-utils",
    "flex",
    "gcc",
    "iproute2",
    "kmod",
    "libc6-dev",
    "libclang-19-dev",
    "libelf-dev",
    "libssl-dev",
    "lld-19",
    "llvm-19",
    "make",
    "mmdebstrap",
    "patch",
    "python3",
    "python3-pip",
    "python3-venv",
    "xz-utils",
];

/// Packages that only the lab needs.
const LAB: &[&str] = &[
    "busybox-static",
    "libattr1-dev",
    "libcap-ng-dev",
    "libglib2.0-dev",
    "ninja-build",
    "pkgconf",
    "zlib1g-dev",
];

/// Node with npm, where there is none: somebody's own serves as well.
const NODE: &[&str] = &["nodejs", "npm"];

/// For test suites: Go, whose sources have their tests, and what builds libuv's and curl's.
const SUITES: &[&str] = &[
    "cmake",
    "golang-1.19-go",
    "golang-1.19-src",
    "perl",
    "zlib1g-dev",
];

/// For measuring what a program costs: cachegrind counts its instructions, stunnel puts TLS before a server.
const MEASURING: &[&str] = &["openssl", "stunnel4", "valgrind"];

/// Which packages apt is asked about.
#[derive(Clone, Copy)]
pub(crate) enum Suite {
    /// The machine's own release with its backports.
    Machine,
    /// Backports of the next release: kernel and Rust sources, never installed.
    Next,
    /// Source packages of the machine's backports.
    Sources,
}

impl Suite {
    fn name(self) -> &'static str {
        match self {
            Self::Machine => RELEASE,
            Self::Next => "trixie-backports",
            Self::Sources => "bookworm-backports",
        }
    }

    fn sources(self, mirror: &str, security: &str) -> String {
        let types = match self {
            Self::Sources => "deb-src",
            _ => "deb",
        };
        let entry = |uri: &str, suites: &str| {
            format!(
                "Types: {types}\nURIs: {uri}\nSuites: {suites}\nComponents: main\nSigned-By: {KEYRING}\n\n"
            )
        };
        match self {
            Self::Machine => {
                let main = entry(
                    mirror,
                    &format!("{RELEASE} {RELEASE}-updates {RELEASE}-backports"),
                );
                main + &entry(security, &format!("{RELEASE}-security"))
            }
            Self::Next | Self::Sources => entry(mirror, self.name()),
        }
    }

    fn folder(self) -> PathBuf {
        paths::cache().join("apt").join(self.name())
    }

    /// An apt program with this suite's sources, and nothing of the machine's.
    pub(crate) fn apt(self, program: &str) -> Command {
        let folder = self.folder();
        let mut command = Command::new(program);
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("LC_ALL", "C.UTF-8");
        for option in [
            "Dir::Etc::SourceList=/dev/null".to_owned(),
            format!("Dir::Etc::SourceParts={}", folder.join("sources").display()),
            format!("Dir::State::Lists={}", folder.join("lists").display()),
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Retries=3".to_owned(),
        ] {
            command.arg("-o").arg(option);
        }
        command
    }
}

/// What packages are for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Building.
    Build,
    /// Building, and the lab.
    Lab,
    /// Building, and making images of other people's test suites.
    Suites,
    /// Building, and measuring what programs cost.
    Measuring,
}

/// Installs what a purpose needs.
pub(crate) fn packages(purpose: Purpose) -> Result<()> {
    let mut wanted = BUILD.to_vec();
    if Command::new("npm").arg("--version").output().is_err() {
        wanted.extend(NODE);
    }
    match purpose {
        Purpose::Build => {}
        Purpose::Lab => wanted.extend(LAB),
        Purpose::Suites => wanted.extend(SUITES),
        Purpose::Measuring => wanted.extend(MEASURING),
    }
    let installed = installed()?;
    let missing: Vec<_> = wanted
        .into_iter()
        .filter(|name| !installed.contains(*name))
        .collect();
    let qemu = purpose == Purpose::Lab && !qemu_is_recent();
    if missing.is_empty() && !qemu {
        step::cached("Debian packages");
        return Ok(());
    }
    step::run("Debian packages", |step| {
        refresh(Suite::Machine, step)?;
        let mut install = Suite::Machine.apt("apt-get");
        install
            .args(["install", "-y", "--no-install-recommends"])
            .args(&missing);
        if !missing.is_empty() {
            process::run(step, &mut install)?;
        }
        if qemu {
            // QEMU 7.2 of the release itself panics nested guests.
            let mut install = Suite::Machine.apt("apt-get");
            install.args([
                "install",
                "-y",
                "--no-install-recommends",
                "-t",
                &format!("{RELEASE}-backports"),
            ]);
            process::run(step, install.arg("qemu-system-x86"))?;
        }
        Ok(())
    })
}

/// Fetches the package lists of a suite.
pub(crate) fn refresh(suite: Suite, step: &Step) -> Result<()> {
    check_release()?;
    let folder = suite.folder();
    fs::create_dir_all(folder.join("sources"))?;
    fs::create_dir_all(folder.join("lists/partial"))?;
    let (mirror, security) = mirrors()?;
    fs::write(
        folder.join("sources/nexus.sources"),
        suite.sources(&mirror, &security),
    )?;
    process::run(step, suite.apt("apt-get").arg("update"))
}

/// Newest version of a package in a suite whose version starts with `prefix`.
pub(crate) fn version(suite: Suite, package: &str, prefix: &str) -> Result<String> {
    let table = process::output(suite.apt("apt-cache").args(["madison", package]))?;
    let versions = table
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .map(str::trim);
    let found = versions
        .into_iter()
        .find(|version| version.starts_with(prefix))
        .map(str::to_owned);
    found.with_context(|| {
        format!(
            "Debian's {} has no {package} with a version that starts with {prefix:?}",
            suite.name()
        )
    })
}

/// Downloads a package and unpacks it into `folder` without installing it.
pub(crate) fn unpack(
    suite: Suite,
    package: &str,
    version: &str,
    folder: &Path,
    step: &Step,
) -> Result<()> {
    let downloads = folder.join("download");
    fs::create_dir_all(&downloads)?;
    let mut download = suite.apt("apt-get");
    process::run(
        step,
        download
            .arg("download")
            .arg(format!("{package}={version}"))
            .current_dir(&downloads),
    )?;
    for entry in fs::read_dir(&downloads)? {
        process::run(
            step,
            Command::new("dpkg-deb")
                .arg("-x")
                .arg(entry?.path())
                .arg(folder),
        )?;
    }
    fs::remove_dir_all(&downloads)?;
    Ok(())
}

/// Downloads the archive of a source package's upstream release into `folder`, and returns its path.
pub(crate) fn upstream_source(
    package: &str,
    version: &str,
    folder: &Path,
    step: &Step,
) -> Result<PathBuf> {
    let mut download = Suite::Sources.apt("apt-get");
    download
        .args(["source", "--download-only", "--tar-only"])
        .arg(format!("{package}={version}"))
        .current_dir(folder);
    process::run(step, &mut download)?;
    let is_archive = |path: &Path| path.to_string_lossy().contains(".orig.tar.");
    let mut files = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    files
        .find(|path| is_archive(path))
        .with_context(|| format!("Debian's source package {package} {version} has no archive"))
}

fn installed() -> Result<HashSet<String>> {
    let query = process::output(Command::new("dpkg-query").args([
        "-W",
        "-f",
        "${db:Status-Status} ${Package}\\n",
    ]))?;
    Ok(query
        .lines()
        .filter_map(|line| line.strip_prefix("installed "))
        .map(str::to_owned)
        .collect())
}

fn qemu_is_recent() -> bool {
    let Ok(text) = process::output(Command::new("qemu-system-x86_64").arg("--version")) else {
        return false;
    };
    let major = text
        .split_whitespace()
        .find_map(|word| word.split('.').next()?.parse::<u32>().ok());
    major.is_some_and(|major| major >= 10)
}

fn check_release() -> Result<()> {
    let text = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
    if text
        .lines()
        .any(|line| line == format!("VERSION_CODENAME={RELEASE}"))
    {
        return Ok(());
    }
    bail!(
        "this set-up installs packages of Debian 12 ({RELEASE}), and this machine is not one: see docs/building.md for what is needed"
    )
}

/// What the machine's own apt fetches: a mirror's address and the code name of a release on each line.
fn index_targets() -> Result<String> {
    let format = "$(REPO_URI) $(CODENAME)";
    process::output(Command::new("apt-get").args(["indextargets", "--format", format]))
}

/// The mirrors that the machine's own apt uses, for the release and for its security updates.
fn mirrors() -> Result<(String, String)> {
    let mut targets = index_targets()?;
    if !targets
        .lines()
        .any(|line| line.ends_with(&format!(" {RELEASE}")))
    {
        // A new image has no package lists, and apt then does not tell its sources either.
        process::output(Command::new("apt-get").args(["-qq", "update"]))?;
        targets = index_targets()?;
    }
    let find = |codename: &str| {
        targets
            .lines()
            .filter_map(|line| line.split_once(' '))
            .find(|(_, name)| *name == codename)
            .map(|(uri, _)| uri)
    };
    let mirror = find(RELEASE).with_context(|| {
        format!("apt knows no mirror of {RELEASE}: run `apt-get update`, and check /etc/apt/sources.list.d")
    })?;
    let security = find("bookworm-security").map_or_else(
        || mirror.replace("/debian", "/debian-security"),
        str::to_owned,
    );
    Ok((mirror.to_owned(), security))
}
