// SPDX-License-Identifier: Apache-2.0
//! Connections to services: TCP and TLS, kept for the next request.

use std::error::Error as StdError;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{Request, Response, Uri, Version};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::Builder;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::{Connection as _, HttpConnector};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use tower_service::Service as _;

use super::connector::{self, Bulk, ByRecords, Connector};
use super::pool::{Link, Origin, Pool};
use super::upstream::{Body, BodyError, Carrier, Carrying, GatewayError, Unanswered};

/// How long a connection may be in the making that nobody waits for any more.
const CONNECTING_MAX: Duration = Duration::from_secs(10);

/// Most headers of an answer.
const HEADERS_MAX: usize = 256;

/// The network.
pub(super) struct Network(Arc<Inner>);

struct Inner {
    connector: ByRecords<HttpsConnector<Connector>>,
    http: Builder,
    pool: Pool,
}

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
        let mut http = Builder::new();
        http.max_buf_size(connector::HYPER).max_headers(HEADERS_MAX);
        Ok(Self(Arc::new(Inner {
            connector: ByRecords::new(connector),
            http,
            pool: Pool::default(),
        })))
    }
}

impl Carrier for Network {
    fn carry(&self, request: Request<Body>) -> Carrying {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.carry(request).await })
    }
}

impl Inner {
    /// Carries a request whose URI has scheme and authority, over a connection that is there or a new one.
    async fn carry(
        self: Arc<Self>,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, Unanswered> {
        let origin = to_origin_form(&mut request)?;
        loop {
            let (mut link, is_kept) = self.link(&origin).await.map_err(not_sent)?;
            let mut error = match link.sender.try_send_request(request).await {
                Ok(response) => return Ok(self.answer(response, link, origin)),
                Err(error) => error,
            };
            match error.take_message() {
                // It was closed, which nobody had seen: as if it had not been there.
                Some(unsent) if is_kept => request = unsent,
                unsent => {
                    let error = error.into_error();
                    return Err(Unanswered {
                        sent: unsent.is_none(),
                        kept: is_kept && is_lost(&error),
                        source: error.into(),
                    });
                }
            }
        }
    }

    /// A connection, and whether it was there: a new one is made only until another is free.
    async fn link(self: &Arc<Self>, origin: &Origin) -> Result<(Link, bool), BodyError> {
        if let Some(link) = self.pool.take(origin) {
            return Ok((link, true));
        }
        let mut freed = self.pool.next(origin);
        let connecting = tokio::spawn(Arc::clone(self).connect(origin.clone()));
        let mut connecting = AbortOnDropHandle::new(connecting);
        tokio::select! {
            biased;
            Ok(link) = &mut freed => {
                let (pool, origin) = (self.pool.clone(), origin.clone());
                tokio::spawn(async move {
                    if let Ok(Ok(Ok(link))) = timeout(CONNECTING_MAX, connecting).await {
                        pool.give_back(origin, link);
                    }
                });
                Ok((link, true))
            }
            made = &mut connecting => {
                freed.close();
                if let Ok(link) = freed.try_recv() {
                    self.pool.give_back(origin.clone(), link);
                }
                Ok((made??, false))
            }
        }
    }

    async fn connect(self: Arc<Self>, (scheme, authority): Origin) -> Result<Link, BodyError> {
        let uri = Uri::builder()
            .scheme(scheme)
            .authority(authority)
            .path_and_query("/")
            .build()?;
        let mut connector = self.connector.clone();
        poll_fn(|context| connector.poll_ready(context)).await?;
        let stream = connector.call(uri).await?;
        let bulk = Bulk::of(&stream.inner().connected());
        let (sender, connection) = self.http.handshake(stream).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to a service ended");
            }
        });
        Ok(Link { sender, bulk })
    }

    fn answer(&self, response: Response<Incoming>, link: Link, origin: Origin) -> Response<Body> {
        if let Some(length) = response.body().size_hint().exact() {
            link.bulk.expect(length);
        }
        self.pool.give_back(origin, link);
        response.map(|body| body.map_err(Into::into).boxed_unsync())
    }
}

/// Takes out of a request where it goes to, which it does not say on its way. Its version is that of this connection, not of the guest's.
fn to_origin_form(request: &mut Request<Body>) -> Result<Origin, Unanswered> {
    *request.version_mut() = Version::HTTP_11;
    let parts = std::mem::take(request.uri_mut()).into_parts();
    // One of a URI without a path may be empty, which reads like `/`.
    let target = parts.path_and_query.filter(|target| target != "/");
    *request.uri_mut() = target.unwrap_or(PathAndQuery::from_static("/")).into();
    let origin = parts.scheme.zip(parts.authority);
    origin.ok_or_else(|| not_sent("a request without scheme and authority".into()))
}

fn not_sent(source: BodyError) -> Unanswered {
    Unanswered {
        sent: false,
        kept: false,
        source,
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
