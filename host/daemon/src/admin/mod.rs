// SPDX-License-Identifier: Apache-2.0
//! The admin API: JSON over HTTP/1.1 on a Unix socket that only its owner may open.
//!
//! | method and path | answer |
//! |---|---|
//! | `GET /v1/status` | version, addresses, numbers |
//! | `GET /v1/functions` | all functions |
//! | `GET`, `PUT`, `DELETE /v1/functions/NAME` | one function |
//! | `GET /v1/functions/NAME/logs[?follow=true]` | what it printed, as text |
//! | `GET /v1/instances` | all instances |
//! | `DELETE /v1/instances/ID` | ends one |
//! | `GET /v1/invocations/ID` | the timeline of one of the last invocations |
//! | `POST /v1/local` | turns into a connection that [`crate::local`] describes |
//! | `POST /2015-03-31/functions/NAME/invocations` | the Invoke API |
//!
//! An error is `{"error": "..."}` with a fitting status.

mod error;
mod functions;
mod instances;
mod local;
mod logs;
mod memory;
pub mod socket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderValue, Method, StatusCode, header};
use hyper::Request;
use hyper::body::Incoming;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::functions::{Registry, Stores};
use crate::ingress::Ingress;
use crate::local::Local;
use crate::logs::Logs;
use crate::pool::Pool;
use crate::timeline::History;
use crate::web::{Body, Handler, Response, body};
use error::AdminError;

/// Largest description of a function, in bytes.
const DESCRIPTION_MAX: usize = 256 * 1024;

/// The admin API.
#[derive(Debug)]
pub struct Admin {
    /// The functions.
    pub registry: Arc<Registry>,
    /// The instances.
    pub pool: Arc<Pool>,
    /// What functions print.
    pub logs: Arc<Logs>,
    /// The last invocations.
    pub history: Arc<History>,
    /// The Invoke API, answered here as well.
    pub ingress: Arc<Ingress>,
    /// Where the Invoke API listens.
    pub invoke_address: SocketAddr,
    /// Where the embedded object store listens.
    pub store_address: Option<SocketAddr>,
    /// Where functions are told to be.
    pub region: String,
    /// Stores that policies may speak of.
    pub stores: Stores,
    /// What programs outside VMs are given.
    pub local: Option<Local>,
    /// When the daemon started.
    pub started: Instant,
    /// Cancelled when the daemon ends: nobody follows a log any longer.
    pub stop: CancellationToken,
}

impl Handler for Admin {
    async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Response {
        if request.uri().path().starts_with("/2015-03-31/") {
            return Arc::clone(&self.ingress).handle(request).await;
        }
        self.route(request)
            .await
            .unwrap_or_else(|error| error.response())
    }
}

impl Admin {
    async fn route(&self, request: Request<Incoming>) -> Result<Response, AdminError> {
        let path = request.uri().path().to_owned();
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let method = request.method().clone();
        match (&method, parts.as_slice()) {
            (&Method::GET, ["v1", "status"]) => Ok(self.status()),
            (&Method::GET, ["v1", "functions"]) => Ok(self.list_functions()),
            (&Method::GET, ["v1", "functions", name]) => self.get_function(name),
            (&Method::PUT, ["v1", "functions", name]) => {
                self.put_function(name, request.into_body()).await
            }
            (&Method::DELETE, ["v1", "functions", name]) => self.delete_function(name).await,
            (&Method::GET, ["v1", "functions", name, "logs"]) => {
                self.function_logs(name, request.uri().query())
            }
            (&Method::GET, ["v1", "instances"]) => Ok(self.list_instances().await),
            (&Method::DELETE, ["v1", "instances", id]) => self.delete_instance(id).await,
            (&Method::GET, ["v1", "invocations", id]) => self.invocation(id),
            (&Method::POST, ["v1", "local"]) => self.serve_local(request).await,
            _ => Err(AdminError::NotFound(format!("there is no {method} {path}"))),
        }
    }

    fn status(&self) -> Response {
        let own = memory::of_process(std::process::id());
        json_response(&json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "uptime_s": self.started.elapsed().as_secs(),
            "region": self.region,
            "invoke": self.invoke_address,
            "store": self.store_address,
            "functions": self.registry.list().len(),
            "instances": self.pool.list().len(),
            "memory": own,
        }))
    }

    fn invocation(&self, id: &str) -> Result<Response, AdminError> {
        let record = self.history.get(id);
        record
            .map(|record| json_response(&*record))
            .ok_or_else(|| AdminError::NotFound(format!("no invocation {id} is remembered")))
    }
}

/// The value that a request's body describes.
async fn read_json<T: DeserializeOwned>(mut body: Incoming) -> Result<T, AdminError> {
    let text = body::read(&mut body, DESCRIPTION_MAX)
        .await
        .map_err(|error| AdminError::Invalid(error.to_string()))?;
    let Ok(text) = text else {
        body::discard(&mut body).await;
        return Err(AdminError::Invalid(format!(
            "a function is described in at most {DESCRIPTION_MAX} bytes"
        )));
    };
    serde_json::from_slice(&text)
        .map_err(|error| AdminError::Invalid(format!("the function's description: {error}")))
}

/// A value as the answer.
fn json_response(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(text) => typed("application/json", Body::from(text)),
        Err(error) => AdminError::Internal(error.to_string()).response(),
    }
}

fn typed(content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Success with nothing to say.
fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
