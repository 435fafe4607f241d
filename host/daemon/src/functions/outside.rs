// SPDX-License-Identifier: Apache-2.0
//! What every function finds outside itself: names and the gateway, as far as its policy goes.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use nexus_backend::dns::{DnsService, StandIns};
use nexus_backend::gateway::{Acceptor, Calls, Gateway, TlsGateway, Upstream};
use nexus_backend::prefetch::Inputs;
use nexus_backend::service::{Service, Services, port};
use nexus_backend::sockets::EndpointPolicy;
use nexus_backend::writeback::Writeback;

use super::{FunctionName, Policy};

/// The services, and what the function may connect to: each for one VM or one program, as both remember names. What they send
/// waits for the writes of `writeback`, which they may defer; what was fetched for them is in `inputs`. With `tls`, the gateway
/// answers under the services' own names as well. Stores that the policy names have addresses of their own.
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
    let main = Arc::clone(upstream);
    let (deferred, inputs) = (Arc::clone(writeback), Arc::clone(inputs));
    let gateway = Gateway::of_vm(main, granted, name.to_string(), deferred, inputs);

    let mut services = Services::default();
    let stand_ins = StandIns {
        services: tls.is_some(),
        names: register_stores(&mut services, name, policy, upstream, writeback, tls),
    };
    let names = DnsService::new(Arc::clone(&endpoints), Arc::clone(writeback), stand_ins);
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

/// A gateway for each store that the policy names, at an address of its own; the names that lead there.
fn register_stores(
    services: &mut Services,
    name: &FunctionName,
    policy: &Policy,
    upstream: &Arc<Upstream>,
    writeback: &Arc<Writeback>,
    tls: Option<&Acceptor>,
) -> HashMap<String, Ipv4Addr> {
    let mut names = HashMap::new();
    for store in upstream.stores() {
        if !policy.stores().any(|named| named == store.name()) {
            continue;
        }
        let granted = Arc::new(policy.store_policy(store.name()));
        let (upstream, deferred) = (Arc::clone(store.upstream()), Arc::clone(writeback));
        // What is fetched beforehand is the other store's.
        let gateway = Gateway::of_vm(
            upstream,
            granted,
            name.to_string(),
            deferred,
            Arc::default(),
        );
        match (store.is_tls(), tls) {
            (false, _) => services.register_at(store.address(), gateway),
            (true, Some(tls)) => {
                services.register_at(store.address(), TlsGateway::new(gateway, tls.clone()));
            }
            (true, None) => continue,
        }
        if let (Some(host), IpAddr::V4(ip)) = (store.host_name(), store.address().ip()) {
            names.insert(host.to_owned(), ip);
        }
    }
    names
}
