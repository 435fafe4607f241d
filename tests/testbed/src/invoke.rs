// SPDX-License-Identifier: Apache-2.0
//! Invocations through AWS Lambda's Invoke API, as any client makes them.

use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use ureq::Agent;

use crate::Testbed;

/// What the Invoke API answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Value of `X-Amz-Function-Error`.
    pub function_error: Option<String>,
    /// Value of `x-amzn-ErrorType`, an error of the API itself.
    pub api_error: Option<String>,
    /// Value of `x-amzn-RequestId`.
    pub request_id: String,
    /// Last part of the function's log.
    pub log: String,
    /// The body; a string if it is no JSON.
    pub payload: Value,
}

impl Reply {
    /// The payload of an invocation that succeeded.
    ///
    /// # Errors
    /// If it did not.
    pub fn success(self) -> Result<Value> {
        anyhow::ensure!(
            self.status == 200 && self.function_error.is_none(),
            "the invocation failed: status {}, error {:?} {:?}, payload {}, log:\n{}",
            self.status,
            self.function_error,
            self.api_error,
            self.payload,
            self.log
        );
        Ok(self.payload)
    }
}

impl Testbed {
    /// Invokes a function and waits for its answer.
    ///
    /// # Errors
    /// Only if there is no answer at all; see [`Reply::success`] for the rest.
    pub fn invoke(&self, function: &str, event: &Value) -> Result<Reply> {
        self.invoke_bytes(function, event.to_string().as_bytes())
    }

    /// Invokes a function with any bytes as its event.
    ///
    /// # Errors
    /// As [`Testbed::invoke`].
    pub fn invoke_bytes(&self, function: &str, event: &[u8]) -> Result<Reply> {
        self.invoke_with(function, event, &[])
    }

    /// The same with headers, by their names and values.
    ///
    /// # Errors
    /// As [`Testbed::invoke`].
    pub fn invoke_with(
        &self,
        function: &str,
        event: &[u8],
        headers: &[(&str, &str)],
    ) -> Result<Reply> {
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            // A little more than the longest invocation, so that it is nexusd who ends one.
            .timeout_global(Some(Duration::from_secs(16 * 60)))
            .build()
            .into();
        let url = format!(
            "http://{}/2015-03-31/functions/{function}/invocations",
            self.invoke_address()
        );
        let mut request = agent.post(&url).header("X-Amz-Log-Type", "Tail");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.send(event).context("no answer from nexusd")?;
        let header = |name: &str| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let log = header("x-amz-log-result")
            .and_then(|log| STANDARD.decode(log).ok())
            .unwrap_or_default();
        let (function_error, api_error) =
            (header("x-amz-function-error"), header("x-amzn-errortype"));
        let request_id = header("x-amzn-requestid").unwrap_or_default();
        let body = response
            .body_mut()
            .with_config()
            .limit(16 << 20)
            .read_to_vec()?;
        let text = String::from_utf8_lossy(&body).into_owned();
        Ok(Reply {
            status: response.status().as_u16(),
            function_error,
            api_error,
            request_id,
            log: String::from_utf8_lossy(&log).into_owned(),
            payload: serde_json::from_str(&text).unwrap_or(Value::String(text)),
        })
    }
}
