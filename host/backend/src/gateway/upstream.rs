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
use tokio::sync::Semaphore;

use super::audit::Audit;
use super::clocks::Clocks;
use super::exchange::Scope;
use super::keeping::KeptCredentials;
use super::network::Network;
use super::patience::{self, Sending};
use super::predict::Manners;
use super::regions::{self, Amazon, Regions};
use super::roles::{Acting, RoleArn};
use super::s3::S3;
use super::signer::Signer;
use super::stores::{self, Site, Store, StoreConfig};
use crate::service::hosts::is_region;

/// Services whose answers may take as long as Lambda's longest invocation, and which are waited for at least that long: what the
/// function does not want to wait for, its SDK gives up.
const SLOW: [&str; 6] = [
    "bedrock",
    "bedrock-agentcore",
    "lambda",
    "sagemaker",
    "states",
    "swf",
];
const SLOW_TIMEOUT: Duration = Duration::from_secs(15 * 60 + 30);

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
    /// How long a service may be silent when it is its turn.
    pub read_timeout: Duration,
    /// Who keeps a record of all calls, if anybody does.
    pub audit: Option<Arc<dyn Audit>>,
    /// Other stores, which functions name by their URLs.
    pub stores: Vec<StoreConfig>,
}

impl GatewayConfig {
    /// A gateway to these services, which waits for them about as long as SDKs do; nobody keeps a record.
    pub fn new(region: &str, endpoints: HashMap<String, String>) -> Self {
        Self {
            region: region.to_owned(),
            endpoints,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(60),
            audit: None,
            stores: Vec::new(),
        }
    }
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
    /// Whether all that happened is that a connection, kept from an earlier request, was closed.
    pub(super) kept: bool,
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

/// Connections to the services and the key that signs for them. One for all VMs.
pub struct Upstream {
    carrier: Arc<dyn Carrier>,
    pub(super) endpoints: HashMap<String, Endpoint>,
    pub(super) region: String,
    /// How S3's endpoints in other regions are called, if S3 is Amazon's.
    pub(super) amazon: Option<Amazon>,
    pub(super) regions: Arc<Regions>,
    pub(super) clocks: Arc<Clocks>,
    read_timeout: Duration,
    pub(super) credentials: KeptCredentials,
    pub(super) signer: Signer,
    /// How the services answer writes.
    pub(super) manners: Manners,
    /// Room for writes that were answered before they are done, of all VMs, in KiB.
    pub(super) deferred: Arc<Semaphore>,
    pub(super) audit: Option<Arc<dyn Audit>>,
    /// Other stores.
    stores: Vec<Arc<Store>>,
    /// Which of these this one is, if it is one.
    pub(super) site: Option<Site>,
    /// The role whose key signs, if it is not the host's own.
    pub(super) role: Option<RoleArn>,
    /// The same services in roles.
    pub(super) acting: Acting,
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
        let is_tls = |endpoint: &Endpoint| endpoint.scheme == Scheme::HTTPS;
        let of_stores = config.stores.iter();
        let tls = endpoints.values().any(is_tls)
            || of_stores
                .clone()
                .any(|store| store.endpoint.starts_with("https:"));
        let network: Arc<dyn Carrier> = Arc::new(Network::new(config.connect_timeout, tls)?);
        let make = |endpoints, region, credentials| {
            let network = Arc::clone(&network);
            let audit = config.audit.clone();
            Self::make(
                network,
                endpoints,
                region,
                config.read_timeout,
                audit,
                credentials,
            )
        };
        let mut upstream = make(endpoints, config.region, credentials);
        let deferred = Arc::clone(&upstream.deferred);
        upstream.stores = stores::stores(config.stores, |endpoint, site, config| {
            let endpoints = HashMap::from([(S3.to_owned(), endpoint)]);
            let mut store = make(endpoints, config.region, config.credentials);
            store.site = Some(site);
            // What a node holds back is bounded for all stores together.
            store.deferred = Arc::clone(&deferred);
            Arc::new(store)
        })?;
        Ok(Arc::new(upstream))
    }

    /// Services that `carrier` leads to.
    #[cfg(test)]
    pub(super) fn by(
        carrier: impl Carrier + 'static,
        endpoints: HashMap<String, Endpoint>,
        region: String,
        credentials: SharedCredentialsProvider,
    ) -> Arc<Self> {
        let (carrier, limit) = (Arc::new(carrier), Duration::from_secs(60));
        Arc::new(Self::make(
            carrier,
            endpoints,
            region,
            limit,
            None,
            credentials,
        ))
    }

    fn make(
        carrier: Arc<dyn Carrier>,
        endpoints: HashMap<String, Endpoint>,
        region: String,
        read_timeout: Duration,
        audit: Option<Arc<dyn Audit>>,
        credentials: SharedCredentialsProvider,
    ) -> Self {
        Self {
            carrier,
            amazon: endpoints.get(S3).and_then(Amazon::of),
            endpoints,
            region,
            regions: Arc::default(),
            clocks: Arc::default(),
            read_timeout,
            credentials: KeptCredentials::new(credentials),
            signer: Signer::default(),
            manners: Manners::default(),
            deferred: Arc::new(Semaphore::new(DEFERRED_KIB)),
            audit,
            stores: Vec::new(),
            site: None,
            role: None,
            acting: Acting::default(),
        }
    }

    /// The same services with the key of `role`, over the same connections. Other stores have keys of their own, and are not among them.
    pub(super) fn signing_with(&self, credentials: KeptCredentials, role: Option<RoleArn>) -> Self {
        Self {
            carrier: Arc::clone(&self.carrier),
            endpoints: self.endpoints.clone(),
            region: self.region.clone(),
            amazon: self.amazon.clone(),
            regions: Arc::clone(&self.regions),
            clocks: Arc::clone(&self.clocks),
            read_timeout: self.read_timeout,
            credentials,
            signer: Signer::default(),
            manners: Manners::default(),
            deferred: Arc::clone(&self.deferred),
            audit: self.audit.clone(),
            stores: Vec::new(),
            site: None,
            role,
            acting: Acting::default(),
        }
    }

    /// The other stores, which functions name by their URLs.
    pub fn stores(&self) -> &[Arc<Store>] {
        &self.stores
    }

    /// Sends a signed request, and waits for its answer as long as that service may take.
    pub(super) async fn send(
        &self,
        request: Request<Body>,
        scope: &Scope,
    ) -> Result<Response<Body>, Unanswered> {
        let limit = match scope {
            Scope::Service(signed_for) if SLOW.contains(&signed_for.service.as_str()) => {
                self.read_timeout.max(SLOW_TIMEOUT)
            }
            _ => self.read_timeout,
        };
        let (parts, body) = request.into_parts();
        let (body, turn) = Sending::new(body);
        let request = Request::from_parts(parts, body.boxed_unsync());
        patience::within(limit, turn, self.carrier.carry(request)).await
    }

    /// The region that a request to S3 is signed for in place of the guest's: a store with a URL of its own has one, and Amazon's must know
    /// it, as must this host's key.
    pub(super) fn own_region(&self, region: &str) -> Option<String> {
        let known = self.site.is_none() && self.may_be_in(region);
        (!known).then(|| self.region.clone())
    }

    /// Whether a bucket may be in a region: with Amazon, in one for which this host's key is good.
    pub(super) fn may_be_in(&self, region: &str) -> bool {
        self.amazon.is_none() || (is_region(region) && regions::are_kin(region, &self.region))
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

pub(super) fn endpoint(url: &str) -> Result<Endpoint, String> {
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
