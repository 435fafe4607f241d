// SPDX-License-Identifier: Apache-2.0
//! Connections to services that are kept for the next request. The one that was used last is used first, and one that nobody used for a
//! while is closed.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, Scheme};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::SendRequest;
use tokio::time::Instant;

use super::connector::Bulk;
use super::upstream::Body;

/// A connection that nobody used for this time is closed, not later than after twice of it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Idle connections kept for each place.
const IDLE_MAX: usize = 64;

/// Where a connection leads.
pub(super) type Place = (Scheme, Authority);

/// A connection, over which one request goes at a time.
pub(super) struct Link {
    pub(super) sender: SendRequest<Body>,
    pub(super) bulk: Bulk,
}

struct Idle {
    link: Link,
    since: Instant,
}

type Kept = HashMap<Place, VecDeque<Idle>>;

/// The connections that nobody uses now.
#[derive(Clone, Default)]
pub(super) struct Pool(Arc<Mutex<Kept>>);

impl Pool {
    /// The connection to a place that was used last, if there is one.
    pub(super) fn take(&self, place: &Place) -> Option<Link> {
        let mut kept = lock(&self.0);
        let idle = kept.get_mut(place)?;
        while let Some(Idle { link, since }) = idle.pop_back() {
            if link.sender.is_ready() && since.elapsed() < IDLE_TIMEOUT {
                return Some(link);
            }
        }
        None
    }

    /// Keeps a connection whose answer was read to its end.
    pub(super) fn give_back(&self, place: Place, mut link: Link) {
        if link.sender.is_ready() {
            return self.keep(place, link);
        }
        // A service may answer before it has all of a request.
        let pool = self.clone();
        tokio::spawn(async move {
            if link.sender.ready().await.is_ok() {
                pool.keep(place, link);
            }
        });
    }

    fn keep(&self, place: Place, link: Link) {
        let since = Instant::now();
        let mut kept = lock(&self.0);
        if kept.is_empty() {
            tokio::spawn(close_unused(Arc::downgrade(&self.0)));
        }
        let idle = kept.entry(place).or_default();
        idle.push_back(Idle { link, since });
        if idle.len() > IDLE_MAX {
            idle.pop_front();
        }
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
        kept.retain(|_, idle| {
            idle.retain(|idle| {
                idle.since.elapsed() < IDLE_TIMEOUT && !idle.link.sender.is_closed()
            });
            !idle.is_empty()
        });
        if kept.is_empty() {
            return;
        }
    }
}

/// The body of an answer, which gives its connection back when it is over. Dropped before, it ends the connection.
pub(super) struct Answer {
    body: Incoming,
    lent: Option<(Link, Place, Pool)>,
}

impl Answer {
    pub(super) fn new(body: Incoming, link: Link, place: Place, pool: Pool) -> Self {
        let lent = Some((link, place, pool));
        let mut answer = Self { body, lent };
        answer.give_back_at_end();
        answer
    }

    fn give_back_at_end(&mut self) {
        if self.body.is_end_stream()
            && let Some((link, place, pool)) = self.lent.take()
        {
            pool.give_back(place, link);
        }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(_)) => self.give_back_at_end(),
            Some(Err(_)) => self.lent = None,
            None => {
                if let Some((link, place, pool)) = self.lent.take() {
                    pool.give_back(place, link);
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
