// SPDX-License-Identifier: Apache-2.0
//! Names for guests: a DNS server over UDP and TCP (RFC 1035, RFC 7766) that answers by this host's own resolver.
//!
//! A guest resolves the names that its endpoint policy mentions, and no others: anything else is answered REFUSED, so that
//! names cannot carry data out of a guest and a mistake in a policy shows at its first effect. What an allowed name
//! resolves to is noted in the policy, which thereby allows connections to it.

mod answer;
mod resolve;

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::resolve::Resolver;
use crate::service::{Responder, Response, Service, ServiceStream, Serving};
use crate::sockets::EndpointPolicy;
use crate::writeback::Writeback;

/// Longest query in bytes: a name of 255 bytes and EDNS options fit many times over.
const QUERY_MAX: usize = 4096;

/// Queries answered on one connection; a client then connects again (RFC 7766, section 6.2.3).
const QUERIES_MAX: usize = 1024;

/// How long a connection may lie idle (RFC 7766, section 6.2.3), or take to deliver a query.
const IDLE: Duration = Duration::from_secs(30);

/// Answers the names of one VM.
#[derive(Debug)]
pub struct DnsService {
    policy: Arc<EndpointPolicy>,
    writeback: Arc<Writeback>,
    stand_ins: StandIns,
    resolver: Resolver,
}

/// Names that lead to services of the backend instead of to where they lead on the host.
#[derive(Debug, Clone, Default)]
pub struct StandIns {
    /// Whether names of AWS's services lead to the gateway, unless the policy has them lead elsewhere.
    pub services: bool,
    /// Names, in lower case, that lead to addresses, with all names below them.
    pub names: HashMap<String, Ipv4Addr>,
}

impl StandIns {
    /// The address that stands in for a name.
    fn address(&self, name: &str) -> Option<Ipv4Addr> {
        let known = |name: &str| self.names.get(name).copied();
        let below = || {
            name.match_indices('.')
                .find_map(|(dot, _)| known(&name[dot + 1..]))
        };
        known(name).or_else(below)
    }
}

impl DnsService {
    /// A name service for the VM whose connections `policy` governs. Questions wait for the writes of `writeback`, since they go
    /// on to other hosts. Some names lead to what stands in for them.
    pub fn new(
        policy: Arc<EndpointPolicy>,
        writeback: Arc<Writeback>,
        stand_ins: StandIns,
    ) -> Arc<Self> {
        Arc::new(Self {
            policy,
            writeback,
            stand_ins,
            resolver: Resolver::default(),
        })
    }

    async fn serve_queries(&self, mut stream: ServiceStream) -> io::Result<()> {
        for _ in 0..QUERIES_MAX {
            let query = match tokio::time::timeout(IDLE, read_query(&mut stream)).await {
                Ok(query) => query?,
                Err(_) => return Ok(()),
            };
            let Some(query) = query else {
                return Ok(());
            };
            let Some(response) = self.answer(&query).await else {
                return Ok(());
            };
            let Ok(length) = u16::try_from(response.len()) else {
                return Ok(());
            };
            let message = [&length.to_be_bytes()[..], &response].concat();
            stream.write_all(&message).await?;
        }
        stream.shutdown().await
    }
}

impl Responder for DnsService {
    fn respond(self: Arc<Self>, query: Vec<u8>) -> Response {
        Box::pin(async move {
            if query.len() > QUERY_MAX {
                return None;
            }
            self.answer_within_datagram(&query).await
        })
    }
}

impl Service for DnsService {
    fn serve(self: Arc<Self>, stream: ServiceStream) -> Serving {
        Box::pin(async move {
            if let Err(error) = self.serve_queries(stream).await {
                tracing::debug!(%error, "DNS connection of a guest");
            }
        })
    }
}

/// The next query; `None` at the end of the stream, or if what comes is too long to be one.
async fn read_query(stream: &mut ServiceStream) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 2];
    if stream.read(&mut length[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[1..]).await?;
    let length = usize::from(u16::from_be_bytes(length));
    if length > QUERY_MAX {
        return Ok(None);
    }
    let mut query = vec![0; length];
    stream.read_exact(&mut query).await?;
    Ok(Some(query))
}
