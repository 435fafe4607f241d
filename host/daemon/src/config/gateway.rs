// SPDX-License-Identifier: Apache-2.0
//! `[gateway]`, checked.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use toml::Spanned;

use super::raw::{RawAddressing, RawCredentials, RawGateway, RawGatewayStore};
use super::validated::{Credentials, Gateway, GatewayStore, absolute, within};
use super::{ConfigError, Origin};

pub(super) fn validate(raw: RawGateway, origin: &Origin<'_>) -> Result<Gateway, ConfigError> {
    let mut endpoints = HashMap::new();
    for (service, url) in raw.endpoints {
        endpoints.insert(service, endpoint(&url, "gateway.endpoints", origin)?);
    }
    if let Some(url) = &raw.endpoint {
        endpoints.insert("s3".to_owned(), endpoint(url, "gateway.endpoint", origin)?);
    }
    Ok(Gateway {
        region: raw
            .region
            .map_or_else(|| "us-east-1".to_owned(), Spanned::into_inner),
        endpoints,
        credentials: raw.credentials.map_or(Ok(Credentials::Chain), |value| {
            credentials(&value, "gateway.credentials", origin)
        })?,
        stores: stores(raw.stores, origin)?,
        read_timeout: Duration::from_secs(within(
            raw.read_timeout_s,
            60,
            1..=3600,
            "gateway.read_timeout_s",
            origin,
        )?),
        audit: raw
            .audit
            .map(|path| absolute(&path, "gateway.audit", origin))
            .transpose()?,
    })
}

fn credentials(
    value: &Spanned<RawCredentials>,
    key: &'static str,
    origin: &Origin<'_>,
) -> Result<Credentials, ConfigError> {
    match value.get_ref() {
        RawCredentials::Named(word) if word == "chain" => Ok(Credentials::Chain),
        RawCredentials::Named(word) => Err(origin.invalid(
            value,
            key,
            format!("{word:?} is not known; use \"chain\" or {{ file = \"PATH\" }}"),
        )),
        RawCredentials::File(raw) if raw.file.is_file() => Ok(Credentials::File(raw.file.clone())),
        RawCredentials::File(raw) => Err(origin.invalid(
            value,
            key,
            format!("there is no file {}", raw.file.display()),
        )),
    }
}

fn stores(
    raw: BTreeMap<String, Spanned<RawGatewayStore>>,
    origin: &Origin<'_>,
) -> Result<Vec<GatewayStore>, ConfigError> {
    const KEY: &str = "gateway.stores";
    let mut stores = Vec::new();
    for (name, raw) in raw {
        let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if name.is_empty() || !name.bytes().all(allowed) {
            let reason = format!("{name:?} is no name: use lower-case letters, digits and '-'");
            return Err(origin.invalid(&raw, KEY, reason));
        }
        let raw = raw.into_inner();
        let url = endpoint(&raw.endpoint, KEY, origin)?;
        if let Some(reason) = unfit(&url) {
            return Err(origin.invalid(&raw.endpoint, KEY, format!("{url}: {reason}")));
        }
        stores.push(GatewayStore {
            name,
            endpoint: url,
            region: raw.region.unwrap_or_else(|| "us-east-1".to_owned()),
            credentials: credentials(&raw.credentials, KEY, origin)?,
            virtual_hosts: matches!(raw.addressing, RawAddressing::Virtual),
        });
    }
    Ok(stores)
}

/// Why a function cannot name a store by this URL.
fn unfit(url: &str) -> Option<&'static str> {
    let uri: http::Uri = url.parse().ok()?;
    let host = uri.host()?.to_ascii_lowercase();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let ip: Option<IpAddr> = bare.parse().ok();
    let is_tls = uri.scheme_str() == Some("https");
    let is_own = match ip.map(|ip| ip.to_canonical()) {
        Some(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_unspecified() || ip.is_link_local(),
        Some(IpAddr::V6(ip)) => {
            ip.is_loopback() || ip.is_unspecified() || ip.is_unicast_link_local()
        }
        None => host == "localhost" || host.ends_with(".localhost"),
    };
    if is_own {
        return Some("it is a function's own; give the store a name that this host resolves");
    }
    if ip.is_some() && is_tls {
        return Some("certificates are made for names only; give the store one");
    }
    let is_amazons = [".amazonaws.com", ".amazonaws.com.cn"]
        .iter()
        .any(|end| host.ends_with(end));
    is_amazons
        .then_some("Amazon's names lead to the gateway's own key; set gateway.endpoints instead")
}

fn endpoint(
    url: &Spanned<String>,
    key: &'static str,
    origin: &Origin<'_>,
) -> Result<String, ConfigError> {
    let uri = url.get_ref().parse::<http::Uri>().ok();
    let usable = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()
    });
    if usable {
        return Ok(url.get_ref().trim_end_matches('/').to_owned());
    }
    Err(origin.invalid(
        url,
        key,
        format!(
            "{:?} is not a URL such as http://127.0.0.1:9000",
            url.get_ref()
        ),
    ))
}
