// SPDX-License-Identifier: Apache-2.0
//! The Invoke API's errors: status, code and body of AWS's `rest-json` protocol.

use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use crate::functions::NameError;
use crate::pool::PoolError;
use crate::web::{Body, Response};

/// Largest event of a synchronous call, in bytes.
pub const PAYLOAD_MAX: usize = 6 * 1024 * 1024;

/// Largest event of an asynchronous call, in bytes.
pub const EVENT_MAX: usize = 1024 * 1024;

/// Why an invocation was not run, or not to its end, for a reason that is not the function's.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// There is no such function, version or alias.
    #[error("Function not found: {0}")]
    NotFound(String),
    /// A parameter makes no sense.
    #[error("{0}")]
    Parameter(String),
    /// The event is no JSON.
    #[error("Could not parse request body into json: {0}")]
    Content(String),
    /// The event is too large.
    #[error("Request must be smaller than {0} bytes for the InvokeFunction operation")]
    TooLarge(usize),
    /// No instance is free.
    #[error("Rate Exceeded: {0}")]
    Throttled(String),
    /// The request is for something else.
    #[error("Unable to determine service/operation name to be authorized")]
    Operation,
    /// The function's machine cannot be started.
    #[error("{0}")]
    Runtime(String),
    /// A mistake of the service.
    #[error("{0}")]
    Service(String),
}

impl InvokeError {
    /// The name that SDKs know the error by.
    pub fn code(&self) -> &'static str {
        self.form().1
    }

    fn form(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "ResourceNotFoundException"),
            Self::Parameter(_) => (StatusCode::BAD_REQUEST, "InvalidParameterValueException"),
            Self::Content(_) => (StatusCode::BAD_REQUEST, "InvalidRequestContentException"),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException"),
            Self::Throttled(_) => (StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException"),
            Self::Operation => (StatusCode::FORBIDDEN, "AccessDeniedException"),
            Self::Runtime(_) => (StatusCode::BAD_GATEWAY, "InvalidRuntimeException"),
            Self::Service(_) => (StatusCode::INTERNAL_SERVER_ERROR, "ServiceException"),
        }
    }

    /// The answer for the client.
    pub fn response(&self) -> Response {
        let (status, code) = self.form();
        let message = self.to_string();
        let kind = if status.is_client_error() {
            "User"
        } else {
            "Server"
        };
        // The API model spells the member differently from error to error.
        let body = match self {
            Self::NotFound(_) | Self::Runtime(_) | Self::Service(_) => {
                json!({ "Type": kind, "Message": message })
            }
            Self::Throttled(_) => {
                json!({ "Type": kind, "message": message, "Reason": "ConcurrentInvocationLimitExceeded" })
            }
            _ => json!({ "Type": kind, "message": message }),
        };
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert("x-amzn-errortype", HeaderValue::from_static(code));
        if matches!(self, Self::Throttled(_)) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<NameError> for InvokeError {
    fn from(error: NameError) -> Self {
        Self::Parameter(error.to_string())
    }
}

impl From<PoolError> for InvokeError {
    fn from(error: PoolError) -> Self {
        match &error {
            PoolError::Throttled { .. } => Self::Throttled(error.to_string()),
            PoolError::Launch(source) => Self::Runtime(chain(source)),
            PoolError::Closed | PoolError::Instance(_) => Self::Service(error.to_string()),
        }
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{InvokeError, PAYLOAD_MAX};
    use crate::pool::PoolError;
    use crate::pool::launch::LaunchError;

    #[test]
    fn each_error_has_the_status_and_code_of_the_api_model() {
        let spawn = LaunchError::Spawn {
            program: "/usr/lib/nexus/nexus-vmm".into(),
            source: io::Error::from(io::ErrorKind::PermissionDenied),
        };
        for (error, status, code) in [
            (
                InvokeError::NotFound("f".into()),
                404,
                "ResourceNotFoundException",
            ),
            (
                InvokeError::Content("x".into()),
                400,
                "InvalidRequestContentException",
            ),
            (
                InvokeError::TooLarge(PAYLOAD_MAX),
                413,
                "RequestTooLargeException",
            ),
            (
                PoolError::Throttled { max: 1 }.into(),
                429,
                "TooManyRequestsException",
            ),
            (
                PoolError::Launch(spawn).into(),
                502,
                "InvalidRuntimeException",
            ),
            (PoolError::Closed.into(), 500, "ServiceException"),
        ] {
            let response = error.response();
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()["x-amzn-errortype"], code);
        }
    }

    #[test]
    fn a_launch_error_tells_its_cause_once() {
        let spawn = LaunchError::Spawn {
            program: "nexus-vmm".into(),
            source: io::Error::from(io::ErrorKind::PermissionDenied),
        };
        let error = InvokeError::from(PoolError::Launch(spawn));
        assert_eq!(
            error.to_string(),
            "cannot start nexus-vmm: permission denied"
        );
    }
}
