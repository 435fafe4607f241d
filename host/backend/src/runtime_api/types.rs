// SPDX-License-Identifier: Apache-2.0
//! What goes in and out of the runtime API on the host's side.

use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::de::IgnoredAny;
use serde_json::json;

use super::state::Event;

const REQUEST_ID: HeaderName = HeaderName::from_static("lambda-runtime-aws-request-id");
const FUNCTION_ARN: HeaderName = HeaderName::from_static("lambda-runtime-invoked-function-arn");
const DEADLINE: HeaderName = HeaderName::from_static("lambda-runtime-deadline-ms");
const TRACE_ID: HeaderName = HeaderName::from_static("lambda-runtime-trace-id");
const CLIENT_CONTEXT: HeaderName = HeaderName::from_static("lambda-runtime-client-context");

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
        Self {
            response_bytes: 6 * 1024 * 1024 + 100,
            head_bytes: 1280 * 1024,
        }
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
    /// The invocation cannot be put into the runtime API's headers.
    #[error("{field} cannot be handed to a runtime: {reason}")]
    Invalid {
        /// What is wrong.
        field: &'static str,
        /// Why.
        reason: String,
    },
}

impl ExitReason {
    /// The process left with this status.
    pub fn exited(code: i32) -> Self {
        let text = match code {
            0 => "Runtime exited without providing a reason".to_owned(),
            code => format!("Runtime exited with error: exit status {code}"),
        };
        Self {
            text,
            code: Some(code),
            signal: None,
        }
    }

    /// This signal ended the process.
    pub fn signaled(signal: i32) -> Self {
        let name = match signal {
            libc::SIGABRT => "aborted".to_owned(),
            libc::SIGBUS => "bus error".to_owned(),
            libc::SIGFPE => "floating point exception".to_owned(),
            libc::SIGILL => "illegal instruction".to_owned(),
            libc::SIGKILL => "killed".to_owned(),
            libc::SIGSEGV => "segmentation fault".to_owned(),
            libc::SIGTERM => "terminated".to_owned(),
            other => other.to_string(),
        };
        Self {
            text: format!("Runtime exited with error: signal: {name}"),
            code: None,
            signal: Some(signal),
        }
    }
}

/// The error that a caller gets when the function's process ended without a report, in Lambda's words.
pub fn exit_error_payload(request_id: &str, reason: &ExitReason) -> Bytes {
    error_payload(
        "Runtime.ExitError",
        &format!("RequestId: {request_id} Error: {reason}"),
    )
}

/// An error in the form in which runtimes report theirs.
pub(super) fn error_payload(error_type: &str, message: &str) -> Bytes {
    json!({ "errorType": error_type, "errorMessage": message })
        .to_string()
        .into()
}

/// What the runtime gets for `invocation`.
pub(super) fn event(invocation: Invocation) -> Result<Event, RuntimeError> {
    let since_epoch = invocation
        .deadline
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(
        REQUEST_ID,
        header("the request id", &invocation.request_id)?,
    );
    headers.insert(
        FUNCTION_ARN,
        header("the function's ARN", &invocation.function_arn)?,
    );
    headers.insert(
        DEADLINE,
        since_epoch
            .as_millis()
            .to_string()
            .parse()
            .map_err(|e| invalid("the deadline", e))?,
    );
    if let Some(trace_id) = &invocation.trace_id {
        headers.insert(TRACE_ID, header("the trace id", trace_id)?);
    }
    if let Some(context) = &invocation.client_context {
        let field = "the client context";
        serde_json::from_str::<IgnoredAny>(context).map_err(|e| invalid(field, e))?;
        // In valid JSON, control characters are white space between tokens.
        headers.insert(
            CLIENT_CONTEXT,
            header(field, &context.replace(|c: char| c.is_ascii_control(), " "))?,
        );
    }
    Ok(Event {
        request_id: invocation.request_id,
        headers,
        payload: invocation.payload,
    })
}

fn header(field: &'static str, text: &str) -> Result<HeaderValue, RuntimeError> {
    HeaderValue::from_bytes(text.as_bytes()).map_err(|e| invalid(field, e))
}

fn invalid(field: &'static str, reason: impl fmt::Display) -> RuntimeError {
    RuntimeError::Invalid {
        field,
        reason: reason.to_string(),
    }
}
