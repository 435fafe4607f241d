// SPDX-License-Identifier: Apache-2.0
//! The instances of all functions: one VM runs one invocation at a time.
//!
//! A call takes the function's most recently used idle instance, else a new one while there are fewer than
//! `pool.max_instances`, else the place of the instance that has been idle for longest; else it is throttled.
//!
//! - [`launch`]: the seam to what runs an instance; [`vm`] is the real one, [`control`] its line to the VMM.
//! - [`instance`]: the states of one instance.
//! - [`call`]: what goes in and comes out.
//! - [`run`]: one call on one instance.

pub mod call;
pub mod control;
pub mod instance;
pub mod launch;
mod run;
pub mod vm;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use call::{Answer, Call, PoolError};
pub use instance::{Instance, State};
pub use launch::Launcher;

use crate::functions::{Function, FunctionName};
use crate::inputs::Inputs;
use crate::logs::Logs;
use crate::timeline::{History, Timeline, mark};

/// Bounds of the pool.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Instances at once.
    pub max_instances: usize,
    /// How long an idle instance is kept.
    pub idle_timeout: Duration,
    /// From the start of a machine to the function's first question for an event.
    pub boot_timeout: Duration,
}

/// The instances of all functions.
#[derive(Debug)]
pub struct Pool {
    limits: Limits,
    launcher: Arc<dyn Launcher>,
    logs: Arc<Logs>,
    history: Arc<History>,
    inputs: Option<Arc<Inputs>>,
    slots: Arc<Semaphore>,
    instances: Mutex<Instances>,
    released: Notify,
    closed: AtomicBool,
    calls: TaskTracker,
}

#[derive(Debug, Default)]
struct Instances {
    all: Vec<Arc<Instance>>,
    /// Least recently used first.
    idle: Vec<Arc<Instance>>,
}

/// Where a call goes.
enum Place {
    Warm(Arc<Instance>),
    Cold(OwnedSemaphorePermit),
}

