// SPDX-License-Identifier: Apache-2.0
//! What one VM finds at the link-local address: its function's services, put together.

use std::sync::Arc;

use nexus_backend::boot::{BootConfig, BootService};
use nexus_backend::gateway::{Acceptor, Authority, Upstream};
use nexus_backend::service::{Service, Services, port};
use nexus_backend::session::Session;
use nexus_backend::sockets::EndpointPolicy;

use super::super::launch::Order;
use crate::functions::{environment, outside};

pub(super) fn compose(
    order: &Order,
    region: &str,
    upstream: &Arc<Upstream>,
    (authority, acceptor): &(Arc<Authority>, Acceptor),
) -> (Services, Arc<EndpointPolicy>, Arc<BootService>) {
    let boot = BootService::new(BootConfig {
        env: environment::compose(&order.name, &order.function, region, &order.instance),
        command: order.function.command.clone(),
        hostname: order.name.to_string(),
        authority: Some(authority.certificate().to_owned()),
        ..BootConfig::default()
    });
    let (mut services, policy) = outside::compose(
        &order.name,
        &order.function.policy,
        upstream,
        &order.writeback,
        &order.inputs,
        Some(acceptor),
    );
    services.register(port::BOOT, Arc::clone(&boot) as Arc<dyn Service>);
    services.register(
        port::RUNTIME_API,
        Arc::clone(&order.runtime) as Arc<dyn Service>,
    );
    (services, policy, boot)
}

/// The session's counters, for people.
pub(super) fn statistics(session: &Session) -> serde_json::Value {
    serde_json::to_value(session.statistics()).unwrap_or_default()
}
