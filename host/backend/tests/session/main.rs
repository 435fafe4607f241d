// SPDX-License-Identifier: Apache-2.0
//! The data path at native speed: a guest's driver in user space on one side, real TCP servers on the other.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod close;
mod connect;
mod datagrams;
mod guest;
mod listen;
mod names;
mod peer;
mod random;
mod services;
mod transfer;
mod violations;
mod vmm;
mod writeback;
