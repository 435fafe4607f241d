// SPDX-License-Identifier: Apache-2.0
//! A complete Nexus in a folder of its own: nexusd with its embedded object store, started as a user would start it.
//!
//! The demo, the benchmarks and the end-to-end tests all stand on this; none of them reaches into nexusd.
//!
//! - [`Testbed`]: starts, kills and restarts the daemon; deploys and invokes functions.
//! - [`store`]: puts objects into the store and gets them, with curl, so that another S3 client than ours has its say.
//! - [`memory`]: looks into a VM's memory from outside.
//! - [`StockGuest`]: the same root in a guest as it is elsewhere, to compare with.

mod child;
pub mod daemon;
pub mod instance;
pub mod invoke;
pub mod memory;
mod stock;
pub mod store;

pub use child::KilledOnDrop;
pub use daemon::{Deployment, Options, Store, Testbed, free_address};
pub use invoke::Reply;
pub use stock::StockGuest;
