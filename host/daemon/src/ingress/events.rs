// SPDX-License-Identifier: Apache-2.0
//! Asynchronous invocations: a bounded queue in memory, in order of arrival.
//!
//! An accepted event waits for a free instance and is then tried once. It is lost if the daemon ends first, and a
//! function's error is only logged: retries, destinations and a queue on disk are later work.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::error::InvokeError;
use crate::pool::{Call, Pool, PoolError};
use crate::timeline::Timeline;

/// Events that may wait.
const EVENTS: usize = 1000;

/// Bytes of events that may wait, in KiB.
const KIBIBYTES: usize = 64 * 1024;

/// What waits: the call, when it came, and its part of the queue's room.
type Event = (Call, Timeline, OwnedSemaphorePermit);

/// The sending end of the queue.
#[derive(Debug)]
pub struct EventQueue {
    sender: mpsc::Sender<Event>,
    room: Arc<Semaphore>,
}

impl EventQueue {
    /// A queue whose events go to `pool`, at most `concurrency` at once, until `stop` is cancelled.
    pub fn start(pool: Arc<Pool>, concurrency: usize, stop: CancellationToken) -> Self {
        let (sender, receiver) = mpsc::channel(EVENTS);
        tokio::spawn(dispatch(
            receiver,
            pool,
            Arc::new(Semaphore::new(concurrency)),
            stop,
        ));
        Self {
            sender,
            room: Arc::new(Semaphore::new(KIBIBYTES)),
        }
    }

    /// Adds an event, whose timeline goes on when it is run, or says that the queue is full.
    pub fn push(&self, call: Call, timeline: Timeline) -> Result<(), InvokeError> {
        let full =
            || InvokeError::Throttled("the queue of asynchronous invocations is full".into());
        let size = u32::try_from(call.payload.len() / 1024 + 1).map_err(|_| full())?;
        let room = Arc::clone(&self.room)
            .try_acquire_many_owned(size)
            .map_err(|_| full())?;
        self.sender
            .try_send((call, timeline, room))
            .map_err(|_| full())
    }
}

async fn dispatch(
    mut events: mpsc::Receiver<Event>,
    pool: Arc<Pool>,
    running: Arc<Semaphore>,
    stop: CancellationToken,
) {
    let next = async |events: &mut mpsc::Receiver<_>| {
        let permit = Arc::clone(&running).acquire_owned().await.ok()?;
        Some((events.recv().await?, permit))
    };
    loop {
        let next = tokio::select! {
            () = stop.cancelled() => break,
            next = next(&mut events) => next,
        };
        let Some(((call, timeline, room), permit)) = next else {
            break;
        };
        let (pool, stop) = (Arc::clone(&pool), stop.clone());
        tokio::spawn(async move {
            run(&pool, call, timeline, &stop).await;
            drop((room, permit));
        });
    }
    if !events.is_empty() {
        tracing::warn!(events = events.len(), "asynchronous invocations are lost");
    }
}

/// Runs one event as soon as an instance is free.
async fn run(pool: &Arc<Pool>, call: Call, timeline: Timeline, stop: &CancellationToken) {
    let (id, name) = (call.request_id.clone(), call.name.clone());
    let result = loop {
        // Asked for before the try, so that no release in between is missed.
        let mut released = std::pin::pin!(pool.released());
        released.as_mut().enable();
        match pool.invoke(call.clone(), timeline.clone()).await {
            Err(PoolError::Throttled { .. }) => tokio::select! {
                () = released => {}
                () = stop.cancelled() => break Err(PoolError::Closed),
            },
            result => break result,
        }
    };
    match result {
        Ok(answer) => {
            if let Some(error_type) = answer.error_type {
                tracing::warn!(request = id, function = %name, error_type, "an asynchronous invocation failed");
            }
        }
        Err(error) => {
            tracing::warn!(request = id, function = %name, %error, "an asynchronous invocation was not run");
        }
    }
}
