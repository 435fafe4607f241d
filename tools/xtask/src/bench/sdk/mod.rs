// SPDX-License-Identifier: Apache-2.0
//! What the SDK costs, with the shim and without: start, memory, and calls of several sizes.
//!
//! Outside of VMs each process is measured by itself: the image's SDK over TLS straight to the store, beside the shim in local mode with nexusd's
//! share. In a guest, under the lab's instruction clock, a call's figure is all that happens on the machine: guest, VMM,
//! nexusd, store and both kernels.

mod guest;
mod language;
mod outside;
mod report;
mod store;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;

use crate::setup::debian;
use crate::setup::kernel::Flavour;
use crate::{build, lab, paths, step};

pub(crate) use guest::job;

use language::{LANGUAGES, Language};

/// Where the objects are; the measured program knows it too.
const BUCKET: &str = "measured";

/// Sizes of objects, in bytes.
const SIZES: [u64; 3] = [1 << 10, 1 << 20, 16 << 20];

/// What is called.
const OPERATIONS: [&str; 2] = ["get", "put"];

/// What the part that needs KVM is given.
#[derive(Clone, Debug, Args)]
pub(crate) struct Inputs {
    /// Folder of nexusd, nexus-vmm and nexus.
    #[arg(long)]
    programs: PathBuf,
    /// The guest's kernel.
    #[arg(long)]
    kernel: PathBuf,
    /// Folder with the root file systems of the functions with the measured programs.
    #[arg(long)]
    roots: PathBuf,
    /// Folder for results.
    #[arg(long)]
    folder: PathBuf,
}

/// Sets everything up, measures here and in a guest, and prints both tables.
pub(crate) fn run() -> Result<()> {
    debian::packages(debian::Purpose::Measuring)?;
    let built = build::everything(Flavour::Plain)?;
    for Language { image, .. } in LANGUAGES {
        build::image::root(image, &build::image::oci(image)?, &paths::guest_files())?;
    }
    let inputs = Inputs {
        programs: paths::host_programs(),
        kernel: built.kernel,
        roots: paths::images(),
        folder: paths::runs().join("bench-sdk"),
    };
    fs::create_dir_all(&inputs.folder)?;
    let mut all = serde_json::Map::new();
    for language in LANGUAGES {
        let figures = outside::measure(&inputs, &language)?;
        report::outside(&language, &figures);
        all.insert(language.name.to_owned(), json!(figures));
    }
    inputs.write("sdk-outside.json", &json!(all))?;

    let place = lab::Place::find()?;
    step::note("measuring in a guest; under instruction counting this takes some minutes");
    place.run(&lab::Job {
        folder: &inputs.folder,
        clock: lab::Clock::Instructions,
        limit: Some(super::LIMIT),
        program: &inputs.command(),
    })
}

impl Inputs {
    /// Writes results down, and says where.
    fn write(&self, name: &str, figures: &serde_json::Value) -> Result<()> {
        let path = self.folder.join(name);
        fs::write(&path, format!("{figures:#}\n"))
            .with_context(|| format!("cannot write {}", path.display()))?;
        println!("\nwritten to {}", path.display());
        Ok(())
    }

    /// The command line of the part that needs KVM.
    fn command(&self) -> Vec<String> {
        let program = self.programs.join("xtask").display().to_string();
        let mut words = vec![program, "bench-sdk-job".to_owned()];
        for (flag, path) in [
            ("--programs", &self.programs),
            ("--kernel", &self.kernel),
            ("--roots", &self.roots),
            ("--folder", &self.folder),
        ] {
            words.extend([flag.to_owned(), path.display().to_string()]);
        }
        words
    }
}