impl Pool {
    /// An empty pool. `inputs` fetches what invocations will read; without it nothing is fetched before it is asked for.
    pub fn new(
        limits: Limits,
        launcher: Arc<dyn Launcher>,
        logs: Arc<Logs>,
        history: Arc<History>,
        inputs: Option<Arc<Inputs>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            slots: Arc::new(Semaphore::new(limits.max_instances)),
            limits,
            launcher,
            logs,
            history,
            inputs,
            instances: Mutex::default(),
            released: Notify::new(),
            closed: AtomicBool::new(false),
            calls: TaskTracker::new(),
        })
    }

    /// Runs a call to its end, also if the caller stops waiting.
    pub async fn invoke(
        self: &Arc<Self>,
        call: Call,
        timeline: Timeline,
    ) -> Result<Answer, PoolError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(PoolError::Closed);
        }
        let pool = Arc::clone(self);
        let task = self
            .calls
            .spawn(async move { pool.run(call, timeline).await });
        task.await
            .unwrap_or_else(|error| Err(PoolError::Instance(error.to_string())))
    }

    /// Resolves when an instance may have become free after this was called.
    pub fn released(&self) -> tokio::sync::futures::Notified<'_> {
        self.released.notified()
    }

    /// What fetches inputs, if there is anything.
    pub fn inputs(&self) -> Option<&Inputs> {
        self.inputs.as_deref()
    }

    /// The last invocations.
    pub fn history(&self) -> &Arc<History> {
        &self.history
    }

    /// All instances.
    pub fn list(&self) -> Vec<Arc<Instance>> {
        self.lock().all.clone()
    }

    /// Ends the instance `id`, whatever it is doing. False if there is none.
    pub async fn kill(&self, id: &str) -> bool {
        let instance = self
            .lock()
            .all
            .iter()
            .find(|instance| instance.id == id)
            .cloned();
        match instance {
            Some(instance) => {
                self.discard(&instance).await;
                true
            }
            None => false,
        }
    }

    /// Lets no instance of `name` take another event: the function was replaced or removed.
    pub async fn retire(&self, name: &FunctionName) {
        let idle = {
            let mut instances = self.lock();
            instances
                .all
                .iter()
                .filter(|instance| instance.name == *name)
                .for_each(|instance| instance.retire());
            instances
                .idle
                .extract_if(.., |instance| instance.name == *name)
                .collect::<Vec<_>>()
        };
        if let Some(inputs) = &self.inputs {
            inputs.forget(name);
        }
        for instance in idle {
            self.discard(&instance).await;
        }
    }

    /// Takes no more calls, waits for those that run, at most for `limit`, and ends all instances.
    pub async fn close(&self, limit: Duration) {
        self.closed.store(true, Ordering::Release);
        self.calls.close();
        if tokio::time::timeout(limit, self.calls.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                running = self.calls.len(),
                "giving up invocations that still run"
            );
        }
        let stopping: Vec<_> = self
            .list()
            .into_iter()
            .map(|instance| {
                instance.retire();
                tokio::spawn(async move { instance.stop().await })
            })
            .collect();
        for task in stopping {
            if let Err(error) = task.await {
                tracing::warn!(%error, "an instance was not stopped");
            }
        }
        let mut instances = self.lock();
        instances.idle.clear();
        instances.all.clear();
    }

    /// Finds an instance, or the right to start one.
    async fn place(&self, function: &Arc<Function>) -> Result<Place, PoolError> {
        loop {
            let victim = {
                let mut instances = self.lock();
                if let Some(instance) = instances.take_warm(function) {
                    instance.lease();
                    return Ok(Place::Warm(instance));
                }
                if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
                    return Ok(Place::Cold(slot));
                }
                if instances.idle.is_empty() {
                    return Err(PoolError::Throttled {
                        max: self.limits.max_instances,
                    });
                }
                instances.idle.remove(0)
            };
            self.discard(&victim).await;
        }
    }

    async fn start(
        &self,
        call: &Call,
        slot: OwnedSemaphorePermit,
        timeline: &mut Timeline,
    ) -> Result<Arc<Instance>, PoolError> {
        let log = self.logs.of(&call.name);
        let function = Arc::clone(&call.function);
        // A failed start has given its slot back, which whoever waits for one must hear of.
        let instance = Instance::start(&*self.launcher, call.name.clone(), function, log, slot)
            .await
            .inspect_err(|_| self.released.notify_waiters())?;
        timeline.mark_at(mark::INSTANCE_STARTED, instance.started);
        self.lock().all.push(Arc::clone(&instance));
        Ok(instance)
    }

    /// Makes the instance available for the next call.
    fn release(self: &Arc<Self>, instance: Arc<Instance>) {
        let rest = instance.rest();
        self.lock().idle.push(Arc::clone(&instance));
        self.released.notify_waiters();
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            tokio::select! {
                () = rest.cancelled() => return,
                _ = instance.machine.ended() => {}
                () = pool.grow_old(&instance, &rest) => {}
            }
            // Whoever takes it out of the list decides its fate. If that was somebody else, it may rest there again.
            let mine = {
                let mut instances = pool.lock();
                if rest.is_cancelled() {
                    return;
                }
                let place = instances
                    .idle
                    .iter()
                    .position(|idle| Arc::ptr_eq(idle, &instance));
                place.map(|place| instances.idle.remove(place)).is_some()
            };
            if mine {
                pool.discard(&instance).await;
            }
        });
    }

    /// Resolves when an idle instance should go.
    async fn grow_old(&self, instance: &Instance, rest: &CancellationToken) {
        let limit = Duration::from_secs(instance.function.timeout_s.into());
        if !instance.is_retired() && instance.settle(rest, limit).await {
            tokio::time::sleep(self.limits.idle_timeout).await;
        }
    }

    /// Ends an instance and forgets it.
    async fn discard(&self, instance: &Arc<Instance>) {
        instance.retire();
        {
            let mut instances = self.lock();
            instances.idle.retain(|idle| !Arc::ptr_eq(idle, instance));
        }
        instance.stop().await;
        self.lock().all.retain(|one| !Arc::ptr_eq(one, instance));
        self.released.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Instances> {
        self.instances
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Instances {
    /// The most recently used idle instance of exactly this deployment of the function.
    fn take_warm(&mut self, function: &Arc<Function>) -> Option<Arc<Instance>> {
        let fits = |instance: &Arc<Instance>| {
            Arc::ptr_eq(&instance.function, function) && !instance.is_retired()
        };
        let place = self.idle.iter().rposition(fits)?;
        Some(self.idle.remove(place))
    }
}
