// SPDX-License-Identifier: Apache-2.0
//! Connections to services: TCP and TLS, kept for the next request.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{HttpConnector, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connector::{self, Bulk, ByRecords, Connector, Used};
use super::upstream::{Body, Carrier, Carrying, GatewayError, Unanswered};

/// A connection that nobody used for this time is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Idle connections kept for each service.
const MAX_IDLE: usize = 64;

/// Most headers of an answer.
const HEADERS_MAX: usize = 256;

/// The network.
pub(super) struct Network(Client<ByRecords<HttpsConnector<Connector>>, Body>);

impl Network {
    /// Connections that take at most `connect_timeout` to make. Those over TLS need the host's certificate authorities; without any, it is
    /// an error if `tls` is sure to be needed.
    pub(super) fn new(connect_timeout: Duration, tls: bool) -> Result<Self, GatewayError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(connect_timeout));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls_config(tls)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(Connector::new(tcp));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE)
            .http1_max_buf_size(connector::HYPER)
            .http1_max_headers(HEADERS_MAX)
            .build(ByRecords::new(connector));
        Ok(Self(client))
    }
}

impl Carrier for Network {
    fn carry(&self, mut request: Request<Body>) -> Carrying {
        let connection = capture_connection(&mut request);
        let answer = self.0.request(request);
        Box::pin(async move {
            let answer = answer.await;
            let used = connection.connection_metadata().as_ref().and_then(Used::of);
            match answer {
                Ok(response) => {
                    used.inspect(Used::note);
                    if let (Some(length), Some(bulk)) = (
                        response.body().size_hint().exact(),
                        response.extensions().get::<Bulk>(),
                    ) {
                        bulk.expect(length);
                    }
                    Ok(response.map(|body| body.map_err(Into::into).boxed_unsync()))
                }
                Err(error) => Err(Unanswered {
                    sent: !error.is_connect(),
                    kept: used.is_some_and(|used| used.is_noted()) && is_lost(&error),
                    source: error.into(),
                }),
            }
        })
    }
}

/// Whether an error is that the other end is gone.
fn is_lost(error: &(dyn StdError + 'static)) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};

    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<hyper::Error>()
            && (error.is_incomplete_message() || error.is_closed())
        {
            return true;
        }
        if let Some(error) = error.downcast_ref::<io::Error>()
            && matches!(
                error.kind(),
                BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
            )
        {
            return true;
        }
        cause = error.source();
    }
    false
}

fn tls_config(needed: bool) -> Result<rustls::ClientConfig, GatewayError> {
    let tls = |e: &dyn fmt::Display| GatewayError::Tls(e.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| tls(&e))?;
    let builder = match builder.clone().with_native_roots() {
        Ok(builder) => builder,
        Err(error) if needed => return Err(tls(&error)),
        // Only services that no endpoint is configured for would need them: AWS's own, whose calls then fail.
        Err(_) => builder.with_root_certificates(rustls::RootCertStore::empty()),
    };
    Ok(builder.with_no_client_auth())
}
