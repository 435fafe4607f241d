// SPDX-License-Identifier: Apache-2.0
//! Routes of the Invoke API.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderValue, Method};
use hyper::Request;
use hyper::body::Incoming;
use uuid::Uuid;

use super::error::{EVENT_MAX, InvokeError, PAYLOAD_MAX};
use super::events::EventQueue;
use super::request::{InvocationType, function_of};
use crate::functions::Registry;
use crate::pool::Pool;
use crate::web::{Handler, Response, body};

/// The Invoke API.
#[derive(Debug)]
pub struct Ingress {
    pub(super) registry: Arc<Registry>,
    pub(super) pool: Arc<Pool>,
    pub(super) events: EventQueue,
    pub(super) region: String,
}

impl Ingress {
    /// Invokes the functions of `registry` on `pool`; their ARNs name `region`.
    pub fn new(
        registry: Arc<Registry>,
        pool: Arc<Pool>,
        events: EventQueue,
        region: String,
    ) -> Arc<Self> {
        Arc::new(Self {
            registry,
            pool,
            events,
            region,
        })
    }

    async fn answer(
        &self,
        head: &Parts,
        body: &mut Incoming,
        request_id: &str,
    ) -> Result<Response, InvokeError> {
        let name = match function_of(head.uri.path()) {
            Some(name) if head.method == Method::POST => name?,
            _ => return Err(InvokeError::Operation),
        };
        let invoke = self.check(head, &name)?;
        let limit = match invoke.options.invocation_type {
            InvocationType::Event => EVENT_MAX,
            InvocationType::RequestResponse | InvocationType::DryRun => PAYLOAD_MAX,
        };
        let event = body::read(body, limit)
            .await
            .map_err(|error| InvokeError::Content(error.to_string()))?
            .map_err(|body::TooLarge| InvokeError::TooLarge(limit))?;
        self.invoke(invoke, event, request_id.to_owned()).await
    }
}

impl Handler for Ingress {
    async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Response {
        let request_id = Uuid::new_v4().to_string();
        let (head, mut body) = request.into_parts();
        let mut response = match self.answer(&head, &mut body, &request_id).await {
            Ok(response) => response,
            Err(error) => {
                tracing::debug!(request = request_id, %error, "request refused");
                body::discard(&mut body).await;
                error.response()
            }
        };
        if let Ok(value) = HeaderValue::from_str(&request_id) {
            response.headers_mut().insert("x-amzn-requestid", value);
        }
        response
    }
}
