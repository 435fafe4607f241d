// SPDX-License-Identifier: Apache-2.0
//! Bodies: whole ones in, whole or growing ones out.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use tokio::sync::mpsc;

/// Most bytes of a refused body that are taken.
const DISCARD_MAX: usize = 16 * 1024 * 1024;

/// How long a refused body may take.
const DISCARD_LIMIT: Duration = Duration::from_secs(10);

/// The body of an answer.
#[derive(Debug)]
pub enum Body {
    /// All of it; None once it was sent.
    Whole(Option<Bytes>),
    /// Pieces, until the sender is dropped.
    Growing(mpsc::Receiver<Bytes>),
}

/// A request's body has more bytes than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

impl Body {
    /// No body.
    pub fn empty() -> Self {
        Self::Whole(None)
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        let bytes = bytes.into();
        Self::Whole((!bytes.is_empty()).then_some(bytes))
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Growing(pieces) => pieces
                .poll_recv(cx)
                .map(|piece| piece.map(|piece| Ok(Frame::data(piece)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Growing(_) => SizeHint::default(),
        }
    }
}

/// Reads a request's body of at most `limit` bytes. `Ok(Err(TooLarge))` if it has more, and the rest is still to be
/// [discarded](discard); an error if the client went away.
pub async fn read(
    body: &mut Incoming,
    limit: usize,
) -> Result<Result<Bytes, TooLarge>, hyper::Error> {
    if body.size_hint().lower() > limit as u64 {
        return Ok(Err(TooLarge));
    }
    match Limited::new(body, limit).collect().await {
        Ok(whole) => Ok(Ok(whole.to_bytes())),
        Err(error) => match error.downcast::<hyper::Error>() {
            Ok(error) => Err(*error),
            Err(_) => Ok(Err(TooLarge)),
        },
    }
}

/// Takes what is left of a refused request's body. Without that the connection breaks while the client still sends, and
/// most clients then never look at the answer.
pub async fn discard(body: &mut Incoming) {
    let all = async {
        let mut left = DISCARD_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // Who sends more, or more slowly, gets the answer too, but may not see it.
    drop(tokio::time::timeout(DISCARD_LIMIT, all).await);
}
