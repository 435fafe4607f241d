// SPDX-License-Identifier: Apache-2.0
//! One Invoke request: from the function's name to the answer in the API's form.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use uuid::Uuid;

use super::error::InvokeError;
use super::request::{self, InvocationType, Options};
use super::server::Ingress;
use crate::functions::{Function, Reference, name::LATEST};
use crate::pool::{Answer, Call};
use crate::timeline::Timeline;
use crate::web::{Body, Response};

/// What was asked, once the head of the request is read and found good.
#[derive(Debug)]
pub(super) struct Invoke {
    pub(super) reference: Reference,
    pub(super) function: Arc<Function>,
    pub(super) options: Options,
}

impl Ingress {
    /// Checks all of a request but its body.
    pub(super) fn check(
        &self,
        request: &http::request::Parts,
        name: &str,
    ) -> Result<Invoke, InvokeError> {
        let mut reference: Reference = name.parse()?;
        if let Some(qualifier) = request::qualifier_of(request.uri.query())? {
            if reference
                .qualifier
                .as_ref()
                .is_some_and(|other| *other != qualifier)
            {
                return Err(InvokeError::Parameter(
                    "the qualifier in the name is not the one in the query".into(),
                ));
            }
            reference.qualifier = Some(qualifier);
        }
        let options = Options::from_headers(&request.headers)?;
        let function = self.registry.get(&reference.name);
        let known = reference
            .qualifier
            .as_deref()
            .is_none_or(|qualifier| qualifier == LATEST);
        match function {
            Some(function) if known => Ok(Invoke {
                reference,
                function,
                options,
            }),
            _ => Err(InvokeError::NotFound(
                reference
                    .name
                    .arn(&self.region, reference.qualifier.as_deref()),
            )),
        }
    }

    /// Runs a checked request with its event.
    pub(super) async fn invoke(
        &self,
        invoke: Invoke,
        event: Bytes,
        request_id: String,
    ) -> Result<Response, InvokeError> {
        let timeline = Timeline::start();
        let payload = request::event(event)?;
        let Invoke {
            reference,
            function,
            options,
        } = invoke;
        let trace_id = options.trace_id.unwrap_or_else(new_trace_id);
        let call = Call {
            request_id,
            arn: reference
                .name
                .arn(&self.region, reference.qualifier.as_deref()),
            name: reference.name,
            function,
            trace_id: trace_id.clone(),
            client_context: options.client_context,
            payload,
            objects: options.objects,
            tried_again: options.invocation_type == InvocationType::Event,
        };
        let mut response = match options.invocation_type {
            InvocationType::DryRun => bare(StatusCode::NO_CONTENT),
            InvocationType::Event => {
                self.events.push(call, timeline)?;
                bare(StatusCode::ACCEPTED)
            }
            InvocationType::RequestResponse => {
                let answer = self.pool.invoke(call, timeline).await?;
                complete(answer, options.log_tail)
            }
        };
        if let Ok(value) = HeaderValue::from_str(&trace_id) {
            response.headers_mut().insert("x-amzn-trace-id", value);
        }
        Ok(response)
    }
}

/// A function's error is a success of the service: status 200, and a header.
fn complete(answer: Answer, log_tail: bool) -> Response {
    let mut response = Response::new(Body::from(answer.payload));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert("x-amz-executed-version", HeaderValue::from_static(LATEST));
    if answer.error_type.is_some() {
        headers.insert(
            "x-amz-function-error",
            HeaderValue::from_static("Unhandled"),
        );
    }
    if let Ok(instance) = HeaderValue::from_str(&answer.instance) {
        headers.insert("x-nexus-instance", instance);
    }
    if log_tail && let Ok(tail) = HeaderValue::from_str(&STANDARD.encode(&answer.log_tail)) {
        headers.insert("x-amz-log-result", tail);
    }
    response
}

fn bare(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A trace that is not sampled, in X-Ray's form.
fn new_trace_id() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let random = Uuid::new_v4().simple().to_string();
    let parent = Uuid::new_v4().simple().to_string();
    format!(
        "Root=1-{seconds:08x}-{};Parent={};Sampled=0",
        &random[..24],
        &parent[..16]
    )
}
