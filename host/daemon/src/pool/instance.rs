// SPDX-License-Identifier: Apache-2.0
//! One instance: a machine, its runtime API and its console.
//!
//! ```text
//!             initialised            lease
//!   starting -------------> idle <----------> running
//!      |                     |    release        |
//!      |  init fails         |  idle too long    |  timeout, death
//!      +---------------------+-------------------+----> stopped
//! ```
//! An idle instance is paused as soon as its function waits for the next event, and resumed when it is leased. One that
//! peers can connect to goes on, to answer them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nexus_backend::prefetch::Inputs;
use nexus_backend::runtime_api::{ExitReason, RuntimeApi, RuntimeLimits};
use nexus_backend::writeback::Writeback;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::launch::{LaunchError, Launcher, Machine, MachineError, Order};
use crate::functions::{Function, FunctionName, WritebackMode};
use crate::logs::FunctionLog;
use crate::logs::console::Console;

/// Bytes of deferred writes that an instance may have under way.
const WRITEBACK_BYTES: u64 = 64 * 1024 * 1024;

/// What an instance is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The function is not ready.
    Starting,
    /// It waits for an event.
    Idle,
    /// It has one.
    Running,
    /// It is being ended.
    Stopped,
}

/// One instance.
#[derive(Debug)]
pub struct Instance {
    /// Unique while the daemon runs.
    pub id: String,
    /// The function's name.
    pub name: FunctionName,
    /// The function as it was deployed when the instance was started.
    pub function: Arc<Function>,
    /// Where the function gets its events.
    pub runtime: Arc<RuntimeApi>,
    /// Its deferred writes.
    pub writeback: Arc<Writeback>,
    /// What was fetched for its invocations.
    pub inputs: Arc<Inputs>,
    /// What it prints.
    pub console: Arc<Console>,
    /// What runs it.
    pub machine: Box<dyn Machine>,
    /// When the machine's process ran.
    pub started: Instant,
    retired: AtomicBool,
    paused: tokio::sync::Mutex<bool>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    rest: CancellationToken,
    slot: Option<OwnedSemaphorePermit>,
}

impl Instance {
    /// Starts a machine for `function`. `slot` is given back when the machine is gone.
    pub async fn start(
        launcher: &dyn Launcher,
        name: FunctionName,
        function: Arc<Function>,
        log: Arc<FunctionLog>,
        slot: OwnedSemaphorePermit,
    ) -> Result<Arc<Self>, LaunchError> {
        let (console, end) = Console::open(log).map_err(|source| LaunchError::Resource {
            what: "make a console",
            source,
        })?;
        let runtime = RuntimeApi::new(RuntimeLimits::default());
        let inputs = Arc::<Inputs>::default();
        let writeback = match function.writeback {
            WritebackMode::Deferred => Writeback::new(WRITEBACK_BYTES),
            WritebackMode::Sync => Writeback::off(),
        };
        let id = Uuid::new_v4().simple().to_string()[..12].to_owned();
        let machine = launcher
            .launch(Order {
                instance: id.clone(),
                name: name.clone(),
                function: Arc::clone(&function),
                runtime: Arc::clone(&runtime),
                writeback: Arc::clone(&writeback),
                inputs: Arc::clone(&inputs),
                console: end,
            })
            .await?;
        let instance = Arc::new(Self {
            id,
            name,
            function,
            runtime,
            writeback,
            inputs,
            console,
            machine,
            started: Instant::now(),
            retired: AtomicBool::new(false),
            paused: tokio::sync::Mutex::new(false),
            inner: Mutex::new(Inner {
                state: State::Starting,
                rest: CancellationToken::new(),
                slot: Some(slot),
            }),
        });
        instance.watch();
        Ok(instance)
    }

    /// Reads the console to its end, and tells the runtime API when the machine ends, so that nobody waits for it. Ends the machine
    /// when a deferred write has failed.
    fn watch(self: &Arc<Self>) {
        let console = Arc::clone(&self.console);
        tokio::spawn(async move {
            if let Err(error) = console.run().await {
                tracing::warn!(%error, "cannot read an instance's console");
            }
        });
        let instance = Arc::clone(self);
        tokio::spawn(async move {
            let reason = tokio::select! {
                reason = instance.machine.ended() => reason,
                failure = instance.writeback.failed() => {
                    // It acts on a write that is not there.
                    instance.retire();
                    let text = failure.to_string();
                    instance.runtime.fail(ExitReason { text, ..ExitReason::default() });
                    instance.machine.stop().await;
                    return;
                }
            };
            tracing::debug!(instance = instance.id, %reason, "instance ended");
            instance.runtime.fail(reason);
        });
    }

    /// Marks the instance idle. The returned token is cancelled when it is leased or stopped.
    pub fn rest(&self) -> CancellationToken {
        let mut inner = self.lock();
        inner.state = State::Idle;
        inner.rest = CancellationToken::new();
        inner.rest.clone()
    }

    /// Marks the instance running.
    pub fn lease(&self) {
        let mut inner = self.lock();
        inner.rest.cancel();
        inner.state = State::Running;
    }

