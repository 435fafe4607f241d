// SPDX-License-Identifier: Apache-2.0
//! What every function finds outside itself: names and the gateway, as far as its policy goes.

use std::sync::Arc;

use nexus_backend::dns::DnsService;
use nexus_backend::gateway::{Acceptor, Calls, Gateway, TlsGateway, Upstream};
use nexus_backend::prefetch::Inputs;
use nexus_backend::service::{Service, Services, port};
use nexus_backend::sockets::EndpointPolicy;
use nexus_backend::writeback::Writeback;

use super::{FunctionName, Policy};

/// The services, and what the function may connect to: each for one VM or one program, as both remember names. What they send
/// waits for the writes of `writeback`, which they may defer; what was fetched for them is in `inputs`. With `tls`, the gateway
/// answers under the services' own names as well.
pub fn compose(
    name: &FunctionName,
    policy: &Policy,
    upstream: &Arc<Upstream>,
    writeback: &Arc<Writeback>,
    inputs: &Arc<Inputs>,
    tls: Option<&Acceptor>,
) -> (Services, Arc<EndpointPolicy>) {
    let endpoints = Arc::new(policy.endpoint_policy());
    let granted = Arc::new(policy.gateway_policy());
    let (upstream, deferred) = (Arc::clone(upstream), Arc::clone(writeback));
    let inputs = Arc::clone(inputs);
    let gateway = Gateway::of_vm(upstream, granted, name.to_string(), deferred, inputs);

    let mut services = Services::default();
    let names = DnsService::new(Arc::clone(&endpoints), Arc::clone(writeback), tls.is_some());
    services.register(port::DNS, Arc::clone(&names) as Arc<dyn Service>);
    services.register_responder(port::DNS, names);
    services.register(port::CALLS, Calls::new(Arc::clone(&gateway)));
    if let Some(tls) = tls {
        let gateway = TlsGateway::new(Arc::clone(&gateway), tls.clone());
        services.register(port::GATEWAY_TLS, gateway);
    }
    services.register(port::GATEWAY, gateway);
    (services, endpoints)
}
