// SPDX-License-Identifier: Apache-2.0
//! One query, one answer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA};
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};

use super::DnsService;
use super::resolve::{Failure, Wanted};
use crate::service::{SERVICE_IP, hosts};

/// How long a guest may keep an answer, in seconds. The host's resolver does not say how long it is valid, and keeps
/// what it has itself; so asking again soon is cheap, and a name that moves is followed.
const TTL: u32 = 10;

/// Bytes of a response that every client takes (RFC 1035, section 2.3.4).
const DATAGRAM_MIN: u16 = 512;

impl DnsService {
    /// The response to `query`, as bytes; `None` if it is none that could be responded to.
    pub(super) async fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        self.response(query).await?.to_vec().ok()
    }

    /// The response to `query`, as far as it fits the client's datagrams (RFC 1035, section 4.2.1; RFC 6891, section 6.2.5).
    pub(super) async fn answer_within_datagram(&self, query: &[u8]) -> Option<Vec<u8>> {
        let room = Message::from_vec(query)
            .ok()
            .and_then(|query| query.edns)
            .map_or(DATAGRAM_MIN, |edns| edns.max_payload().max(DATAGRAM_MIN));
        let response = self.response(query).await?;
        let bytes = response.to_vec().ok()?;
        if bytes.len() <= usize::from(room) {
            return Some(bytes);
        }
        // The client asks again over TCP.
        let mut short = Message::response(response.metadata.id, response.metadata.op_code);
        short.metadata = response.metadata;
        short.metadata.truncation = true;
        short.queries = response.queries;
        short.to_vec().ok()
    }

    async fn response(&self, query: &[u8]) -> Option<Message> {
        let response = match Message::from_vec(query) {
            Ok(request) if request.metadata.message_type == MessageType::Query => {
                self.respond(&request).await
            }
            Ok(_) => return None,
            Err(_) => {
                let id = u16::from_be_bytes(*query.first_chunk()?);
                Message::error_msg(id, OpCode::Query, ResponseCode::FormErr)
            }
        };
        Some(response)
    }

    async fn respond(&self, request: &Message) -> Message {
        let mut response = Message::response(request.metadata.id, request.metadata.op_code);
        response.metadata.recursion_desired = request.metadata.recursion_desired;
        response.metadata.recursion_available = true;
        response.queries.clone_from(&request.queries);
        response.metadata.response_code =
            match (request.metadata.op_code, request.queries.as_slice()) {
                (OpCode::Query, [query]) => match self.look_up(query).await {
                    Ok(addresses) => {
                        response
                            .answers
                            .extend(addresses.into_iter().map(|ip| record(query, ip)));
                        ResponseCode::NoError
                    }
                    Err(code) => code,
                },
                (OpCode::Query, _) => ResponseCode::FormErr,
                _ => ResponseCode::NotImp,
            };
        response
    }

    async fn look_up(&self, query: &Query) -> Result<Vec<IpAddr>, ResponseCode> {
        let wanted = match (query.query_class, query.query_type) {
            (DNSClass::IN, RecordType::A) => Wanted::V4,
            (DNSClass::IN, RecordType::AAAA) => Wanted::V6,
            // The host's resolver knows addresses only; to say "no such data" would be a lie.
            _ => return Err(ResponseCode::NotImp),
        };
        let ascii = query.name.to_ascii().to_ascii_lowercase();
        let name = ascii.strip_suffix('.').unwrap_or(&ascii);
        if name == "localhost" || name.ends_with(".localhost") {
            // The guest's own, always (RFC 6761, section 6.3).
            return Ok(vec![match wanted {
                Wanted::V4 => Ipv4Addr::LOCALHOST.into(),
                Wanted::V6 => Ipv6Addr::LOCALHOST.into(),
            }]);
        }
        let is_service = || hosts::is_service(name) && !self.policy.resolvable(name);
        let services = (self.stand_ins.services && is_service()).then_some(SERVICE_IP);
        if let Some(ip) = self.stand_ins.address(name).or(services) {
            // What stands in has no other address.
            return Ok(match wanted {
                Wanted::V4 => vec![ip.into()],
                Wanted::V6 => Vec::new(),
            });
        }
        if !self.policy.resolvable(name) {
            tracing::debug!(name, "name refused by policy");
            return Err(ResponseCode::Refused);
        }
        if self
            .writeback
            .settled(self.writeback.point())
            .await
            .is_err()
        {
            return Err(ResponseCode::ServFail);
        }
        // Without a final dot, which would hide the names of /etc/hosts: a name means what it means to a program on the host.
        let addresses =
            self.resolver
                .resolve(name, wanted)
                .await
                .map_err(|failure| match failure {
                    Failure::NoName => ResponseCode::NXDomain,
                    Failure::Unknown => ResponseCode::ServFail,
                })?;
        for ip in &addresses {
            self.policy.learn(name, *ip);
        }
        Ok(addresses)
    }
}

fn record(query: &Query, ip: IpAddr) -> Record {
    let data = match ip {
        IpAddr::V4(ip) => RData::A(A(ip)),
        IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
    };
    Record::from_rdata(query.name.clone(), TTL, data)
}
