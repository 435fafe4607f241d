// SPDX-License-Identifier: Apache-2.0
//! How long a service may be silent: between the last byte that it was sent and its answer, and between two pieces of that.
//!
//! Only its own time counts. While the gateway waits for more of a request from the guest, or for the guest to take more of an answer, it
//! is not the service that is slow.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::upstream::{Body, BodyError, Unanswered};

/// Largest piece in which a body is handed to a connection, in bytes: each that is taken shows that the service reads.
const PIECE: usize = 64 * 1024;

/// A service has been silent for too long.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("nothing came for {:?}", .0)]
pub(super) struct Silent(Duration);

impl Silent {
    /// Whether an error is one of these, or has one as its cause.
    pub(super) fn is_cause(error: &(dyn StdError + 'static)) -> bool {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if error.is::<Self>() {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

/// Since when a service is to do something.
#[derive(Debug, Clone)]
pub(super) struct Turn(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    since: Instant,
    /// The guest is to send more first.
    is_guests: bool,
}

impl Turn {
    fn set(&self, is_guests: bool) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State {
            since: Instant::now(),
            is_guests,
        };
    }

    /// When the service's time is up; none if it is not its turn.
    fn end(&self, limit: Duration) -> Option<Instant> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (!state.is_guests).then(|| state.since + limit)
    }
}

/// A request's body that notes whose turn it is.
pub(super) struct Sending {
    body: Body,
    rest: Bytes,
    turn: Turn,
}

impl Sending {
    pub(super) fn new(body: Body) -> (Self, Turn) {
        let state = State {
            since: Instant::now(),
            is_guests: false,
        };
        let turn = Turn(Arc::new(Mutex::new(state)));
        let sending = Self {
            body,
            rest: Bytes::new(),
            turn: turn.clone(),
        };
        (sending, turn)
    }
}

impl HttpBody for Sending {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if this.rest.is_empty() {
            match Pin::new(&mut this.body).poll_frame(context) {
                Poll::Pending => {
                    this.turn.set(true);
                    return Poll::Pending;
                }
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(other) => {
                        this.turn.set(false);
                        return Poll::Ready(Some(Ok(other)));
                    }
                },
                end @ Poll::Ready(_) => {
                    this.turn.set(false);
                    return end;
                }
            }
        }
        this.turn.set(false);
        let length = this.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(this.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let rest = self.rest.len() as u64;
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

/// Waits for an answer whose service may be silent for `limit`, in all of it.
pub(super) async fn within(
    limit: Duration,
    turn: Turn,
    answer: impl Future<Output = Result<Response<Body>, Unanswered>>,
) -> Result<Response<Body>, Unanswered> {
    let silence = async {
        loop {
            match turn.end(limit) {
                Some(end) if end <= Instant::now() => return,
                Some(end) => tokio::time::sleep_until(end).await,
                None => tokio::time::sleep(limit).await,
            }
        }
    };
    tokio::select! {
        biased;
        answer = answer => answer.map(|answer| answer.map(|body| Coming::new(body, limit).boxed_unsync())),
        () = silence => Err(Unanswered { sent: true, kept: false, source: Silent(limit).into() }),
    }
}

/// An answer's body whose pieces may be so long in coming.
struct Coming {
    body: Body,
    limit: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Coming {
    fn new(body: Body, limit: Duration) -> Self {
        Self {
            body,
            limit,
            waiting: None,
        }
    }
}

impl HttpBody for Coming {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        // First what has come: it may have while the guest took its time.
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            this.waiting = None;
            return Poll::Ready(frame);
        }
        let limit = this.limit;
        let waiting = this
            .waiting
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        match waiting.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Some(Err(Silent(limit).into()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
