// SPDX-License-Identifier: Apache-2.0
//! The guest's file systems: the read-only root gets a writable overlay in memory, and the kernel's own file systems.

use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::unistd::{chroot, dup2_stderr, dup2_stdin, dup2_stdout};

use crate::error::InitError;

/// Mount point of the memory file system behind the overlay.
const OVERLAY: &str = "/.nexus/overlay";
/// Room for what the function writes: half of the memory, as files there are memory.
const OVERLAY_OPTIONS: &str = "mode=0755,size=50%,nr_inodes=100k";
const SHM_OPTIONS: &str = "mode=1777,size=25%";
const PTS_OPTIONS: &str = "mode=620,ptmxmode=666,gid=5";

/// Puts the overlay over `root` and makes it the root of this process.
pub(crate) fn enter_overlay(root: &Path) -> Result<(), InitError> {
    let overlay = Path::new(OVERLAY);
    let none = MsFlags::empty();
    let secure = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount_fs("tmpfs", overlay, none, Some(OVERLAY_OPTIONS))?;
    for folder in ["upper", "work", "root"] {
        create_folder(&overlay.join(folder))?;
    }
    let merged = overlay.join("root");
    let layers = format!(
        "lowerdir={},upperdir={OVERLAY}/upper,workdir={OVERLAY}/work",
        root.display()
    );
    mount_fs("overlay", &merged, none, Some(&layers))?;
    mount_fs("proc", &merged.join("proc"), secure, None)?;
    mount_fs("sysfs", &merged.join("sys"), secure, None)?;
    let dev = merged.join("dev");
    mount_fs("devtmpfs", &dev, MsFlags::MS_NOSUID, Some("mode=0755"))?;
    create_folder(&dev.join("pts"))?;
    mount_fs(
        "devpts",
        &dev.join("pts"),
        MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC,
        Some(PTS_OPTIONS),
    )?;
    create_folder(&dev.join("shm"))?;
    mount_fs(
        "tmpfs",
        &dev.join("shm"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
        Some(SHM_OPTIONS),
    )?;
    link_descriptors(&dev)?;
    open_tmp(&merged.join("tmp"))?;
    move_into(&merged)
}

fn mount_fs(
    kind: &'static str,
    at: &Path,
    flags: MsFlags,
    options: Option<&str>,
) -> Result<(), InitError> {
    mount(Some(kind), at, Some(kind), flags, options)
        .map_err(InitError::file("mount a file system on", at))
}

fn create_folder(path: &Path) -> Result<(), InitError> {
    fs::create_dir_all(path).map_err(InitError::file("create", path))
}

/// The names that programs and shells use for their own descriptors.
fn link_descriptors(dev: &Path) -> Result<(), InitError> {
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        let link = dev.join(name);
        symlink(target, &link).map_err(InitError::file("create", &link))?;
    }
    Ok(())
}

/// Everybody may write to `/tmp`, whatever mode it has in the image.
fn open_tmp(tmp: &Path) -> Result<(), InitError> {
    let mode = fs::metadata(tmp).map_err(InitError::file("read", tmp))?;
    if mode.permissions().mode() & 0o7777 == 0o1777 {
        return Ok(());
    }
    fs::set_permissions(tmp, Permissions::from_mode(0o1777))
        .map_err(InitError::file("change the mode of", tmp))
}

fn move_into(root: &Path) -> Result<(), InitError> {
    std::env::set_current_dir(root).map_err(InitError::file("enter", root))?;
    mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>)
        .map_err(InitError::file("move to /", root))?;
    chroot(".").map_err(InitError::file("make the root of", root))?;
    std::env::set_current_dir("/").map_err(InitError::file("enter", "/"))
}

/// Opens the console in the new root, for init itself and as the program's output.
pub(crate) fn open_console() -> Result<File, InitError> {
    let path = Path::new("/dev/console");
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY)
        .open(path);
    let console = opened.map_err(InitError::file("open", path))?;
    // The descriptors from the kernel name the console of the root that was left.
    dup2_stdin(&console).map_err(InitError::file("open", path))?;
    dup2_stdout(&console).map_err(InitError::file("open", path))?;
    dup2_stderr(&console).map_err(InitError::file("open", path))?;
    Ok(console)
}
