// SPDX-License-Identifier: Apache-2.0
//! The real machine: a `nexus-vmm` process, and the backend's session with it.
//!
//! The process gets three descriptors: one end of the virtio-nexus transport, one end of the control line, and the
//! writing end of the console. When the daemon dies, however it dies, the control line closes and the VMM ends itself.

mod process;
mod services;

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nexus_backend::boot::{BootService, ProcessExit};
use nexus_backend::gateway::{Acceptor, Authority, AuthorityError, Upstream};
use nexus_backend::runtime_api::ExitReason;
use nexus_backend::session::{self, Session, SessionEnd};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::process::{Descriptors, VmmProcess};
use super::control::Control;
use super::launch::{BoxFuture, LaunchError, Launcher, Machine, MachineError, Order};
use crate::config;

/// What a VMM gets to end by itself before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// Starts VMs.
#[derive(Debug)]
pub struct VmLauncher {
    vm: config::Vm,
    region: String,
    upstream: Arc<Upstream>,
    authority: (Arc<Authority>, Acceptor),
}

impl VmLauncher {
    /// Starts VMs as `vm` says, whose gateway goes to `upstream`, and speaks under services' own names with certificates of
    /// `authority`. Functions are told to be in `region`.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(
        vm: config::Vm,
        region: String,
        upstream: Arc<Upstream>,
        authority: Arc<Authority>,
    ) -> Result<Self, AuthorityError> {
        let acceptor = Acceptor::new(Arc::clone(&authority))?;
        Ok(Self {
            vm,
            region,
            upstream,
            authority: (authority, acceptor),
        })
    }

    fn start(&self, order: Order) -> Result<Box<dyn Machine>, LaunchError> {
        let resource = |what| move |source| LaunchError::Resource { what, source };
        let (services, policy, boot) =
            services::compose(&order, &self.region, &self.upstream, &self.authority);
        let (nexus, guest) = UnixStream::pair().map_err(resource("make a socket pair"))?;
        let (line, vmm_line) = UnixStream::pair().map_err(resource("make a socket pair"))?;
        let control = Control::new(line).map_err(resource("make a control line"))?;
        let session = Session::start(
            nexus,
            order.instance.clone(),
            services,
            policy,
            order.function.publish.clone(),
            Arc::clone(&order.writeback),
            session::Limits::default(),
        )
        .map_err(|error| LaunchError::Session(error.to_string()))?;
        let descriptors = Descriptors {
            nexus: guest.into(),
            control: vmm_line.into(),
            console: order.console,
        };
        let process = VmmProcess::spawn(&self.vm, &order.function, &descriptors, &order.instance)?;
        let machine = VmMachine {
            pid: process.pid(),
            control: Arc::clone(&control),
            session: Arc::new(session),
            boot,
            kill: CancellationToken::new(),
            ended: watch::Sender::new(None),
            gone: CancellationToken::new(),
        };
        machine.supervise(process);
        Ok(Box::new(machine))
    }
}

impl Launcher for VmLauncher {
    fn launch(&self, order: Order) -> BoxFuture<'_, Result<Box<dyn Machine>, LaunchError>> {
        Box::pin(async move { self.start(order) })
    }
}

/// A running VM.
#[derive(Debug)]
struct VmMachine {
    pid: Option<u32>,
    control: Arc<Control>,
    session: Arc<Session>,
    boot: Arc<BootService>,
    /// Asks the supervisor to kill the process.
    kill: CancellationToken,
    /// Why the function or the VM ended.
    ended: watch::Sender<Option<ExitReason>>,
    /// The process is gone.
    gone: CancellationToken,
}

