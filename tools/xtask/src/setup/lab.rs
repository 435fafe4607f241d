// SPDX-License-Identifier: Apache-2.0
//! The lab's parts: a Debian kernel with KVM for AMD, virtme-ng, which boots it on this machine's own files, and the emulator.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::debian::{self, Suite};
use super::{emulator, python};
use crate::cache::{self, Key};
use crate::process;

const KERNEL: &str = "linux-image-6.12-amd64";
const VIRTME: &str = "virtme-ng==1.42";

/// Where the lab's parts lie.
pub(crate) struct Parts {
    /// Compressed kernel image.
    pub(crate) kernel: PathBuf,
    /// Folder of the programs `vng` and `virtme-run`.
    pub(crate) programs: PathBuf,
    /// QEMU.
    pub(crate) emulator: PathBuf,
}

/// Fetches the lab's parts, or finds them.
pub(crate) fn ensure() -> Result<Parts> {
    Ok(Parts {
        kernel: kernel()?,
        programs: python::programs("virtme-ng", "virtme-ng", &[VIRTME])?,
        emulator: emulator::ensure(),
    })
}

fn kernel() -> Result<PathBuf> {
    let folder = cache::ensure(
        "lab-kernel",
        Key::default().text(KERNEL),
        "lab kernel",
        |folder, step| {
            debian::refresh(Suite::Machine, step)?;
            let version = debian::version(Suite::Machine, KERNEL, "6.12")?;
            // The package of that name only depends on the one that holds the kernel.
            let depends = process::output(
                Suite::Machine
                    .apt("apt-cache")
                    .args(["depends", &format!("{KERNEL}={version}")]),
            )?;
            let package = depends
                .lines()
                .find_map(|line| line.trim().strip_prefix("Depends: linux-image-"));
            let package = format!(
                "linux-image-{}",
                package.context("the Debian kernel package depends on no kernel")?
            );
            debian::unpack(Suite::Machine, &package, &version, folder, step)?;
            let release = release(folder)?;
            process::run(
                step,
                Command::new("depmod").arg("-b").arg(folder).arg(&release),
            )
        },
    )?;
    let release = release(&folder)?;
    link_modules(&folder.join("lib/modules").join(&release), &release)?;
    Ok(folder.join("boot").join(format!("vmlinuz-{release}")))
}

/// The one kernel release below `lib/modules` of an unpacked package.
fn release(folder: &Path) -> Result<String> {
    let modules = folder.join("lib/modules");
    let mut entries =
        fs::read_dir(&modules).with_context(|| format!("cannot list {}", modules.display()))?;
    let entry = entries
        .next()
        .with_context(|| format!("{} is empty", modules.display()))??;
    Ok(entry.file_name().to_string_lossy().into_owned())
}

/// virtme-ng looks for a kernel's modules in /lib/modules and nowhere else.
fn link_modules(modules: &Path, release: &str) -> Result<()> {
    let link = Path::new("/lib/modules").join(release);
    if link.is_dir() && !link.is_symlink() {
        return Ok(()); // That kernel is installed on this machine.
    }
    if fs::read_link(&link).is_ok_and(|target| target == modules) {
        return Ok(());
    }
    fs::create_dir_all("/lib/modules")?;
    if link.is_symlink() {
        fs::remove_file(&link)?;
    }
    symlink(modules, &link)
        .with_context(|| format!("cannot create {}: the lab needs root", link.display()))
}
