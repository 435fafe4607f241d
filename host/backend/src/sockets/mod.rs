// SPDX-License-Identifier: Apache-2.0
//! The sockets of a guest: TCP connections and datagrams on its behalf, streams to the services inside the process, and the policy
//! that says where a guest may connect.
//!
//! - `socket`: the fixed record of one socket; `state`: its state machine, the only holder of its rings.
//! - `rings`: a socket's two byte rings in guest memory.
//! - `connect`: who answers a connect request.
//! - `tcp`: moves bytes between a TCP connection and the rings.
//! - [`publish`]: ports of the host that lead into a guest; `listener`: connections that arrive at them.
//! - `udp`: moves datagrams, as records in the rings; `raw`: system calls that the libraries do not wrap.
//! - `stream`: the same rings as a byte stream for a service inside the process.
//! - [`policy`], [`rule`], `reserved`: where to.

mod connect;
mod listener;
pub mod policy;
pub mod publish;
mod raw;
mod reserved;
mod rings;
pub mod rule;
mod socket;
mod state;
mod stream;
mod tcp;
mod udp;

pub use self::policy::EndpointPolicy;
pub use self::publish::{PublishError, PublishedPort};
pub use self::rule::{EndpointRule, RuleError};

pub(crate) use self::connect::{
    GUEST_V4, GUEST_V6, Targets, accept, connect, exchange, own_address, permit,
};
pub(crate) use self::listener::Listener;
pub(crate) use self::raw::errno;
pub(crate) use self::rings::{GuestMemory, RingError, Rings};
pub(crate) use self::socket::{Outbox, Socket, Speaker};
pub(crate) use self::state::SocketViolation;
