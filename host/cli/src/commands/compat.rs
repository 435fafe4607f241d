// SPDX-License-Identifier: Apache-2.0
//! `nexus compat`: an image's test command in two guests, and the differences.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;
use nexus_rootfs::{BuildOptions, GuestFiles};

use super::Outcome;
use crate::compat::guest::{Machine, Run};
use crate::compat::report::{Report, text};
use crate::output::Output;
use crate::output::progress::Bar;

/// Where the probes are in a root that is made for them.
const PROBE: &str = "/.nexus/probe";

/// Exit code if the guests differ, to be told apart from a comparison that failed.
const DIFFERENT: u8 = 3;

/// Run an image's test command, or Nexus' own probes, on a guest with Linux' own network stack and on a Nexus guest, and print what
/// differs. Both guests have loopback and nothing else, and no nexusd. Exits with 3 if something differs.
#[derive(Debug, Args)]
pub(crate) struct Compat {
    /// The image, or a root file system made of it by `nexus build`.
    image: PathBuf,
    /// The command, instead of the image's.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "WORD"
    )]
    command: Vec<String>,
    /// Play Nexus' own scripts of socket calls instead of a command, and compare each call's outcome. A root file system needs
    /// to have been made by `nexus build --probes`.
    #[arg(long, conflicts_with = "command")]
    probes: bool,
    /// Folder of nexus-vmm, vmlinux, vmlinux-stock and the guest's files.
    #[arg(long, env = "NEXUS_GUEST_DIR", default_value = "/usr/lib/nexus")]
    guest_dir: PathBuf,
    /// The program nexus-vmm, if it is not in that folder.
    #[arg(long)]
    vmm: Option<PathBuf>,
    /// The Nexus guest's kernel, if it is not in that folder.
    #[arg(long)]
    kernel: Option<PathBuf>,
    /// The stock guest's kernel, if it is not in that folder.
    #[arg(long)]
    stock_kernel: Option<PathBuf>,
    /// Memory of each guest in MiB.
    #[arg(long, default_value_t = 1024)]
    memory: u32,
    /// Longest time of each run, in seconds.
    #[arg(long, default_value_t = 900)]
    timeout: u64,
    /// Folder to keep both guests' consoles in, as stock.log and nexus.log, and the result as report.json.
    #[arg(long)]
    keep: Option<PathBuf>,
}

impl Compat {
    pub(super) async fn run(self, output: Output) -> Outcome {
        let folder = Folder::new(self.keep.as_deref())?;
        let root = self.root(folder.path())?;
        let stock = self.machine(&root, true);
        let nexus = self.machine(&root, false);
        let stock = show(&stock, "stock", folder.path()).await?;
        let nexus = show(&nexus, "nexus", folder.path()).await?;
        let report = if self.probes {
            Report::of_probes(&stock, &nexus).ok_or(
                "no guest has played a script; was the root file system made by `nexus build --probes`?",
            )?
        } else {
            Report::new(&stock, &nexus)
        };
        let same = report.is_same();
        let report = serde_json::to_value(report)?;
        if self.keep.is_some() {
            std::fs::write(folder.path().join("report.json"), format!("{report:#}\n"))?;
        }
        output.show(&report, text)?;
        for (name, run) in [("stock", &stock), ("nexus", &nexus)] {
            if run.code.is_none() {
                let last: Vec<_> = run.output.lines().rev().take(5).collect();
                let last: Vec<_> = last.into_iter().rev().collect();
                eprintln!(
                    "nexus: the {name} guest's command came to no end; the last it printed:\n{}",
                    last.join("\n")
                );
            }
        }
        Ok(if same {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(DIFFERENT)
        })
    }

    fn machine(&self, root: &Path, stock: bool) -> Machine {
        let file = |given: &Option<PathBuf>, name: &str| {
            given.clone().unwrap_or_else(|| self.guest_dir.join(name))
        };
        Machine {
            vmm: file(&self.vmm, "nexus-vmm"),
            kernel: if stock {
                file(&self.stock_kernel, "vmlinux-stock")
            } else {
                file(&self.kernel, "vmlinux")
            },
            stock,
            root: root.into(),
            memory: self.memory,
            command: self.command(),
            timeout: Duration::from_secs(self.timeout),
        }
    }

    /// The command, unless it is the image's own.
    fn command(&self) -> Option<Vec<String>> {
        if self.probes {
            return Some(vec![PROBE.to_owned()]);
        }
        (!self.command.is_empty()).then(|| self.command.clone())
    }

    /// The root file system, made of the image unless it is one.
    fn root(&self, folder: &Path) -> Result<PathBuf, Box<dyn std::error::Error>> {
        if self.image.extension().is_some_and(|name| name == "erofs") {
            return Ok(self.image.clone());
        }
        let guest = GuestFiles::in_folder(&self.guest_dir, self.probes);
        let options = BuildOptions {
            image: self.image.clone(),
            guest,
            output: folder.join("root.erofs"),
        };
        let bar = Bar::new();
        let built = nexus_rootfs::build(&options, &bar);
        bar.clear();
        built?;
        Ok(options.output)
    }
}

/// Runs a machine, with a line that says so while it takes.
async fn show(
    machine: &Machine,
    name: &str,
    folder: &Path,
) -> Result<Run, Box<dyn std::error::Error>> {
    let spinner = ProgressBar::new_spinner();
    spinner.set_message(format!("the {name} guest runs"));
    spinner.enable_steady_tick(Duration::from_millis(200));
    let run = machine.run(&folder.join(format!("{name}.log"))).await;
    spinner.finish_and_clear();
    Ok(run?)
}

/// Where a comparison's files are, and whether they stay.
enum Folder {
    Kept(PathBuf),
    Passing(PathBuf),
}

impl Folder {
    fn new(keep: Option<&Path>) -> std::io::Result<Self> {
        let folder = keep.map_or_else(
            || {
                let name = format!("nexus-compat-{}", std::process::id());
                Self::Passing(std::env::temp_dir().join(name))
            },
            |path| Self::Kept(path.into()),
        );
        std::fs::create_dir_all(folder.path())?;
        for name in ["stock.log", "nexus.log"] {
            // The VMM adds to what is there.
            match std::fs::remove_file(folder.path().join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(folder)
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) | Self::Passing(path) => path,
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Self::Passing(path) = self {
            // What cannot be removed does no harm.
            drop(std::fs::remove_dir_all(path));
        }
    }
}