    /// Pauses the machine as soon as the function waits for an event, unless it has published ports. False if it has not come
    /// to wait within `limit`, the machine cannot be paused, or `rest`, what [`Self::rest`] returned, is over.
    pub async fn settle(&self, rest: &CancellationToken, limit: Duration) -> bool {
        if tokio::time::timeout(limit, self.runtime.wait_until_waiting())
            .await
            .is_err()
        {
            tracing::warn!(
                instance = self.id,
                "the function did not ask for its next event in time"
            );
            return false;
        }
        if !self.function.publish.is_empty() {
            return true;
        }
        let mut paused = self.paused.lock().await;
        // Who leases the instance ends its rest, and wakes it only then. So a rest that goes on here will be followed by a
        // wake that waits for the lock; one that is over may have had its wake already, and nobody would undo the pause.
        if rest.is_cancelled() {
            return false;
        }
        // Before it is done: who is cancelled here must not leave a paused machine that counts as running.
        *paused = true;
        let result = self.machine.pause().await;
        if let Err(error) = &result {
            tracing::warn!(instance = self.id, %error, "cannot pause an idle instance");
        }
        result.is_ok()
    }

    /// Lets a paused machine go on.
    pub async fn wake(&self) -> Result<(), MachineError> {
        let mut paused = self.paused.lock().await;
        if *paused {
            self.machine.resume().await?;
            *paused = false;
        }
        Ok(())
    }

    /// Ends the machine and gives its slot back.
    pub async fn stop(&self) {
        {
            let mut inner = self.lock();
            inner.rest.cancel();
            inner.state = State::Stopped;
        }
        self.machine.stop().await;
        self.lock().slot = None;
    }

    /// From now on the instance takes no more events: its function was replaced or removed.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    /// Whether the instance takes no more events.
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// What the instance is doing.
    pub fn state(&self) -> State {
        self.lock().state
    }

    /// Whether the machine's processors are stopped; unknown while that changes.
    pub fn is_paused(&self) -> Option<bool> {
        self.paused.try_lock().ok().map(|paused| *paused)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use nexus_backend::runtime_api::ExitReason;
    use nexus_backend::service::Service;
    use tokio::io::AsyncWriteExt;
    use tokio::sync::Semaphore;

    use super::{Instance, LaunchError, Launcher, Machine, MachineError, Order};
    use crate::functions::{Function, Policy};
    use crate::logs::Logs;
    use crate::pool::launch::BoxFuture;

    /// A machine of nothing but a function that asks for an event.
    #[derive(Debug, Clone, Default)]
    struct Waiting {
        stopped: Arc<AtomicBool>,
    }

    impl Launcher for Waiting {
        fn launch(&self, order: Order) -> BoxFuture<'_, Result<Box<dyn Machine>, LaunchError>> {
            Box::pin(async move {
                let (mut guest, host) = tokio::io::duplex(4096);
                tokio::spawn(order.runtime.serve(Box::pin(host)));
                tokio::spawn(async move {
                    let ask =
                        b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: a\r\n\r\n";
                    guest.write_all(ask).await.expect("asked");
                    std::future::pending::<()>().await;
                });
                Ok(Box::new(self.clone()) as Box<dyn Machine>)
            })
        }
    }

    impl Machine for Waiting {
        fn pause(&self) -> BoxFuture<'_, Result<(), MachineError>> {
            self.stopped.store(true, Ordering::Release);
            Box::pin(async { Ok(()) })
        }

        fn resume(&self) -> BoxFuture<'_, Result<(), MachineError>> {
            self.stopped.store(false, Ordering::Release);
            Box::pin(async { Ok(()) })
        }

        fn stop(&self) -> BoxFuture<'_, ()> {
            Box::pin(async {})
        }

        fn ended(&self) -> BoxFuture<'_, ExitReason> {
            Box::pin(std::future::pending())
        }

        fn booted_at(&self) -> Option<Instant> {
            None
        }

        fn pid(&self) -> Option<u32> {
            None
        }

        fn report(&self) -> BoxFuture<'_, serde_json::Value> {
            Box::pin(async { serde_json::Value::Null })
        }
    }

    #[tokio::test]
    async fn a_leased_instance_is_not_paused() {
        let folder = tempfile::tempdir().expect("a folder");
        let logs = Logs::open(folder.path().to_owned()).expect("opens");
        let name: crate::functions::FunctionName = "f".parse().expect("a name");
        let slot = Arc::new(Semaphore::new(1))
            .try_acquire_owned()
            .expect("free");
        let machine = Waiting::default();
        let function = Arc::new(Function::undeployed(Policy::default()));
        let log = logs.of(&name);
        let instance = Instance::start(&machine, name, function, log, slot)
            .await
            .expect("started");
        let limit = Duration::from_secs(60);

        let rest = instance.rest();
        assert!(instance.settle(&rest, limit).await);
        assert!(machine.stopped.load(Ordering::Acquire));
        instance.lease();
        instance.wake().await.expect("awake");
        assert!(!machine.stopped.load(Ordering::Acquire));

        // Woken before what watches its rest got to run.
        assert!(!instance.settle(&rest, limit).await);
        assert!(!machine.stopped.load(Ordering::Acquire));
    }
}
