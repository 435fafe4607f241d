// SPDX-License-Identifier: Apache-2.0
//! What init asks for before it starts the function, and where it reports how the function's process ended.
//!
//! `GET /2026-11-01/boot` answers the VM's [`BootConfig`] as JSON, with `clock_ns` added; `POST /2026-11-01/exit` takes
//! a [`ProcessExit`] as JSON.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::service::{Service, ServiceStream, Serving};

/// Largest report that init may send, in bytes.
const MAX_REPORT: usize = 16 * 1024;

/// What init does in the VM.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootConfig {
    /// Variables to set for the function, over those of the image.
    pub env: BTreeMap<String, String>,
    /// Replaces the image's command, if given.
    pub command: Option<Vec<String>>,
    /// Replaces the image's entry point, if given.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's working directory, if given.
    pub cwd: Option<String>,
    /// The host name that the function sees.
    pub hostname: String,
    /// A certificate that the function's SDKs are to trust, as PEM: that of the gateway under services' own names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
}

/// The answer to init's question.
#[derive(Debug, Serialize)]
struct BootAnswer<'a> {
    #[serde(flatten)]
    config: &'a BootConfig,
    /// The host's clock now, in nanoseconds since 1970. A VM has no better source.
    clock_ns: u64,
}

/// How the function's process ended, as init saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum ProcessExit {
    /// It left by itself.
    Exited {
        /// With this status.
        code: i32,
    },
    /// A signal ended it.
    Signaled {
        /// The signal's number.
        #[serde(rename = "code")]
        signal: i32,
    },
    /// It could not be started.
    Failed {
        /// Why.
        error: String,
    },
}

/// Serves init. One value serves one VM.
#[derive(Debug)]
pub struct BootService {
    config: BootConfig,
    booted_at: OnceLock<Instant>,
    exit: watch::Sender<Option<ProcessExit>>,
}

impl BootService {
    /// A service that gives `config` to init.
    pub fn new(config: BootConfig) -> Arc<Self> {
        Arc::new(Self {
            config,
            booted_at: OnceLock::new(),
            exit: watch::Sender::new(None),
        })
    }

    /// Resolves when init reported the end of the function's process. The first report counts.
    pub async fn exited(&self) -> ProcessExit {
        let mut reports = self.exit.subscribe();
        let report = reports
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|report| report.clone());
        match report {
            Some(exit) => exit,
            // Cannot be: the sender is in `self`, which outlives this.
            None => std::future::pending().await,
        }
    }

    /// When init first asked for its configuration.
    pub fn booted_at(&self) -> Option<Instant> {
        self.booted_at.get().copied()
    }

    async fn route(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/2026-11-01/boot") => self.boot(),
            (&Method::POST, "/2026-11-01/exit") => self.exit(request.into_body()).await,
            (_, "/2026-11-01/boot" | "/2026-11-01/exit") => {
                reply(StatusCode::METHOD_NOT_ALLOWED, "")
            }
            _ => reply(
                StatusCode::NOT_FOUND,
                "no such path; there are /2026-11-01/boot and /2026-11-01/exit\n",
            ),
        }
    }

    fn boot(&self) -> Response<Full<Bytes>> {
        self.booted_at.get_or_init(Instant::now);
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let clock_ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        match serde_json::to_vec(&BootAnswer {
            config: &self.config,
            clock_ns,
        }) {
            Ok(json) => {
                let mut reply = Response::new(Full::new(json.into()));
                reply
                    .headers_mut()
                    .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                reply
            }
            Err(error) => reply(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        }
    }

    async fn exit(&self, body: Incoming) -> Response<Full<Bytes>> {
        let report = match Limited::new(body, MAX_REPORT).collect().await {
            Ok(report) => report.to_bytes(),
            Err(error) => return reply(StatusCode::PAYLOAD_TOO_LARGE, format!("{error}\n")),
        };
        match serde_json::from_slice(&report) {
            Ok(exit) => {
                self.exit.send_if_modified(|first| {
                    let is_first = first.is_none();
                    first.get_or_insert(exit);
                    is_first
                });
                reply(StatusCode::NO_CONTENT, "")
            }
            Err(error) => reply(
                StatusCode::BAD_REQUEST,
                format!("not a report of an exit: {error}\n"),
            ),
        }
    }
}

impl Service for BootService {
    fn serve(self: Arc<Self>, stream: ServiceStream) -> Serving {
        let service = service_fn(move |request| {
            let boot = self.clone();
            async move { Ok::<_, Infallible>(boot.route(request).await) }
        });
        Box::pin(async move {
            if let Err(error) = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await
            {
                tracing::debug!(%error, "a connection of init broke");
            }
        })
    }
}

fn reply(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut reply = Response::new(Full::new(text.into()));
    *reply.status_mut() = status;
    reply
}
