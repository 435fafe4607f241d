// SPDX-License-Identifier: Apache-2.0
//! AWS Lambda's runtime API (2018-06-01), answered inside the process: one [`RuntimeApi`] for one VM.

mod types;

use std::sync::Arc;
use std::time::Instant;

pub use self::types::{exit_error_payload, ExitReason, Invocation, Outcome, RuntimeError, RuntimeLimits};
use crate::service::{Service, ServiceStream, Serving};

/// The runtime API of one VM.
#[derive(Debug)]
pub struct RuntimeApi {}

impl RuntimeApi {
    /// A runtime API whose runtime has yet to start.
    pub fn new(_limits: RuntimeLimits) -> Arc<Self> {
        todo!()
    }

    /// Resolves when the runtime asked for its first event, or cannot start.
    pub async fn initialised(&self) -> Result<(), RuntimeError> {
        todo!()
    }

    /// Hands one invocation to the runtime and waits for its outcome.
    pub async fn invoke(&self, _invocation: Invocation) -> Result<Outcome, RuntimeError> {
        todo!()
    }

    /// Whether the runtime waits for an event.
    pub fn waiting(&self) -> bool {
        todo!()
    }

    /// Resolves when the runtime waits for an event.
    pub async fn wait_until_waiting(&self) {
        todo!()
    }

    /// Fails the current invocation and all later ones: the function's process or its VM is gone.
    pub fn fail(&self, _reason: ExitReason) {
        todo!()
    }

    /// What happened when, since the last invocation was handed over.
    pub fn marks(&self) -> Vec<(&'static str, Instant)> {
        todo!()
    }
}

impl Service for RuntimeApi {
    fn serve(self: Arc<Self>, _stream: ServiceStream) -> Serving {
        todo!()
    }
}
