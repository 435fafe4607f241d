// SPDX-License-Identifier: Apache-2.0
//! The host's side of virtio-nexus: everything that a guest can reach, without a word of how functions are run.
//!
//! - [`session`]: one vhost-user connection, one VM: negotiation, memory table, queues, the table of open sockets.
//! - [`service`]: the small trait between the queue handling and what answers a connection inside the process.
//! - [`sockets`]: TCP connections on behalf of the guest, and the policy that says where to.
//! - [`dns`]: names, answered to the guest over TCP.
//! - [`local`]: the same for a program outside a VM.
//! - [`boot`]: what init asks for before it starts the function.
//! - [`runtime_api`]: AWS Lambda's runtime API, one per VM.
//! - [`gateway`]: the guest's view of S3 and other services: policy, signature, forwarding.
//! - [`prefetch`]: objects that are fetched before a function asks for them.
//! - [`writeback`]: writes that are answered before they are done, and what waits for them.
//!
//! Services do not know each other, and the queue handling knows no service: the daemon puts them together in a
//! [`service::Services`] for each VM.

pub mod boot;
pub mod dns;
mod file;
pub mod gateway;
pub mod local;
pub mod prefetch;
pub mod runtime_api;
pub mod service;
pub mod session;
pub mod sockets;
pub mod writeback;
