// SPDX-License-Identifier: Apache-2.0
//! Function images, and the root file systems made of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::cache::{self, Key};
use crate::{paths, process};

/// Builds a function image of `tests/images` as an OCI archive, from Debian and PyPI packages.
pub(crate) fn oci(name: &str) -> Result<PathBuf> {
    let source = paths::repository().join("tests/images");
    let key = Key::default().text(name).path(&source)?;
    let folder = cache::ensure(
        &format!("image-{name}"),
        key,
        &format!("function image {name}"),
        |folder, step| {
            let mut build = Command::new("python3");
            build
                .arg(source.join("build.py"))
                .arg(name)
                .arg("--output")
                .arg(folder.join("image.tar"));
            build.arg("--cache").arg(paths::cache().join("image-parts"));
            process::run(step, &mut build)
        },
    )?;
    Ok(folder.join("image.tar"))
}

/// Makes a root file system of an image, with `nexus build`, the way a user does.
pub(crate) fn root(name: &str, image: &Path, guest: &Path) -> Result<PathBuf> {
    root_with(name, image, guest, false)
}

/// The same, with the probes of `nexus compat` if they are wanted.
pub(crate) fn root_with(name: &str, image: &Path, guest: &Path, probes: bool) -> Result<PathBuf> {
    fs::create_dir_all(paths::images())?;
    let root = paths::images().join(format!("{name}.erofs"));
    let nexus = paths::host_programs().join("nexus");
    let mut build = Command::new(nexus);
    build
        .arg("build")
        .arg(image)
        .arg("--output")
        .arg(&root)
        .arg("--guest-dir")
        .arg(guest);
    if probes {
        build.arg("--probes");
    }
    process::inherit(&mut build)?;
    Ok(root)
}

/// Fetches the photograph that the demo scales.
pub(crate) fn photograph() -> Result<PathBuf> {
    let source = paths::repository().join("tests/images/photo.py");
    let folder = cache::ensure(
        "photograph",
        Key::default().path(&source)?,
        "photograph",
        |folder, step| {
            let mut fetch = Command::new("python3");
            process::run(
                step,
                fetch
                    .arg(&source)
                    .arg("--output")
                    .arg(folder.join("photo.jpg")),
            )
        },
    )?;
    Ok(folder.join("photo.jpg"))
}
