// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask demo`: an unmodified function image runs in a Nexus VM, and two claims are proven on the spot.

mod job;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::setup::kernel::Flavour;
use crate::{build, lab, paths, step};

pub(crate) use job::job;

/// How long the main job may take; it takes about a minute.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// What the parts that need KVM are given.
#[derive(Clone, Debug, Args)]
pub(crate) struct Inputs {
    /// Folder of nexusd, nexus-vmm and nexus.
    #[arg(long)]
    pub(crate) programs: PathBuf,
    /// Uncompressed guest kernel.
    #[arg(long)]
    pub(crate) kernel: PathBuf,
    /// Root file system of the thumbnail function.
    #[arg(long)]
    pub(crate) thumbnail: PathBuf,
    /// Root file system of the echo function.
    #[arg(long)]
    pub(crate) echo: PathBuf,
    /// The photograph.
    #[arg(long)]
    pub(crate) photograph: PathBuf,
    /// Folder for results.
    #[arg(long)]
    pub(crate) folder: PathBuf,
}

impl Inputs {
    /// Builds everything that a job needs; its results go to a folder of this name.
    pub(crate) fn prepare(name: &str) -> Result<Self> {
        let built = build::everything(Flavour::Plain)?;
        Ok(Self {
            programs: paths::host_programs(),
            kernel: built.kernel,
            thumbnail: built.thumbnail,
            echo: built.echo,
            photograph: build::image::photograph()?,
            folder: paths::runs().join(name),
        })
    }

    /// The command line that runs `job` of this program with these inputs.
    pub(crate) fn command(&self, job: &str) -> Vec<String> {
        let mut words = vec![
            self.programs.join("xtask").display().to_string(),
            job.to_owned(),
        ];
        for (flag, path) in [
            ("--programs", &self.programs),
            ("--kernel", &self.kernel),
            ("--thumbnail", &self.thumbnail),
            ("--echo", &self.echo),
            ("--photograph", &self.photograph),
            ("--folder", &self.folder),
        ] {
            words.extend([flag.to_owned(), path.display().to_string()]);
        }
        words
    }
}

/// Sets everything up and runs the main job.
pub(crate) fn run() -> Result<()> {
    println!(
        "Setting up (each step is done once; results are kept in {})",
        paths::cache().display()
    );
    let inputs = Inputs::prepare("demo")?;
    let place = lab::Place::find()?;
    step::note("starting the main job");
    place.run(&lab::Job {
        folder: &inputs.folder,
        clock: lab::Clock::Wall,
        limit: Some(LIMIT),
        program: &inputs.command("demo-job"),
    })
}
