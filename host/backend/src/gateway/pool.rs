// SPDX-License-Identifier: Apache-2.0
//! Connections to services that are kept for the next request. The one that was used last is used first, and one that nobody used for a
//! while is closed.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http::uri::{Authority, Scheme};
use hyper::client::conn::http1::SendRequest;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::connector::Bulk;
use super::upstream::Body;

/// A connection that nobody used for this time is closed, not later than after twice of it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Idle connections kept for each origin.
const IDLE_MAX: usize = 64;

/// Where a connection leads (RFC 9110, section 4.3.1).
pub(super) type Origin = (Scheme, Authority);

/// A connection, over which one request goes at a time.
pub(super) struct Link {
    pub(super) sender: SendRequest<Body>,
    pub(super) bulk: Bulk,
}

/// The connections that nobody uses now.
#[derive(Clone, Default)]
pub(super) struct Pool(Arc<Mutex<Kept>>);

type Kept = HashMap<Origin, AtOrigin>;

#[derive(Default)]
struct AtOrigin {
    idle: VecDeque<Idle>,
    /// Who has none and makes one, and would rather have one that is free before.
    waiting: VecDeque<oneshot::Sender<Link>>,
}

struct Idle {
    link: Link,
    since: Instant,
}

impl Pool {
    /// The connection that was used last, if there is one.
    pub(super) fn take(&self, origin: &Origin) -> Option<Link> {
        let mut kept = lock(&self.0);
        let idle = &mut kept.get_mut(origin)?.idle;
        while let Some(idle) = idle.pop_back() {
            if idle.is_good() {
                return Some(idle.link);
            }
        }
        None
    }

    /// The next connection that is given back.
    pub(super) fn next(&self, origin: &Origin) -> oneshot::Receiver<Link> {
        let (sender, receiver) = oneshot::channel();
        self.at(origin.clone(), |there| {
            there.waiting.retain(|waiting| !waiting.is_closed());
            there.waiting.push_back(sender);
        });
        receiver
    }

    /// Keeps a connection as soon as another request can go over it, if that ever comes: when its answer was read, which may be before the
    /// service has all of the request.
    pub(super) fn give_back(&self, origin: Origin, mut link: Link) {
        if link.sender.is_ready() {
            return self.keep(origin, link);
        }
        let pool = self.clone();
        tokio::spawn(async move {
            if link.sender.ready().await.is_ok() {
                pool.keep(origin, link);
            }
        });
    }

    fn keep(&self, origin: Origin, mut link: Link) {
        let since = Instant::now();
        self.at(origin, |there| {
            while let Some(waiting) = there.waiting.pop_front() {
                match waiting.send(link) {
                    Ok(()) => return,
                    Err(unwanted) => link = unwanted,
                }
            }
            there.idle.push_back(Idle { link, since });
            if there.idle.len() > IDLE_MAX {
                there.idle.pop_front();
            }
        });
    }

    fn at(&self, origin: Origin, act: impl FnOnce(&mut AtOrigin)) {
        let mut kept = lock(&self.0);
        if kept.is_empty() {
            tokio::spawn(close_unused(Arc::downgrade(&self.0)));
        }
        act(kept.entry(origin).or_default());
    }
}

impl Idle {
    fn is_good(&self) -> bool {
        self.link.sender.is_ready() && self.since.elapsed() < IDLE_TIMEOUT
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Closes connections that nobody used for long, until there are none.
async fn close_unused(pool: Weak<Mutex<Kept>>) {
    loop {
        tokio::time::sleep(IDLE_TIMEOUT).await;
        let Some(pool) = pool.upgrade() else {
            return;
        };
        let mut kept = lock(&pool);
        kept.retain(|_, there| {
            there.idle.retain(Idle::is_good);
            there.waiting.retain(|waiting| !waiting.is_closed());
            !there.idle.is_empty() || !there.waiting.is_empty()
        });
        if kept.is_empty() {
            return;
        }
    }
}
