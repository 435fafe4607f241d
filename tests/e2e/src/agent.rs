// SPDX-License-Identifier: Apache-2.0
//! The function: a client of AWS Lambda's runtime API that runs the guest's half of a case for each event.

use std::env;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use ureq::Agent;

use crate::cases;

/// A connection to the runtime API.
pub(crate) struct Runtime {
    agent: Agent,
    base: String,
}

/// An event and the id of its invocation.
struct Invocation {
    id: String,
    event: Value,
}

/// Serves invocations for ever.
///
/// # Errors
/// If the runtime API cannot be reached or answers with an error.
pub(crate) fn serve() -> Result<()> {
    let api = env::var("AWS_LAMBDA_RUNTIME_API").context("AWS_LAMBDA_RUNTIME_API is not set")?;
    if env::var_os("E2E_FAIL_INIT").is_some() {
        let runtime = Runtime::new(&api);
        let report = json!({ "errorType": "Runtime.TestInit", "errorMessage": "asked to fail" });
        runtime.post("runtime/init/error", &report)?;
        anyhow::bail!("asked to fail before the first event");
    }
    let runtime = Runtime::new(&api);
    loop {
        let invocation = runtime.next()?;
        let outcome = run(&invocation.event);
        let (what, body) = match outcome {
            Ok(result) => ("response", result),
            Err(error) => (
                "error",
                json!({ "errorType": "Case.Failed", "errorMessage": format!("{error:#}") }),
            ),
        };
        let twice = invocation.event["answer_twice"] == json!(true);
        let status = runtime.post(
            &format!("runtime/invocation/{}/{what}", invocation.id),
            &body,
        )?;
        ensure!(
            status == 202,
            "the runtime API answered {status} to the {what}"
        );
        if twice {
            let status = runtime.post(
                &format!("runtime/invocation/{}/{what}", invocation.id),
                &body,
            )?;
            eprintln!("agent: the second answer got status {status}");
        }
    }
}

fn run(event: &Value) -> Result<Value> {
    let name = event["case"].as_str().context("the event names no case")?;
    let case = cases::find(name).with_context(|| format!("no case is named {name}"))?;
    (case.guest)(&event["arguments"])
}

impl Runtime {
    fn new(api: &str) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        Self {
            agent,
            base: format!("http://{api}/2018-06-01/"),
        }
    }

    fn next(&self) -> Result<Invocation> {
        let mut response = self
            .agent
            .get(format!("{}runtime/invocation/next", self.base))
            .call()
            .context("no next event")?;
        ensure!(
            response.status() == 200,
            "the runtime API answered {} to next",
            response.status()
        );
        let id = response
            .headers()
            .get("Lambda-Runtime-Aws-Request-Id")
            .context("an event without request id")?;
        let id = id.to_str()?.to_owned();
        let body = response
            .body_mut()
            .with_config()
            .limit(16 << 20)
            .read_to_vec()?;
        Ok(Invocation {
            id,
            event: serde_json::from_slice(&body)?,
        })
    }

    fn post(&self, path: &str, body: &Value) -> Result<u16> {
        let request = self
            .agent
            .post(format!("{}{path}", self.base))
            .content_type("application/json");
        let mut response = request
            .send(body.to_string())
            .with_context(|| format!("cannot post {path}"))?;
        response.body_mut().read_to_vec()?;
        Ok(response.status().as_u16())
    }
}
