// SPDX-License-Identifier: Apache-2.0
//! `nexus local`: a program outside a VM, with what a function may reach.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};

use clap::Args;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::Outcome;
use super::grants::Grants;
use crate::admin::Admin;
use crate::local;

/// The variable that names libraries to load first (ld.so(8)).
const PRELOAD: &str = "LD_PRELOAD";

/// Options that Node takes before those of its command line.
const NODE_OPTIONS: &str = "NODE_OPTIONS";

/// Where Python looks for modules first.
const PYTHON_PATH: &str = "PYTHONPATH";

/// The variable that keeps the SDK shim out, with the value `off`.
const SDK_SWITCH: &str = "NEXUS_SDK";

/// Run a program outside a VM, in a network namespace that holds what a function has: the gateway, names, and its policy.
///
/// It is for development: the program runs as you do, and the policy binds well-behaved programs only.
#[derive(Debug, Args)]
pub(crate) struct Local {
    /// The deployed function whose policy and variables the program gets; without one, what the options say.
    #[arg(conflicts_with_all = ["buckets", "services", "endpoints"])]
    function: Option<String>,
    #[command(flatten)]
    grants: Grants,
    /// Folder of libnexus_preload.so and of the SDK shim.
    #[arg(long, env = "NEXUS_GUEST_DIR", default_value = "/usr/lib/nexus")]
    guest_dir: PathBuf,
    /// The program and its arguments.
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

impl Local {
    pub(super) async fn run(self, admin: &Admin) -> Outcome {
        let library = self.guest_dir.join("libnexus_preload.so");
        let library = std::fs::canonicalize(&library).map_err(|error| {
            format!(
                "{}: {error}; name its folder with --guest-dir",
                library.display()
            )
        })?;
        let role = match &self.function {
            Some(name) => json!({ "function": name }),
            None => json!({ "policy": self.grants.to_json() }),
        };
        let (mut connection, said) = admin
            .upgrade("/v1/local", "nexus-local", role.to_string().into())
            .await?;
        // Open for as long as the program runs: nexusd serves its namespace until then.
        let env = local::enter(&mut connection, &said).await?;
        let shim = std::fs::canonicalize(self.guest_dir.join("sdk")).ok();
        let child = self.start(library.into(), shim, env)?;
        let status = wait(child).await?;
        drop(connection);
        Ok(exit_code(status))
    }

    fn start(
        &self,
        library: OsString,
        shim: Option<PathBuf>,
        env: BTreeMap<String, String>,
    ) -> Result<Child, String> {
        let (program, arguments) = self.program.split_first().ok_or("there is no program")?;
        let before = |first: OsString, separator: &str, name: &str| {
            let mut list = first;
            if let Some(others) = std::env::var_os(name).filter(|others| !others.is_empty()) {
                list.push(separator);
                list.push(others);
            }
            list
        };
        let mut command = Command::new(program);
        if let Some(shim) =
            shim.filter(|_| std::env::var_os(SDK_SWITCH).is_none_or(|value| value != "off"))
        {
            let python = shim.join("python").into();
            command.env(PYTHON_PATH, before(python, ":", PYTHON_PATH));
            let node = shim.join("node/register.cjs");
            if node.exists() {
                // In quotes, as a path may hold spaces.
                let mut require = OsString::from("--require \"");
                require.push(node);
                require.push("\"");
                command.env(NODE_OPTIONS, before(require, " ", NODE_OPTIONS));
            }
        }
        command
            .args(arguments)
            .envs(env)
            .env(PRELOAD, before(library, ":", PRELOAD));
        // SAFETY: between fork and exec the closure makes one system call, which takes a number.
        unsafe {
            command.pre_exec(|| Ok(prctl::set_pdeathsig(Signal::SIGKILL)?));
        }
        command
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", program.display()))
    }
}

/// Waits for the program. What is meant to end it, it is told; a terminal's keys reach it by themselves.
async fn wait(mut child: Child) -> std::io::Result<ExitStatus> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    loop {
        let passed_on = tokio::select! {
            status = child.wait() => return status,
            _ = interrupt.recv() => None,
            _ = quit.recv() => None,
            _ = terminate.recv() => Some(Signal::SIGTERM),
            _ = hang_up.recv() => Some(Signal::SIGHUP),
        };
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        if let (Some(signal), Some(pid)) = (passed_on, pid) {
            kill(Pid::from_raw(pid), signal)?;
        }
    }
}

/// The program's own status; for a signal what shells make of it.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from)
}
