// SPDX-License-Identifier: Apache-2.0
//! The process `nexus-vmm`: its command line, its descriptors, its end.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;

use super::super::launch::LaunchError;
use crate::config;
use crate::functions::Function;
use crate::logs::ring::Ring;

/// What is kept of a VMM's own messages.
const MESSAGES_BYTES: usize = 2048;

/// What the process inherits besides its standard streams.
pub(super) struct Descriptors {
    pub(super) nexus: OwnedFd,
    pub(super) control: OwnedFd,
    pub(super) console: OwnedFd,
}

/// A running VMM.
pub(super) struct VmmProcess {
    child: Child,
    messages: Arc<Mutex<Ring>>,
    reader: Option<JoinHandle<()>>,
}

impl VmmProcess {
    pub(super) fn spawn(
        vm: &config::Vm,
        function: &Function,
        descriptors: &Descriptors,
        instance: &str,
    ) -> Result<Self, LaunchError> {
        let mut command = command(vm, function, descriptors);
        let mut child =
            spawn_with(&mut command, descriptors).map_err(|source| LaunchError::Spawn {
                program: vm.vmm.display().to_string(),
                source,
            })?;
        let messages = Arc::new(Mutex::new(Ring::new(MESSAGES_BYTES)));
        let reader = child.stderr.take().map(|stderr| {
            tokio::spawn(read_messages(
                stderr,
                Arc::clone(&messages),
                instance.to_owned(),
            ))
        });
        Ok(Self {
            child,
            messages,
            reader,
        })
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for the end and tells why, with the last line that the VMM wrote.
    pub(super) async fn wait(&mut self) -> String {
        let status = self.child.wait().await;
        if let Some(reader) = self.reader.as_mut() {
            // The pipe is closed, so this ends. A panic in it costs a message.
            drop(reader.await);
            self.reader = None;
        }
        let text = self
            .messages
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .read(0);
        let text = String::from_utf8_lossy(&text);
        let last = text
            .lines()
            .rev()
            .find(|line| !line.trim().is_empty())
            .unwrap_or_default();
        match (status, last) {
            (Ok(status), "") => describe(status),
            (Ok(status), last) => format!("{last} ({})", describe(status)),
            (Err(error), _) => format!("its process cannot be waited for: {error}"),
        }
    }

    pub(super) async fn kill(&mut self) {
        if let Err(error) = self.child.kill().await {
            tracing::warn!(%error, "cannot kill a VMM");
        }
    }
}

fn describe(status: ExitStatus) -> String {
    format!("nexus-vmm ended with {status}")
}

fn command(vm: &config::Vm, function: &Function, descriptors: &Descriptors) -> Command {
    let mut command = Command::new(&vm.vmm);
    command
        .arg("--kernel")
        .arg(&vm.kernel)
        .args([
            "--memory",
            &function.memory_mib.to_string(),
            "--cpus",
            &vm.cpus.to_string(),
        ])
        .arg("--disk")
        .arg(&function.root)
        .args(["--nexus-fd", &descriptors.nexus.as_raw_fd().to_string()])
        .args(["--control-fd", &descriptors.control.as_raw_fd().to_string()])
        .args([
            "--serial",
            &format!("fd:{}", descriptors.console.as_raw_fd()),
        ]);
    if !vm.cmdline.is_empty() {
        command.args(["--cmdline", &vm.cmdline]);
    }
    // Nothing of the daemon's environment: it may hold keys.
    command.env_clear().env("NO_COLOR", "1");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Spawns with the descriptors open at the same numbers as here. All else is closed by the exec: everything in this
/// process is opened with `O_CLOEXEC`.
fn spawn_with(command: &mut Command, descriptors: &Descriptors) -> io::Result<Child> {
    let inherited = [
        &descriptors.nexus,
        &descriptors.control,
        &descriptors.console,
    ]
    .map(AsRawFd::as_raw_fd);
    let keep_open = move || {
        for raw in inherited {
            // SAFETY: the child's descriptor table is a copy of ours from within `spawn`, during which `descriptors` is
            // borrowed and so open; the borrow made here ends before the child replaces itself.
            let descriptor = unsafe { BorrowedFd::borrow_raw(raw) };
            fcntl(descriptor.as_fd(), FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure only calls fcntl(2), which is async-signal-safe, on an array it owns; the
    // conversion of an error allocates nothing.
    unsafe { command.pre_exec(keep_open) };
    command.spawn()
}

/// Passes a VMM's messages on to the log, and keeps the last.
async fn read_messages(mut stderr: ChildStderr, messages: Arc<Mutex<Ring>>, instance: String) {
    let mut buffer = vec![0; MESSAGES_BYTES];
    while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
        let text = &buffer[..count];
        messages
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(text);
        tracing::info!(instance, "{}", String::from_utf8_lossy(text).trim_end());
    }
}
