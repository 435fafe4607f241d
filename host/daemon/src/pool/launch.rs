// SPDX-License-Identifier: Apache-2.0
//! What the pool asks of whatever runs a function: the seam between scheduling and machines.

use std::fmt;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use nexus_backend::prefetch::Inputs;
use nexus_backend::runtime_api::{ExitReason, RuntimeApi};
use nexus_backend::writeback::Writeback;

use crate::functions::{Function, FunctionName};

/// A future behind a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Everything that a machine needs to know about the instance it is to run.
#[derive(Debug)]
pub struct Order {
    /// The instance's id, unique while the daemon runs.
    pub instance: String,
    /// The function's name.
    pub name: FunctionName,
    /// The function.
    pub function: Arc<Function>,
    /// Where the function gets its events.
    pub runtime: Arc<RuntimeApi>,
    /// Its deferred writes.
    pub writeback: Arc<Writeback>,
    /// What was fetched for its invocations.
    pub inputs: Arc<Inputs>,
    /// Where the console goes; the machine gets the only copy.
    pub console: OwnedFd,
}

/// Starts machines.
pub trait Launcher: Send + Sync + fmt::Debug {
    /// Starts a machine. Returns when its process runs; the function's own start is seen at the runtime API.
    fn launch(&self, order: Order) -> BoxFuture<'_, Result<Box<dyn Machine>, LaunchError>>;
}

/// One machine. Dropping it ends it.
pub trait Machine: Send + Sync + fmt::Debug {
    /// Stops the processors. Memory and connections stay as they are.
    fn pause(&self) -> BoxFuture<'_, Result<(), MachineError>>;

    /// Lets the processors go on.
    fn resume(&self) -> BoxFuture<'_, Result<(), MachineError>>;

    /// Ends the machine, whatever it is doing, and returns when its process is gone.
    fn stop(&self) -> BoxFuture<'_, ()>;

    /// Resolves when the function's process or the machine has ended, also for those who ask later.
    fn ended(&self) -> BoxFuture<'_, ExitReason>;

    /// When the guest's init first spoke.
    fn booted_at(&self) -> Option<Instant>;

    /// The machine's process.
    fn pid(&self) -> Option<u32>;

    /// Counters of the machine, for people: sockets, exits by kind.
    fn report(&self) -> BoxFuture<'_, serde_json::Value>;
}

/// Why a machine could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// A resource of this process is missing.
    #[error("cannot {what} for a VM")]
    Resource {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The program does not start.
    #[error("cannot start {program}")]
    Spawn {
        /// The program.
        program: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The backend refuses.
    #[error("cannot serve the VM: {0}")]
    Session(String),
}

/// Why a machine did not do what it was told.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MachineError {
    /// It has ended.
    #[error("the VM has ended")]
    Gone,
    /// It said no.
    #[error("the VM refuses to {command}: {reason}")]
    Refused {
        /// What it was told.
        command: &'static str,
        /// What it answered.
        reason: String,
    },
}
