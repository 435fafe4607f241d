// SPDX-License-Identifier: Apache-2.0
//! The tasks that serve the queues while they run: one for each, which sleeps while the VM is quiet.

use std::fs::File;
use std::sync::Arc;

use tokio::io::unix::AsyncFd;
use tokio::task::AbortHandle;

use super::device::Device;

/// A file through which the guest notifies the device, watched.
pub(super) type Kick = Arc<AsyncFd<File>>;

/// A queue that is served, until this is dropped.
///
/// The task may be at work then, on another thread: what it can still touch is what the [`Device`] has, and that has no queue
/// once it is reset.
#[derive(Debug)]
pub(super) struct Serving(AbortHandle);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Serving {
    /// Serves the queue of requests. It may have something in it from the start.
    pub(super) fn requests(device: Arc<Device>, kick: Kick) -> Self {
        let task = tokio::spawn(async move {
            loop {
                match device.handle_requests() {
                    Ok(true) => {
                        tokio::task::yield_now().await;
                        continue;
                    }
                    Ok(false) => {}
                    Err(violation) => return device.violate(&violation),
                }
                if !kicked(&kick).await {
                    return;
                }
                device.kicked();
            }
        });
        Self(task.abort_handle())
    }

    /// Serves the queue of events, for which there may be news already.
    pub(super) fn events(device: Arc<Device>, kick: Kick) -> Self {
        let task = tokio::spawn(async move {
            loop {
                device.send_events();
                if !kicked(&kick).await {
                    return;
                }
                device.kicked();
            }
        });
        Self(task.abort_handle())
    }
}

/// Resolves with the guest's next notification: true, or false when the runtime shuts down.
///
/// The eventfd is never read. The runtime watches it edge-triggered (epoll(7)), and each write is an edge; its counter is of no
/// interest, and would need 2^64 notifications to be full.
async fn kicked(kick: &Kick) -> bool {
    match kick.readable().await {
        Ok(mut ready) => {
            ready.clear_ready();
            true
        }
        Err(_) => false,
    }
}
