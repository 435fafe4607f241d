// SPDX-License-Identifier: Apache-2.0
//! Command line.

use std::os::fd::RawFd;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};

/// Runs one virtual machine.
#[derive(Debug, Parser)]
#[command(
    name = "nexus-vmm",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub struct Cli {
    /// Other things that the program can do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The machine to run.
    #[command(flatten)]
    pub machine: Option<MachineConfig>,
}

/// Other things that the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Finds out by trying whether this host's KVM can run a Linux guest
    Probe {
        /// Print a JSON object instead of a sentence
        #[arg(long)]
        json: bool,
    },
}

/// What the machine is made of.
#[derive(Clone, Debug, Args)]
pub struct MachineConfig {
    /// Uncompressed kernel (vmlinux) with a PVH entry point
    #[arg(long, value_name = "PATH")]
    pub kernel: PathBuf,
    /// Guest memory in MiB
    #[arg(long, value_name = "MIB")]
    pub memory: u64,
    /// vCPUs
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub cpus: u8,
    /// Image of a read-only disk; the first one is the root file system, an EROFS
    #[arg(long = "disk", value_name = "PATH")]
    pub disks: Vec<PathBuf>,
    /// Inherited Unix stream socket of the vhost-user backend of virtio-nexus
    #[arg(long, value_name = "FD")]
    pub nexus_fd: Option<RawFd>,
    /// Inherited Unix stream socket of the control channel; the machine stops when its other end closes
    #[arg(long, value_name = "FD")]
    pub control_fd: Option<RawFd>,
    /// Where the serial console goes: a file to append to, `fd:N` (inherited), or `stderr`
    #[arg(long, value_name = "PATH|fd:N|stderr", default_value = "stderr")]
    pub serial: SerialTarget,
    /// More for the kernel's command line, `quiet` for example
    #[arg(long, value_name = "WORDS", default_value = "")]
    pub cmdline: String,
    /// Do not confine the process to the system calls that it needs (for debuggers)
    #[arg(long)]
    pub no_sandbox: bool,
}

/// Where the serial console goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SerialTarget {
    /// Standard error of this process.
    Stderr,
    /// An inherited file descriptor.
    Fd(RawFd),
    /// A file, created if missing, appended to.
    Path(PathBuf),
}

impl FromStr for SerialTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "stderr" {
            return Ok(Self::Stderr);
        }
        if let Some(number) = text.strip_prefix("fd:") {
            return number
                .parse()
                .map(Self::Fd)
                .map_err(|e| format!("`{number}` is no file descriptor: {e}"));
        }
        if text.is_empty() {
            return Err("an empty path".into());
        }
        Ok(Self::Path(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_machine_and_a_probe_are_understood() -> Result<(), clap::Error> {
        let cli = Cli::try_parse_from([
            "nexus-vmm",
            "--kernel",
            "k",
            "--memory",
            "128",
            "--disk",
            "a",
            "--disk",
            "b",
            "--serial",
            "fd:7",
        ])?;
        let machine = cli.machine.ok_or(clap::Error::new(
            clap::error::ErrorKind::MissingRequiredArgument,
        ))?;
        assert_eq!(machine.disks, [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!(machine.serial, SerialTarget::Fd(7));
        let cli = Cli::try_parse_from(["nexus-vmm", "probe", "--json"])?;
        assert!(matches!(cli.command, Some(Command::Probe { json: true })));
        Ok(())
    }

    #[test]
    fn nothing_and_nonsense_are_refused() {
        for arguments in [
            &["nexus-vmm"][..],
            &["nexus-vmm", "--kernel", "k"],
            &[
                "nexus-vmm",
                "--kernel",
                "k",
                "--memory",
                "1",
                "--serial",
                "fd:x",
            ],
            &["nexus-vmm", "--kernel", "k", "--memory", "-1"],
        ] {
            assert!(Cli::try_parse_from(arguments).is_err(), "{arguments:?}");
        }
    }
}
