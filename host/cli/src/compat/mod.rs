// SPDX-License-Identifier: Apache-2.0
//! The same test command in two guests, one with the driver and one with Linux' own network stack, and what differs.

pub(crate) mod guest;
pub(crate) mod probes;
pub(crate) mod report;
pub(crate) mod results;
