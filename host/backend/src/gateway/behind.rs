// SPDX-License-Identifier: Apache-2.0
//! A body that is still coming, each piece of which waits for the writes that its sender had been told of before.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::upstream::{Body, BodyError};
use crate::writeback::{WriteFailed, Writeback};

type Settling = Pin<Box<dyn Future<Output = Result<(), WriteFailed>> + Send>>;

/// A body behind a VM's deferred writes.
pub(super) struct Behind {
    body: Body,
    writeback: Arc<Writeback>,
    /// A piece that waits, and what for.
    held: Option<(Frame<Bytes>, Settling)>,
}

impl Behind {
    pub(super) fn new(body: Body, writeback: Arc<Writeback>) -> Self {
        Self {
            body,
            writeback,
            held: None,
        }
    }
}

impl HttpBody for Behind {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if this.held.is_none() {
            let frame = match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) if !this.writeback.is_clear() => frame,
                other => return Poll::Ready(other),
            };
            let writeback = Arc::clone(&this.writeback);
            let point = writeback.point();
            let settling = async move { writeback.settled(point).await };
            this.held = Some((frame, Box::pin(settling)));
        }
        let Some((frame, mut settling)) = this.held.take() else {
            return Poll::Ready(None);
        };
        match settling.as_mut().poll(context) {
            Poll::Ready(Ok(())) => Poll::Ready(Some(Ok(frame))),
            Poll::Ready(Err(failed)) => Poll::Ready(Some(Err(failed.into()))),
            Poll::Pending => {
                this.held = Some((frame, settling));
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.body.size_hint();
        let held = self.held.as_ref().and_then(|(frame, _)| frame.data_ref());
        let held = held.map_or(0, |data| data.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + held);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + held);
        }
        hint
    }
}
