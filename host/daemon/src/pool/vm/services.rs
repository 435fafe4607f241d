// SPDX-License-Identifier: Apache-2.0
//! What one VM finds at the link-local address: its function's services, put together.

use std::sync::Arc;

use nexus_backend::boot::{BootConfig, BootService};
use nexus_backend::dns::DnsService;
use nexus_backend::gateway::{Gateway, Upstream};
use nexus_backend::service::{Service, Services, port};
use nexus_backend::session::Session;
use nexus_backend::sockets::EndpointPolicy;

use super::super::launch::Order;
use crate::functions::environment;

pub(super) fn compose(
    order: &Order,
    region: &str,
    upstream: &Arc<Upstream>,
) -> (Services, Arc<EndpointPolicy>, Arc<BootService>) {
    let policy = Arc::new(order.function.policy.endpoint_policy());
    let boot = BootService::new(BootConfig {
        env: environment::compose(&order.name, &order.function, region, &order.instance),
        command: order.function.command.clone(),
        hostname: order.name.to_string(),
        ..BootConfig::default()
    });
    let buckets = Arc::new(order.function.policy.bucket_policy());
    let gateway = Gateway::new(Arc::clone(upstream), buckets, order.name.to_string());

    let mut services = Services::default();
    let names = DnsService::new(Arc::clone(&policy));
    services.register(port::DNS, Arc::clone(&names) as Arc<dyn Service>);
    services.register_responder(port::DNS, names);
    services.register(port::GATEWAY, gateway);
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
