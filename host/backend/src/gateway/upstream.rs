// SPDX-License-Identifier: Apache-2.0
//! The services as the host reaches them: connection pools, TLS, the key. One value serves all VMs.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;
use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Body as _;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use tokio::sync::Semaphore;

use super::audit::Audit;
use super::connector::{self, Bulk, ByRecords, Connector};
use super::credentials::KeptCredentials;
use super::predict::Manners;

/// A connection that nobody used for this time is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Idle connections kept for each service.
const MAX_IDLE: usize = 64;

/// Room for deferred writes of all VMs together, in KiB. Those of a VM that is gone count until they are done.
const DEFERRED_KIB: usize = 1024 * 1024;

/// Why a body ended early.
pub(super) type BodyError = Box<dyn StdError + Send + Sync>;

/// A body on its way, either way.
pub(super) type Body = UnsyncBoxBody<Bytes, BodyError>;

/// A body that is here.
pub(super) fn full(body: Bytes) -> Body {
    Full::new(body)
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// Where services are.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// The region for requests that name none.
    pub region: String,
    /// Base URLs by signing name, such as `s3` to `http://127.0.0.1:9100` or `https://s3.eu-west-1.amazonaws.com`.
    pub endpoints: HashMap<String, String>,
    /// How long a connection to a service may take.
    pub connect_timeout: Duration,
    /// Who keeps a record of all calls, if anybody does.
    pub audit: Option<Arc<dyn Audit>>,
}

/// Why the gateway cannot work.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Not a base URL.
    #[error(
        "gateway endpoint for {service:?}: {url:?} must be of the form http(s)://host[:port]: {reason}"
    )]
    Endpoint {
        /// The service's signing name.
        service: String,
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A key file that cannot be used.
    #[error("credentials file {path}: {reason}", path = path.display())]
    CredentialsFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, without its content.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error(
        "gateway endpoints over https need the host's certificate authorities (ca-certificates, SSL_CERT_FILE): {0}"
    )]
    Tls(String),
}

/// A service's address.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
}

/// A request got no answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer")]
pub(super) struct Unanswered {
    /// Whether it may have arrived all the same.
    pub(super) sent: bool,
    #[source]
    pub(super) source: BodyError,
}

impl Unanswered {
    /// The innermost reason.
    pub(super) fn cause(&self) -> &(dyn StdError + 'static) {
        let mut cause: &(dyn StdError + 'static) = &*self.source;
        while let Some(source) = cause.source() {
            cause = source;
        }
        cause
    }
}

/// An answer on its way.
pub(super) type Carrying = Pin<Box<dyn Future<Output = Result<Response<Body>, Unanswered>> + Send>>;

/// Carries requests to services, and answers back.
pub(super) trait Carrier: Send + Sync {
    fn carry(&self, request: Request<Body>) -> Carrying;
}

/// The network.
impl Carrier for Client<ByRecords<HttpsConnector<Connector>>, Body> {
    fn carry(&self, request: Request<Body>) -> Carrying {
        let answer = self.request(request);
        Box::pin(async move {
            match answer.await {
                Ok(response) => {
                    let length = response.body().size_hint().exact();
                    if let (Some(length), Some(bulk)) =
                        (length, response.extensions().get::<Bulk>())
                    {
                        bulk.expect(length);
                    }
                    Ok(response.map(|body| body.map_err(Into::into).boxed_unsync()))
                }
                Err(error) => Err(Unanswered {
                    sent: !error.is_connect(),
                    source: error.into(),
                }),
            }
        })
    }
}

/// Connections to the services and the key that signs for them. One for all VMs.
pub struct Upstream {
    carrier: Box<dyn Carrier>,
    pub(super) endpoints: HashMap<String, Endpoint>,
    pub(super) region: String,
    pub(super) credentials: KeptCredentials,
    /// How the services answer writes.
    pub(super) manners: Manners,
    /// Room for writes that were answered before they are done, of all VMs, in KiB.
    pub(super) deferred: Arc<Semaphore>,
    pub(super) audit: Option<Arc<dyn Audit>>,
}

impl Upstream {
    /// Checks `config` and makes the connection pools. Nothing is connected to, and no key is asked for, before the
    /// first request.
    #[expect(
        clippy::unused_async,
        reason = "callers need not change when a check here has to wait"
    )]
    pub async fn new(
        config: GatewayConfig,
        credentials: SharedCredentialsProvider,
    ) -> Result<Arc<Self>, GatewayError> {
        let endpoints = endpoints(config.endpoints)?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(config.connect_timeout));
        let tls = tls_config(
            endpoints
                .values()
                .any(|endpoint| endpoint.scheme == Scheme::HTTPS),
        )?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(Connector::new(tcp));
        let client = Client::builder(TokioExecutor::new())
            .http1_max_buf_size(connector::HYPER)
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE)
            .build(ByRecords::new(connector));
        let carrier = Box::new(client);
        Ok(Self::by(
            carrier,
            endpoints,
            config.region,
            config.audit,
            credentials,
        ))
    }

    /// Services that `carrier` leads to.
    pub(super) fn by(
        carrier: Box<dyn Carrier>,
        endpoints: HashMap<String, Endpoint>,
        region: String,
        audit: Option<Arc<dyn Audit>>,
        credentials: SharedCredentialsProvider,
    ) -> Arc<Self> {
        Arc::new(Self {
            carrier,
            endpoints,
            region,
            credentials: KeptCredentials::new(credentials),
            manners: Manners::default(),
            deferred: Arc::new(Semaphore::new(DEFERRED_KIB)),
            audit,
        })
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Result<Response<Body>, Unanswered> {
        self.carrier.carry(request).await
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("endpoints", &self.endpoints)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

/// Endpoints by signing name.
pub(super) fn endpoints(
    urls: HashMap<String, String>,
) -> Result<HashMap<String, Endpoint>, GatewayError> {
    let endpoints = urls.into_iter().map(|(service, url)| match endpoint(&url) {
        Ok(endpoint) => Ok((service, endpoint)),
        Err(reason) => Err(GatewayError::Endpoint {
            service,
            url,
            reason,
        }),
    });
    endpoints.collect()
}

fn endpoint(url: &str) -> Result<Endpoint, String> {
    let parts = url.parse::<Uri>().map_err(|e| e.to_string())?.into_parts();
    let scheme = parts
        .scheme
        .filter(|s| *s == Scheme::HTTP || *s == Scheme::HTTPS)
        .ok_or("no http:// or https://")?;
    let authority = parts.authority.ok_or("no host")?;
    if authority.as_str().contains('@') {
        return Err("a user name or password does not belong here".to_owned());
    }
    match parts.path_and_query {
        Some(path) if path != "/" => Err("a path is not supported".to_owned()),
        _ => Ok(Endpoint { scheme, authority }),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        let good = endpoint("https://s3.eu-west-1.amazonaws.com/").unwrap();
        assert_eq!(
            (good.scheme, good.authority.as_str()),
            (Scheme::HTTPS, "s3.eu-west-1.amazonaws.com")
        );
        assert_eq!(
            endpoint("http://127.0.0.1:9100")
                .unwrap()
                .authority
                .as_str(),
            "127.0.0.1:9100"
        );
        for bad in [
            "",
            "s3.amazonaws.com",
            "ftp://host",
            "http://host/path",
            "http://me:pw@host",
            "http://host?q",
        ] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }
}
