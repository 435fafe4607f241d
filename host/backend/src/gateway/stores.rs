// SPDX-License-Identifier: Apache-2.0
//! Stores beside the one that functions find without naming any: each has an address, a region and a key of its own.
//!
//! A store is a whole [`Upstream`], and a function's way to it a whole [`super::Gateway`] at an address of its own. So nothing that a
//! request says chooses between keys: it is signed for the store at whose address it came in, and goes nowhere else.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use aws_credential_types::provider::SharedCredentialsProvider;
use http::Uri;
use http::uri::Scheme;

use super::refusal::Refusal;
use super::target::Target;
use super::upstream::{Endpoint, GatewayError, Upstream};

/// Where guests find stores that have names: from here on, one after the other (beside [`crate::service::SERVICE_IP`]).
const FIRST: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 16);

/// Most stores of a node.
const STORES_MAX: usize = 200;

/// A store as it is configured.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// What policies call it.
    pub name: String,
    /// The URL that functions give their clients, such as `http://minio.internal:9000`.
    pub endpoint: String,
    /// The region that its requests are signed for.
    pub region: String,
    /// Its key.
    pub credentials: SharedCredentialsProvider,
    /// Whether it wants buckets in the host's name.
    pub virtual_hosts: bool,
}

/// A store that functions name by its URL.
#[derive(Debug)]
pub struct Store {
    name: String,
    host: String,
    /// Where guests find it.
    address: SocketAddr,
    is_tls: bool,
    upstream: Arc<Upstream>,
}

impl Store {
    /// What policies call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of its host, which has to lead to [`Self::address`]; none if its URL holds an address.
    pub fn host_name(&self) -> Option<&str> {
        (!is_address(&self.host)).then_some(self.host.as_str())
    }

    /// Where guests find it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it is spoken to by TLS.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// The way to it, with its key.
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }
}

/// What an upstream is, if it is one of these stores.
#[derive(Debug, Clone)]
pub(super) struct Site {
    pub(super) name: String,
    host: String,
    pub(super) virtual_hosts: bool,
}

impl Site {
    /// Takes apart a request to the store, whose bucket may be in the host's name.
    pub(super) fn target(&self, uri: &Uri, host: &str) -> Result<Target, Refusal> {
        let name = host
            .rsplit_once(':')
            .filter(|(_, port)| port.bytes().all(|c| c.is_ascii_digit()));
        let name = name.map_or(host, |(name, _)| name).to_ascii_lowercase();
        if name == self.host {
            return Target::parse_in(uri, None);
        }
        match name
            .strip_suffix(&self.host)
            .and_then(|bucket| bucket.strip_suffix('.'))
        {
            Some(bucket) if !is_address(&self.host) => Target::parse_in(uri, Some(bucket)),
            _ => {
                let message = format!("{host} is not the store {}, which answers here.", self.name);
                Err(Refusal::access_denied(message))
            }
        }
    }
}

/// Makes stores, whose requests `make` has a way for.
pub(super) fn stores(
    configs: Vec<StoreConfig>,
    make: impl Fn(Endpoint, Site, StoreConfig) -> Arc<Upstream>,
) -> Result<Vec<Arc<Store>>, GatewayError> {
    let mut taken = BTreeSet::new();
    let mut stores = Vec::new();
    for (config, number) in configs.into_iter().zip(0_u32..) {
        let invalid = |reason: String| GatewayError::Endpoint {
            service: config.name.clone(),
            url: config.endpoint.clone(),
            reason,
        };
        let endpoint = super::upstream::endpoint(&config.endpoint).map_err(invalid)?;
        if stores.len() == STORES_MAX {
            return Err(invalid(format!("there are more than {STORES_MAX} stores")));
        }
        let host = endpoint.authority.host().to_ascii_lowercase();
        let is_tls = endpoint.scheme == Scheme::HTTPS;
        let port = endpoint
            .authority
            .port_u16()
            .unwrap_or(if is_tls { 443 } else { 80 });
        if !taken.insert((host.clone(), port)) {
            return Err(invalid("another store has this host and port".into()));
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        // A name has one address, whichever of its ports are stores.
        let known = stores.iter().find(|store: &&Arc<Store>| store.host == host);
        let ip = match (bare.parse(), known) {
            (Ok(ip), _) => ip,
            (Err(_), Some(known)) => known.address.ip(),
            (Err(_), None) => IpAddr::V4(Ipv4Addr::from(u32::from(FIRST) + number)),
        };
        if config.virtual_hosts && is_address(&host) {
            return Err(invalid(
                "an address has no names below it for buckets".into(),
            ));
        }
        let site = Site {
            name: config.name.clone(),
            host: host.clone(),
            virtual_hosts: config.virtual_hosts,
        };
        stores.push(Arc::new(Store {
            name: config.name.clone(),
            host,
            address: SocketAddr::new(ip, port),
            is_tls,
            upstream: make(endpoint, site, config),
        }));
    }
    Ok(stores)
}

fn is_address(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().is_ok()
}
