// SPDX-License-Identifier: Apache-2.0
//! nexusd, the daemon of a host: takes invocations, runs each in a VM of its own, and is the VMs' way to the world.
//!
//! A call comes in at the [`ingress`] (AWS Lambda's Invoke API), which looks the function up in the registry of
//! [`functions`] and hands the call to the [`pool`]. The pool finds or starts an instance, gives it the event by way of
//! the backend's runtime API, and answers. What the function prints goes to [`logs`], what happened when to the
//! [`timeline`]. The [`admin`] API shows and changes all of this. The [`store`] is an object store for those who have none.
//!
//! [`local`] mode gives programs outside VMs what functions have.
//!
//! [`daemon`] puts the parts together; [`config`] says how; [`web`] is the HTTP that they share.

pub mod admin;
pub mod audit;
pub mod config;
pub mod daemon;
pub mod functions;
pub mod ingress;
pub mod inputs;
pub mod local;
pub mod logs;
pub mod pool;
pub mod private;
pub mod shutdown;
pub mod store;
pub mod timeline;
pub mod web;

pub use config::Config;
pub use daemon::Daemon;
