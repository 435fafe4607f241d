// SPDX-License-Identifier: Apache-2.0
//! One VM's connection: virtio-nexus as a vhost-user backend.
//!
//! - [`Session`]: starts, watches and stops one.
//! - `control`: the vhost-user connection.
//! - `serving`: the tasks that serve the queues.
//! - `transport`: the vhost-user requests: features, memory table, queue setup.
//! - `memory`: the memory table.
//! - `device`: requests in, events out, the table of sockets, reset.
//! - `virtqueue`: messages in and out of a split virtqueue.
//! - `statistics`: counters.
//!
//! A session has no thread of its own. Nothing here waits for a VM: control messages are handled once they are complete,
//! kicks as they come, a bounded number of requests at a time.

mod control;
mod device;
mod memory;
mod serving;
mod statistics;
mod transport;
mod virtqueue;

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use nexus_proto::wire::limits;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::device::Device;
pub use self::statistics::Statistics;
use crate::service::Services;
use crate::sockets::{EndpointPolicy, PublishedPort, Targets};
use crate::writeback::Writeback;

/// What one VM may use.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Sockets that may be open at once, at most 65536.
    pub max_sockets: u32,
    /// Largest ring in bytes, a power of two from 4096 to 1 MiB.
    pub max_ring: u32,
    /// How long a connection attempt may take before it fails with ETIMEDOUT.
    pub connect_timeout: Duration,
    /// How long a closed socket waits for a peer that takes nothing before it is reset.
    pub close_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_sockets: 4096,
            max_ring: limits::RING_MAX,
            // What Linux takes with its default of six SYN retries (ip-sysctl, tcp_syn_retries).
            connect_timeout: Duration::from_secs(127),
            close_timeout: Duration::from_secs(60),
        }
    }
}

impl Limits {
    /// The nearest limits that the protocol allows.
    fn within_protocol(mut self) -> Self {
        self.max_sockets = self.max_sockets.clamp(1, limits::SOCKETS_MAX);
        let ring = self.max_ring.clamp(limits::RING_MIN, limits::RING_MAX);
        self.max_ring = 1 << ring.ilog2();
        self
    }
}

/// Why a session cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The stream cannot be watched.
    #[error("cannot serve the VM {name}: its vhost-user connection cannot be watched: {source}")]
    Stream {
        /// The VM.
        name: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// There is no tokio runtime.
    #[error("cannot serve the VM {0}: start the session from within a tokio runtime")]
    NoRuntime(String),
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEnd {
    /// The VMM closed the connection.
    Hangup,
    /// The guest did what no honest driver does.
    Violation(String),
    /// [`Session::stop`], or the session was dropped.
    Stopped,
    /// The VMM broke the vhost-user protocol, or the system failed.
    Failed(String),
}

/// One VM served.
#[derive(Debug)]
pub struct Session {
    device: Arc<Device>,
    stop: CancellationToken,
    end: watch::Receiver<Option<SessionEnd>>,
}

impl Session {
    /// Serves the VM at the other end of `stream`, called `name` in logs, until it ends. Spawns on the current tokio
    /// runtime. `services` and `policy` are this VM's own; `published` are the ports of the host that lead into it, and what it
    /// sends waits for the writes of `writeback`.
    ///
    /// # Errors
    /// [`SessionError`], before anything was received.
    pub fn start(
        stream: UnixStream,
        name: String,
        services: Services,
        policy: Arc<EndpointPolicy>,
        published: Vec<PublishedPort>,
        writeback: Arc<Writeback>,
        limits: Limits,
    ) -> Result<Self, SessionError> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(SessionError::NoRuntime(name));
        }
        let limits = limits.within_protocol();
        let (timeout, max_sockets) = (limits.connect_timeout, limits.max_sockets);
        let targets = Targets::new(services, policy, published, writeback, timeout, max_sockets);
        let device = Device::new(name, targets, limits);
        let control = control::Control::new(stream, Arc::clone(&device)).map_err(|source| {
            SessionError::Stream {
                name: device.name().into(),
                source,
            }
        })?;
        let stop = CancellationToken::new();
        let (ended, end) = watch::channel(None);
        tokio::spawn(control.serve(stop.clone(), ended));
        Ok(Self { device, stop, end })
    }

    /// Resolves when the session has ended and nothing of the VM's memory is in use any more. Any number of callers.
    pub async fn ended(&self) -> SessionEnd {
        let mut end = self.end.clone();
        match end.wait_for(Option::is_some).await {
            Ok(end) => end.clone().unwrap_or(SessionEnd::Stopped),
            // The runtime went away with the task.
            Err(_) => SessionEnd::Stopped,
        }
    }

    /// Resets all peers and ends the session.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Counters since the start.
    pub fn statistics(&self) -> Statistics {
        self.device.statistics()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop();
    }
}
