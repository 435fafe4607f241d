// SPDX-License-Identifier: Apache-2.0
//! One invocation, as the pool takes it and answers it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nexus_backend::prefetch::Object;
use nexus_backend::writeback::WriteFailed;
use serde_json::json;

use super::launch::LaunchError;
use crate::functions::{Function, FunctionName};

/// An event for a function.
#[derive(Debug, Clone)]
pub struct Call {
    /// A new UUID.
    pub request_id: String,
    /// The function's name.
    pub name: FunctionName,
    /// The function as it is deployed now.
    pub function: Arc<Function>,
    /// The ARN that the function sees.
    pub arn: String,
    /// The X-Ray header.
    pub trace_id: String,
    /// The client's context, as JSON.
    pub client_context: Option<String>,
    /// The event.
    pub payload: Bytes,
    /// Objects that the caller says it will read.
    pub objects: Vec<Object>,
    /// Whether the caller waits and tries again if no instance is free. So that is no outcome, and not recorded.
    pub tried_again: bool,
}

/// What came of a call that reached an instance.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The instance that ran it.
    pub instance: String,
    /// Whether the function failed; the payload is the error then.
    pub error_type: Option<String>,
    /// For the caller.
    pub payload: Bytes,
    /// The last 4 KiB of the invocation's log.
    pub log_tail: Vec<u8>,
}

/// Why a call reached no instance.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// All instances are busy and no more may be started.
    #[error("all {max} instances are busy")]
    Throttled {
        /// `pool.max_instances`.
        max: usize,
    },
    /// The daemon is ending.
    #[error("the service is shutting down")]
    Closed,
    /// No machine could be started.
    #[error("cannot start an instance")]
    Launch(#[from] LaunchError),
    /// The instance did something that it should not be able to do.
    #[error("the instance failed: {0}")]
    Instance(String),
}

/// The type of the error below.
pub(super) const WRITE_FAILED: &str = "Nexus.WriteFailed";

/// The error of an invocation whose function was told that a write was done, which was not.
pub(super) fn write_failed_payload(request_id: &str, failure: &WriteFailed) -> Bytes {
    let message = format!("RequestId: {request_id} Error: {failure}");
    json!({ "errorType": WRITE_FAILED, "errorMessage": message })
        .to_string()
        .into()
}

/// The error of a function that ran out of time, as Lambda words it.
pub(super) fn timeout_payload(request_id: &str, timeout: Duration) -> Bytes {
    let seconds = timeout.as_secs_f64();
    let message =
        format!("RequestId: {request_id} Error: Task timed out after {seconds:.2} seconds");
    json!({ "errorType": "Sandbox.Timedout", "errorMessage": message })
        .to_string()
        .into()
}
