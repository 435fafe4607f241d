// SPDX-License-Identifier: Apache-2.0
//! The other way into the gateway: calls of SDK shims, one after the other on a connection (`nexus_proto::call`).
//!
//! A call is judged, signed and passed on as a request over HTTP is. Small bodies are read whole, larger ones pass through as
//! they come.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Frame, SizeHint};
use nexus_proto::call::{self, Answer, FIXED_SIZE, Head, IN_CHUNKS, Malformed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::exchange::Again;
use super::refusal::{Refusal, Wording};
use super::s3::S3;
use super::sign::SignedFor;
use super::upstream::{Body, BodyError, full};
use super::{Gateway, Payload};
use crate::service::{Service, ServiceStream, Serving};

/// Bodies of requests up to this length are read before the call is made, in bytes.
const WHOLE_MAX: u64 = 256 * 1024;

/// What is read at once of a longer body, in bytes.
const PIECE: usize = 64 * 1024;

/// Pieces of a body that may wait for the store.
const PIECES: usize = 4;

/// How much of a body that nobody wants any more is read, so that the connection can go on, in bytes.
const DRAIN_MAX: u64 = 16 * 1024 * 1024;

/// Answers whose body is not longer go out in one write with their head, in bytes.
const JOINED_MAX: usize = 64 * 1024;

/// Room for an answer with its head as most are, in bytes.
const ANSWER_USUAL: usize = 2048;

/// The calls of one VM.
#[derive(Debug)]
pub struct Calls(Arc<Gateway>);

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("a call is malformed: {0}")]
    Malformed(#[from] Malformed),
    #[error("the store's answer broke off: {0}")]
    Body(#[source] BodyError),
    #[error("its body is longer than anybody reads")]
    Unread,
    #[error(transparent)]
    Stream(#[from] io::Error),
}

impl Calls {
    /// Has calls answered by `gateway`.
    pub fn new(gateway: Arc<Gateway>) -> Arc<Self> {
        Arc::new(Self(gateway))
    }
}

impl Service for Calls {
    fn serve(self: Arc<Self>, stream: ServiceStream) -> Serving {
        Box::pin(async move {
            let connection = Connection {
                gateway: Arc::clone(&self.0),
                stream,
                read: BytesMut::new(),
            };
            match connection.serve().await {
                Ok(()) => {}
                Err(Broken::Malformed(malformed)) => {
                    tracing::warn!(function = %self.0.name, %malformed, "a connection of an SDK shim is closed");
                }
                Err(error) => {
                    tracing::debug!(function = %self.0.name, %error, "a connection of an SDK shim broke");
                }
            }
        })
    }
}

struct Connection {
    gateway: Arc<Gateway>,
    stream: ServiceStream,
    /// What came and is not used yet.
    read: BytesMut,
}

impl Connection {
    async fn serve(mut self) -> Result<(), Broken> {
        while self.more(FIXED_SIZE).await? {
            let mut fixed = [0; FIXED_SIZE];
            self.read.copy_to_slice(&mut fixed);
            let request = call::Request::decode(&fixed)?;
            let length = usize::try_from(request.head).map_err(io::Error::other)?;
            if !self.more(length).await? {
                return Err(Malformed::Incomplete.into());
            }
            let head = self.read.split_to(length);
            self.call(Head::parse(&head)?, request.body).await?;
        }
        Ok(())
    }

    /// Reads until there are `count` bytes; false if the shim is gone.
    async fn more(&mut self, count: usize) -> io::Result<bool> {
        while self.read.len() < count {
            self.read.reserve(PIECE);
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn call(&mut self, head: Head<'_>, length: u64) -> Result<(), Broken> {
        let wording = Wording::of(head.service, false);
        let gateway = Arc::clone(&self.gateway);
        let (parts, signed_for) = match parts(&head, length) {
            Ok(read) => read,
            Err(refusal) => {
                let path = head.path_and_query.split('?').next().unwrap_or_default();
                let asked = gateway.asked(head.method, path, head.service);
                let response = gateway.refuse(&refusal, wording, path, false);
                gateway.audit(asked, &response);
                self.discard(length).await?;
                return self.answer(response).await;
            }
        };
        let (response, passed) = if length <= WHOLE_MAX {
            let body = self.whole(length).await?;
            let call = gateway.call(parts, signed_for, wording, body);
            (self.unless_gone(call).await?, Ok(()))
        } else {
            let (body, sender) = Pieces::body(length);
            let call = gateway.call(parts, signed_for, wording, body);
            Box::pin(self.while_it_comes(call, length, sender)).await?
        };
        let answered = self.answer(response).await;
        passed?;
        answered
    }

    /// Makes a call whose body is passed on to it meanwhile. Says too whether the connection can go on.
    async fn while_it_comes(
        &mut self,
        call: impl Future<Output = Response<Body>>,
        length: u64,
        sender: mpsc::Sender<Piece>,
    ) -> io::Result<(Response<Body>, Result<(), Broken>)> {
        let mut call = pin!(call);
        let mut early = None;
        let passed = {
            let mut passing = pin!(self.pass_on(length, sender));
            tokio::select! {
                passed = &mut passing => passed,
                response = &mut call => {
                    early = Some(response);
                    passing.await
                }
            }
        };
        let response = match early {
            Some(response) => response,
            None => self.unless_gone(call).await?,
        };
        Ok((response, passed))
    }

    /// Makes a call whose body is here. Who gave one up may make another, which this must not come after.
    async fn unless_gone(
        &mut self,
        call: impl Future<Output = Response<Body>>,
    ) -> io::Result<Response<Body>> {
        tokio::select! {
            response = call => Ok(response),
            error = self.gone() => Err(error),
        }
    }

    /// Resolves when the shim is gone. What it sends meanwhile is kept, up to a bound.
    async fn gone(&mut self) -> io::Error {
        while self.read.len() < PIECE {
            // Hardly ever does more come, and what is left of the last piece's room is enough.
            self.read.reserve(1);
            match self.stream.read_buf(&mut self.read).await {
                Ok(0) => return io::ErrorKind::UnexpectedEof.into(),
                Ok(_) => {}
                Err(error) => return error,
            }
        }
        std::future::pending().await
    }

    /// Reads a body whole.
    async fn whole(&mut self, length: u64) -> Result<Body, Broken> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        if !self.more(length).await? {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(full(self.read.split_to(length).freeze()))
    }

    /// Reads a body, or chunks of one, and hands it on for as long as somebody wants it.
    async fn pass_on(&mut self, length: u64, sender: mpsc::Sender<Piece>) -> Result<(), Broken> {
        let passed = self.pass_all(length, &sender).await;
        if let Err(broken) = &passed {
            // What came so far must not pass for the whole.
            let error = io::Error::new(io::ErrorKind::UnexpectedEof, broken.to_string());
            sender.send(Err(error.into())).await.ok();
        }
        passed
    }

    async fn pass_all(&mut self, length: u64, sender: &mpsc::Sender<Piece>) -> Result<(), Broken> {
        if length != IN_CHUNKS {
            return self.pass(length, sender).await;
        }
        loop {
            if !self.more(size_of::<u32>()).await? {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            match self.read.get_u32_le() {
                0 => return Ok(()),
                chunk => self.pass(chunk.into(), sender).await?,
            }
        }
    }

    async fn pass(&mut self, mut left: u64, sender: &mpsc::Sender<Piece>) -> Result<(), Broken> {
        while left > 0 {
            if sender.is_closed() {
                return self.discard(left).await;
            }
            let piece = self.piece(left).await?;
            left -= piece.len() as u64;
            // Nobody wants it any more: what is left is dropped in the next turn.
            sender.send(Ok(piece)).await.ok();
        }
        Ok(())
    }

    /// The next bytes of a body of which `left` are to come.
    async fn piece(&mut self, left: u64) -> Result<Bytes, Broken> {
        if self.read.is_empty() && !self.more(1).await? {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        let count = self.read.len().min(most);
        Ok(self.read.split_to(count).freeze())
    }

    async fn discard(&mut self, mut left: u64) -> Result<(), Broken> {
        if left > DRAIN_MAX {
            return Err(Broken::Unread);
        }
        while left > 0 {
            left -= self.piece(left).await?.len() as u64;
        }
        Ok(())
    }

    async fn answer(&mut self, response: Response<Body>) -> Result<(), Broken> {
        let (parts, mut body) = response.into_parts();
        let length = body.size_hint().exact();
        let mut message = head(&parts, length.unwrap_or(IN_CHUNKS));
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(Broken::Body)?.into_data() else {
                // Trailers say nothing that a caller sees.
                continue;
            };
            if data.is_empty() {
                continue;
            }
            if length.is_none() {
                let length = u32::try_from(data.len()).map_err(io::Error::other)?;
                message.extend_from_slice(&length.to_le_bytes());
            }
            if message.len() + data.len() <= JOINED_MAX {
                message.extend_from_slice(&data);
                if length.is_some() && body.is_end_stream() {
                    break;
                }
            } else {
                self.write(&mut message).await?;
                self.stream.write_all(&data).await?;
            }
        }
        if length.is_none() {
            message.extend_from_slice(&0_u32.to_le_bytes());
        }
        self.write(&mut message).await?;
        self.stream.flush().await?;
        Ok(())
    }

    async fn write(&mut self, message: &mut BytesMut) -> io::Result<()> {
        self.stream.write_all_buf(message).await
    }
}

/// A piece of a body, or that there are no more though there should be.
type Piece = Result<Bytes, BodyError>;

/// The pieces of a body as hyper takes them.
struct Pieces {
    receiver: mpsc::Receiver<Piece>,
    /// Bytes that are to come, if that is known.
    left: Option<u64>,
}

impl Pieces {
    /// A body of this length, or in chunks, and where its pieces go in.
    fn body(length: u64) -> (Body, mpsc::Sender<Piece>) {
        let (sender, receiver) = mpsc::channel(PIECES);
        let left = (length != IN_CHUNKS).then_some(length);
        let body = Self { receiver, left };
        (body.boxed_unsync(), sender)
    }
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let piece = ready!(self.receiver.poll_recv(context));
        if let (Some(left), Some(Ok(bytes))) = (&mut self.left, &piece) {
            *left = left.saturating_sub(bytes.len() as u64);
        }
        Poll::Ready(piece.map(|bytes| bytes.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

/// The request that a call stands for, and what it is to be signed for.
fn parts(head: &Head<'_>, length: u64) -> Result<(Parts, SignedFor), Refusal> {
    let invalid = |what: &dyn std::fmt::Display| {
        Refusal::bad_request(
            "InvalidRequest",
            format!("The call cannot be read: {what}."),
        )
    };
    let signed_for = SignedFor::new(head.region, head.service)
        .ok_or_else(|| invalid(&"region and service must be names"))?;
    let method = Method::from_bytes(head.method.as_bytes()).map_err(|error| invalid(&error))?;
    let uri: Uri = head
        .path_and_query
        .parse()
        .map_err(|error| invalid(&error))?;
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    for (name, value) in head.headers() {
        let name = HeaderName::from_bytes(name).map_err(|error| invalid(&error))?;
        // As HTTP has them. What is around a value is signed, and lost on the way.
        let value = HeaderValue::from_bytes(value.trim_ascii()).map_err(|error| invalid(&error))?;
        if value.as_bytes().contains(&b'\t') {
            return Err(invalid(&"a header holds a tab"));
        }
        headers.append(name, value);
    }
    headers.remove(TRANSFER_ENCODING);
    headers.remove(CONTENT_LENGTH);
    let has_body = !matches!(head.method, "GET" | "HEAD" | "DELETE") || length > 0;
    if length != IN_CHUNKS && has_body {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok((request.into_parts().0, signed_for))
}

/// An answer's fixed part and head.
fn head(parts: &http::response::Parts, body: u64) -> BytesMut {
    let mut message = BytesMut::with_capacity(ANSWER_USUAL);
    message.resize(FIXED_SIZE, 0);
    let mut add = |text: &[u8]| {
        message.extend_from_slice(text);
        message.extend_from_slice(b"\0");
    };
    let headers = || parts.headers.iter();
    headers().for_each(|(name, _)| add(name.as_str().as_bytes()));
    add(b"");
    headers().for_each(|(_, value)| add(value.as_bytes()));
    let answer = Answer {
        head: u32::try_from(message.len() - FIXED_SIZE).unwrap_or(u32::MAX),
        status: parts.status.as_u16(),
        retries: parts.extensions.get::<Again>().map_or(0, |again| again.0),
        body,
    };
    message[..FIXED_SIZE].copy_from_slice(&answer.encode());
    message
}

impl Gateway {
    /// Makes one call, which is signed for what the shim says, and writes it down.
    pub(super) async fn call(
        self: Arc<Self>,
        parts: Parts,
        signed_for: SignedFor,
        wording: Wording,
        body: Body,
    ) -> Response<Body> {
        let asked = self.asked(parts.method.as_str(), parts.uri.path(), &signed_for.service);
        let response = self.make(parts, signed_for, wording, body).await;
        self.audit(asked, &response);
        response
    }

    async fn make(
        self: &Arc<Self>,
        parts: Parts,
        signed_for: SignedFor,
        wording: Wording,
        body: Body,
    ) -> Response<Body> {
        let point = self.writeback.point();
        let (resource, is_head) = (parts.uri.path().to_owned(), parts.method == Method::HEAD);
        let answered = if signed_for.service == S3 {
            match self.judge_s3(parts, &signed_for) {
                Ok((judged, Payload::AsIs)) => self.do_s3(judged, point, body).await,
                Ok((_, Payload::Unchunk(_))) => Err(Refusal::bad_request(
                    "InvalidArgument",
                    "The body of a call is not signed in chunks.",
                )),
                Err(refusal) => Err(refusal),
            }
        } else {
            match self.admit(&signed_for, &parts.headers, body.size_hint().upper()) {
                Ok(()) => self.serve_service(parts, &signed_for, body).await,
                Err(refusal) => Err(refusal),
            }
        };
        let refusal = match answered {
            Ok(response) => return response,
            Err(refusal) => refusal,
        };
        let mut response = self.refuse(&refusal, wording, &resource, is_head);
        // As HTTP would say it.
        if let Some(length) = response.body().size_hint().exact() {
            let headers = response.headers_mut();
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        response
    }
}
