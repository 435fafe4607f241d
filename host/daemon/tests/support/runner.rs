// SPDX-License-Identifier: Apache-2.0
//! Runs functions as processes of this machine instead of VMs: the same runtime API on a TCP port, SIGSTOP and SIGCONT
//! for pause and resume. All else in the tests is the daemon itself.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Instant;

use nexus_backend::runtime_api::{ExitReason, RuntimeApi};
use nexus_backend::service::Service;
use nexusd::pool::launch::{BoxFuture, LaunchError, Launcher, Machine, MachineError, Order};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Starts `tests/functions/runtime.py` for every function.
#[derive(Debug)]
pub(crate) struct ProcessLauncher;

impl Launcher for ProcessLauncher {
    fn launch(&self, order: Order) -> BoxFuture<'_, Result<Box<dyn Machine>, LaunchError>> {
        Box::pin(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("an address");
            let program =
                PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").expect("cargo says it"))
                    .join("tests/functions/runtime.py");
            let mut child = Command::new("python3")
                .arg(program)
                .env_clear()
                .env("PATH", "/usr/local/bin:/usr/bin:/bin")
                .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
                .envs(&order.function.env)
                .stdin(Stdio::null())
                .stdout(order.console)
                .kill_on_drop(true)
                .spawn()
                .map_err(|source| LaunchError::Spawn {
                    program: "python3".into(),
                    source,
                })?;
            let pid = child.id().expect("it runs");
            let ended = watch::Sender::new(None);
            let tell = ended.clone();
            tokio::spawn(async move {
                let status = child.wait().await.expect("waited for");
                tell.send_replace(Some(reason(status)));
            });
            let server = tokio::spawn(serve(listener, order.runtime));
            Ok(Box::new(Process {
                pid,
                started: Instant::now(),
                ended,
                server,
            }) as Box<dyn Machine>)
        })
    }
}

async fn serve(listener: TcpListener, runtime: Arc<RuntimeApi>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(Arc::clone(&runtime).serve(Box::pin(stream)));
    }
}

fn reason(status: ExitStatus) -> ExitReason {
    use std::os::unix::process::ExitStatusExt;

    status.code().map_or_else(
        || ExitReason::signaled(status.signal().unwrap_or(0)),
        ExitReason::exited,
    )
}

#[derive(Debug)]
struct Process {
    pid: u32,
    started: Instant,
    ended: watch::Sender<Option<ExitReason>>,
    server: JoinHandle<()>,
}

impl Process {
    fn signal(&self, signal: Signal) -> Result<(), MachineError> {
        let pid = Pid::from_raw(i32::try_from(self.pid).expect("a pid"));
        if self.ended.borrow().is_some() {
            return Err(MachineError::Gone);
        }
        kill(pid, signal).map_err(|_| MachineError::Gone)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Machine for Process {
    fn pause(&self) -> BoxFuture<'_, Result<(), MachineError>> {
        Box::pin(async { self.signal(Signal::SIGSTOP) })
    }

    fn resume(&self) -> BoxFuture<'_, Result<(), MachineError>> {
        Box::pin(async { self.signal(Signal::SIGCONT) })
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if self.signal(Signal::SIGKILL).is_ok() {
                self.ended().await;
            }
        })
    }

    fn ended(&self) -> BoxFuture<'_, ExitReason> {
        let mut ended = self.ended.subscribe();
        Box::pin(async move {
            ended
                .wait_for(Option::is_some)
                .await
                .expect("the sender lives")
                .clone()
                .expect("is some")
        })
    }

    fn booted_at(&self) -> Option<Instant> {
        Some(self.started)
    }

    fn pid(&self) -> Option<u32> {
        Some(self.pid)
    }

    fn report(&self) -> BoxFuture<'_, serde_json::Value> {
        Box::pin(async { serde_json::Value::Null })
    }
}