impl VmMachine {
    /// Finds out why the VM ends, whoever notices first, and reaps the process.
    fn supervise(&self, mut process: VmmProcess) {
        let (control, session, boot) = (
            Arc::clone(&self.control),
            Arc::clone(&self.session),
            Arc::clone(&self.boot),
        );
        let (kill, gone, ended) = (self.kill.clone(), self.gone.clone(), self.ended.clone());
        tokio::spawn(async move {
            let reason = tokio::select! {
                biased;
                exit = boot.exited() => function_ended(&exit),
                // A VMM that ends hangs up first; its exit status tells more.
                end = broken(&session) => session_ended(&end, &control),
                status = process.wait() => vmm_ended(&status, &control),
                () = kill.cancelled() => other("the VM was stopped".into()),
            };
            ended.send_replace(Some(reason));
            tokio::select! {
                biased;
                _ = process.wait() => {}
                () = kill.cancelled() => process.kill().await,
            }
            session.stop();
            gone.cancel();
        });
    }
}

impl Machine for VmMachine {
    fn pause(&self) -> BoxFuture<'_, Result<(), MachineError>> {
        Box::pin(async { self.control.command("pause").await.map(drop) })
    }

    fn resume(&self) -> BoxFuture<'_, Result<(), MachineError>> {
        Box::pin(async { self.control.command("resume").await.map(drop) })
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let end = async {
                // A refusal needs no answer: the process is killed then.
                drop(self.control.command("stop").await);
                self.gone.cancelled().await;
            };
            if tokio::time::timeout(STOP_LIMIT, end).await.is_err() {
                self.kill.cancel();
                self.gone.cancelled().await;
            }
        })
    }

    fn ended(&self) -> BoxFuture<'_, ExitReason> {
        let mut ended = self.ended.subscribe();
        Box::pin(async move {
            let reason = ended
                .wait_for(Option::is_some)
                .await
                .ok()
                .and_then(|reason| reason.clone());
            reason.unwrap_or_default()
        })
    }

    fn booted_at(&self) -> Option<Instant> {
        self.boot.booted_at()
    }

    fn pid(&self) -> Option<u32> {
        self.pid
    }

    fn report(&self) -> BoxFuture<'_, serde_json::Value> {
        Box::pin(async {
            let vmm = self.control.command("stats").await;
            let vmm = vmm.map_or_else(
                |error| json!({ "error": error.to_string() }),
                serde_json::Value::Object,
            );
            json!({ "vmm": vmm, "session": services::statistics(&self.session) })
        })
    }
}

impl Drop for VmMachine {
    fn drop(&mut self) {
        self.kill.cancel();
    }
}

fn function_ended(exit: &ProcessExit) -> ExitReason {
    match exit {
        ProcessExit::Exited { code } => ExitReason::exited(*code),
        ProcessExit::Signaled { signal } => ExitReason::signaled(*signal),
        ProcessExit::Failed { error } => {
            other(format!("the function's program cannot be started: {error}"))
        }
    }
}

/// Resolves when the session ended for another reason than the VMM's end.
async fn broken(session: &Session) -> SessionEnd {
    match session.ended().await {
        SessionEnd::Hangup => std::future::pending().await,
        end => end,
    }
}

fn session_ended(end: &SessionEnd, control: &Control) -> ExitReason {
    other(match (end, control.exit()) {
        (SessionEnd::Violation(what), _) => {
            format!("the guest broke the device's protocol: {what}")
        }
        (_, Some(exit)) => vmm_text(&exit.message),
        (SessionEnd::Failed(what), None) => format!("the VM's device failed: {what}"),
        (SessionEnd::Hangup | SessionEnd::Stopped, None) => "the VM ended".into(),
    })
}

fn vmm_ended(status: &str, control: &Control) -> ExitReason {
    other(
        control
            .exit()
            .map_or_else(|| vmm_text(status), |exit| vmm_text(&exit.message)),
    )
}

fn vmm_text(reason: &str) -> String {
    format!("the VM ended: {reason}")
}

/// A reason that is no exit status and no signal.
fn other(text: String) -> ExitReason {
    ExitReason {
        text,
        ..ExitReason::default()
    }
}
