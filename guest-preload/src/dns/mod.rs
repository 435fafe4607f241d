// SPDX-License-Identifier: Apache-2.0
//! DNS (RFC 1035) over TCP (RFC 7766), as far as looking up addresses needs it.

mod client;
pub mod message;

pub(crate) use client::lookup;
