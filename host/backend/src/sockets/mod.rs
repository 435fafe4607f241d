// SPDX-License-Identifier: Apache-2.0
//! The sockets of a guest: TCP connections on its behalf, streams to the services inside the process, and the policy
//! that says where a guest may connect.
//!
//! - `socket`: the fixed record of one socket; `state`: its state machine, the only holder of its rings.
//! - `rings`: a socket's two byte rings in guest memory.
//! - `connect`: who answers a connect request.
//! - `tcp`: moves bytes between a TCP connection and the rings.
//! - `stream`: the same rings as a byte stream for a service inside the process.
//! - [`policy`], [`rule`], `reserved`: where to.

mod connect;
pub mod policy;
mod reserved;
mod rings;
pub mod rule;
mod socket;
mod state;
mod stream;
mod tcp;

pub use self::policy::EndpointPolicy;
pub use self::rule::{EndpointRule, RuleError};

pub(crate) use self::connect::{Targets, connect};
pub(crate) use self::rings::{GuestMemory, RingError, Rings};
pub(crate) use self::socket::{Outbox, Socket};
pub(crate) use self::state::SocketViolation;
