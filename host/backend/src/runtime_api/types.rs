// SPDX-License-Identifier: Apache-2.0
//! What goes in and out of the runtime API on the host's side.

use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use serde_json::json;

/// Bounds on what a runtime may send.
#[derive(Debug, Clone)]
pub struct RuntimeLimits {
    /// Largest response or error, in bytes. Lambda's is 6 MiB and 100 bytes.
    pub response_bytes: usize,
    /// Largest head of a request, in bytes. The X-Ray cause alone may have 1 MiB.
    pub head_bytes: usize,
}

impl Default for RuntimeLimits {
    fn default() -> Self {
        Self { response_bytes: 6 * 1024 * 1024 + 100, head_bytes: 1280 * 1024 }
    }
}

/// One event for the function.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// A UUID: runtimes put it into paths, some without escaping it.
    pub request_id: String,
    /// The function's ARN, with the alias or version that was asked for.
    pub function_arn: String,
    /// When the invocation times out.
    pub deadline: SystemTime,
    /// The X-Ray header (`Root=…;Parent=…;Sampled=…`).
    pub trace_id: Option<String>,
    /// The client's context: JSON text, no longer base64.
    pub client_context: Option<String>,
    /// The event.
    pub payload: Bytes,
}

/// What the function made of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The handler returned.
    Response {
        /// The result, as the runtime sent it.
        payload: Bytes,
        /// The runtime's Content-Type.
        content_type: Option<String>,
    },
    /// The handler failed, or its result cannot be delivered.
    Error {
        /// `Runtime.Name` or `Function.Name`, if the runtime gave one.
        error_type: Option<String>,
        /// The error for the caller: JSON with `errorMessage` and `errorType`, as the runtime sent it.
        payload: Bytes,
    },
}

/// How the function's process ended, or why it never ran.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExitReason {
    /// For people: what happened.
    pub text: String,
    /// The exit status, if it exited.
    pub code: Option<i32>,
    /// The signal, if one ended it.
    pub signal: Option<i32>,
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why there is no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    /// The runtime reported that it cannot start the function.
    #[error("the runtime cannot start the function ({error_type})", error_type = error_type.as_deref().unwrap_or("no error type"))]
    Init {
        /// `Runtime.Name` or `Function.Name`.
        error_type: Option<String>,
        /// The error for the caller: JSON with `errorMessage` and `errorType`.
        payload: Bytes,
    },
    /// The function's process or its VM ended.
    #[error("the function's process is gone: {0}")]
    Exited(ExitReason),
    /// The instance already has an invocation; it takes one at a time.
    #[error("the instance already runs an invocation: use another instance, or wait")]
    Busy,
    /// An earlier invocation was given up half way: nobody knows what the function is doing.
    #[error("the instance gave up an earlier invocation: discard it")]
    Abandoned,
}

/// The error that a caller gets when the function's process ended without a report.
pub fn exit_error_payload(request_id: &str, reason: &ExitReason) -> Bytes {
    let message = format!("RequestId: {request_id} Error: {reason}");
    json!({ "errorType": "Runtime.ExitError", "errorMessage": message }).to_string().into()
}
