// SPDX-License-Identifier: Apache-2.0
//! AWS Lambda's runtime API (2018-06-01), answered inside the process: one [`RuntimeApi`] for one VM.
//!
//! The runtime in the guest asks for events and posts outcomes over HTTP; the daemon hands events over with
//! [`RuntimeApi::invoke`]. An instance takes one invocation at a time. Everything that a runtime may rely on was taken
//! from what AWS's own runtimes and its runtime interface emulator do:
//!
//! - `next` always carries a Content-Type, exactly `application/json`: the clients of Python and Node crash without it.
//! - Nothing times out: a runtime may wait for its next event as long as the VM lives.
//! - `next` while an event is out gives the same event again, since a runtime may lose its connection.

mod answer;
mod server;
mod state;
#[cfg(test)]
mod tests;
mod types;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{oneshot, watch};

use self::state::State;
pub use self::types::{
    ExitReason, Invocation, Outcome, RuntimeError, RuntimeLimits, exit_error_payload,
};
use crate::service::{Service, ServiceStream, Serving};

/// Names of the moments in [`RuntimeApi::marks`].
pub mod mark {
    /// The runtime asked for its first event.
    pub const INITIALISED: &str = "initialised";
    /// The daemon handed an event over.
    pub const HANDED_OVER: &str = "handed over";
    /// The runtime's `next` was answered with it.
    pub const TAKEN: &str = "taken";
    /// The first of the response or error arrived.
    pub const ANSWER_BEGINS: &str = "answer begins";
    /// The response or error is complete.
    pub const ANSWERED: &str = "answered";
}

/// The runtime API of one VM.
#[derive(Debug)]
pub struct RuntimeApi {
    limits: RuntimeLimits,
    state: Mutex<State>,
    /// Tells those who wait for a state that it may be there.
    changes: watch::Sender<()>,
}

impl RuntimeApi {
    /// A runtime API whose runtime has yet to start.
    pub fn new(limits: RuntimeLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            state: Mutex::new(State::new()),
            changes: watch::Sender::new(()),
        })
    }

    /// Resolves when the runtime asked for its first event. Fails if it reported that it cannot start, or is gone.
    pub async fn initialised(&self) -> Result<(), RuntimeError> {
        self.until(|state| match state.failure() {
            Some(failure) => Some(Err(failure.clone())),
            None => state.initialised().then_some(Ok(())),
        })
        .await
    }

    /// Hands one invocation to the runtime and waits for its outcome.
    ///
    /// It need not wait for an event yet: it gets this one when it asks. Dropping the future abandons the invocation;
    /// since nobody knows what the function is doing then, the instance takes no other.
    pub async fn invoke(&self, invocation: Invocation) -> Result<Outcome, RuntimeError> {
        let event = Arc::new(types::event(invocation)?);
        let (sender, receiver) = oneshot::channel();
        self.modify(|state| state.begin(event.clone(), sender))?;
        let _abandon = OnDrop(|| self.modify(|state| state.end(&event.request_id)));
        match receiver.await {
            Ok(outcome) => Ok(outcome),
            Err(_) => Err(self
                .state()
                .failure()
                .cloned()
                .unwrap_or(RuntimeError::Abandoned)),
        }
    }

    /// Whether a `next` is outstanding and no event is there for it. Then the vCPUs have nothing to do.
    pub fn waiting(&self) -> bool {
        self.state().waiting()
    }

    /// Resolves when [`Self::waiting`] holds. Never, if the runtime is gone: race it against something that fails then.
    pub async fn wait_until_waiting(&self) {
        self.until(|state| state.waiting().then_some(())).await;
    }

    /// Fails the current invocation and all later ones: the function's process or its VM is gone. If the runtime said
    /// before why it cannot start, that remains the reason.
    pub fn fail(&self, reason: ExitReason) {
        self.modify(|state| state.fail(RuntimeError::Exited(reason)));
    }

    /// What happened when: the start of the runtime, and the steps of the latest invocation. Names are in [`mark`].
    pub fn marks(&self) -> Vec<(&'static str, Instant)> {
        self.state().marks().to_vec()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No change of the state can stop half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn modify<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        self.changes.send_replace(());
        result
    }

    async fn until<T>(&self, mut ready: impl FnMut(&mut State) -> Option<T>) -> T {
        let mut changes = self.changes.subscribe();
        loop {
            if let Some(value) = ready(&mut self.state()) {
                return value;
            }
            if changes.changed().await.is_err() {
                // Cannot be: the sender is in `self`, which outlives this.
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Service for RuntimeApi {
    fn serve(self: Arc<Self>, stream: ServiceStream) -> Serving {
        Box::pin(server::serve(self, stream))
    }
}

/// Runs something when a future is done or dropped.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
