// SPDX-License-Identifier: Apache-2.0
//! A machine without nexusd that runs one command: with the driver, or on a kernel with a network stack of its own.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::process::Command;

/// What to run, and on what.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// The program nexus-vmm.
    pub(crate) vmm: PathBuf,
    /// The uncompressed kernel.
    pub(crate) kernel: PathBuf,
    /// The kernel has a network stack of its own.
    pub(crate) stock: bool,
    /// The root file system.
    pub(crate) root: PathBuf,
    /// Memory in MiB.
    pub(crate) memory: u32,
    /// The command, or the image's own.
    pub(crate) command: Option<Vec<String>>,
    /// How long it may take.
    pub(crate) timeout: Duration,
}

/// How a machine's command ended.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// What it printed, with what the kernel said.
    pub(crate) output: String,
    /// Its exit code, if it came to one.
    pub(crate) code: Option<u8>,
}

/// Why there is no run to speak of.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// The VMM does not start.
    #[error("cannot run {}; name the program with --vmm", program.display())]
    Vmm {
        /// The program.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file of the run cannot be used.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The command does not fit into the kernel's command line.
    #[error(
        "the command has {0} bytes as JSON, at most {COMMAND_MAX} fit; put it into a script in the image"
    )]
    Command(usize),
}

/// Most bytes of a job as JSON: twice as many digits fit into the command line beside the rest.
const COMMAND_MAX: usize = 700;

/// What init prints when the command has ended.
const ENDED: &str = "nexus-init: ended with code ";

impl Machine {
    /// Runs it to its end, or to its timeout. What it prints goes through the file `console`.
    pub(crate) async fn run(&self, console: &Path) -> Result<Run, RunError> {
        let mut vmm = Command::new(&self.vmm);
        vmm.arg("--kernel")
            .arg(&self.kernel)
            .args(["--memory", &self.memory.to_string()])
            .arg("--disk")
            .arg(&self.root)
            .arg("--serial")
            .arg(console)
            .args(["--cmdline", &format!("nexus_job={}", self.job()?)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut child = vmm.spawn().map_err(|source| RunError::Vmm {
            program: self.vmm.clone(),
            source,
        })?;
        // One that takes too long is killed when it is dropped; what it has printed is still of interest.
        let ended = tokio::time::timeout(self.timeout, child.wait()).await;
        drop(ended);
        drop(child);
        let bytes = std::fs::read(console).map_err(|source| RunError::File {
            path: console.into(),
            source,
        })?;
        let output = String::from_utf8_lossy(&bytes).replace('\r', "");
        let code = output.lines().rev().find_map(|line| {
            let (_, code) = line.split_once(ENDED)?;
            code.trim().parse().ok()
        });
        Ok(Run { output, code })
    }

    /// The job in hexadecimal digits, as init reads it.
    fn job(&self) -> Result<String, RunError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_nanos();
        let mut job = json!({
            "stock": self.stock,
            "clock_ns": u64::try_from(now).unwrap_or(u64::MAX),
            "hostname": "compat",
        });
        if let Some(command) = &self.command {
            job["entrypoint"] = json!([]);
            job["command"] = json!(command);
        }
        let text = job.to_string();
        if text.len() > COMMAND_MAX {
            return Err(RunError::Command(text.len()));
        }
        Ok(text.bytes().map(|byte| format!("{byte:02x}")).collect())
    }
}
