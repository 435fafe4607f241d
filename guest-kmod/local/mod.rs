// SPDX-License-Identifier: GPL-2.0-only
//! The guest's own network: what never leaves the guest.
//!
//! - [`route`]: which addresses are the guest's own, and which of them a socket speaks from.
//! - [`ports`]: who is bound where.
//! - [`groups`]: multicast.
//! - [`inbox`]: datagrams that wait for their receiver.
//! - [`listener`]: connections that wait for `accept()`.
//! - [`pair`]: a connection whose two endpoints are both in the guest.
//! - [`page_ring`]: the memory between them.

pub(crate) mod groups;
pub(crate) mod inbox;
pub(crate) mod listener;
pub(crate) mod page_ring;
pub(crate) mod pair;
pub(crate) mod ports;
pub(crate) mod route;

/// Prepares the tables.
///
/// # Safety
///
/// Must be called once, before anything else of this module.
pub(crate) unsafe fn init() {
    // SAFETY: As the caller promises.
    unsafe { ports::init() };
    // SAFETY: As above.
    unsafe { groups::init() }
}
