// SPDX-License-Identifier: Apache-2.0
//! Connections to services, read in large pieces, so that a long body costs few system calls and few turns.
//!
//! - Below TLS a connection is buffered ([`Stream`]): rustls asks for four kilobytes at a time. And while a long body comes, the kernel
//!   wakes nobody for less than some records ([`Bulk`]).
//! - Above TLS, records that are there are read together ([`Records`]).

use std::io::{self, IoSlice};
use std::os::fd::AsRawFd as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::TcpStream;
use tower_service::Service;

/// What is read at once, in bytes: some records of TLS, which are of at most 16 KiB each (RFC 8446, section 5.1).
const READ: usize = 64 * 1024;

/// What hyper may have read beyond what it has handed on, in bytes; heads of answers are no longer either. S3's have 8 KiB at most.
pub(super) const HYPER: usize = 256 * 1024;

/// What may have come of a body beyond what is known here, in bytes: what hyper, the buffer and TLS hold.
const AHEAD: u64 = 384 * 1024;

/// How much of a long body wakes its reader, in bytes.
const LOW_WATER: u32 = 64 * 1024;

/// How many bytes are still to come over a connection, at least: whoever reads an answer's head says how long it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Bulk(Arc<AtomicU64>);

/// Makes connections.
#[derive(Clone, Debug)]
pub(super) struct Connector(HttpConnector);

/// A connection, below TLS if there is TLS.
#[derive(Debug)]
pub(super) struct Stream {
    io: BufReader<TcpStream>,
    bulk: Bulk,
    low_water: u32,
}

/// Has what another connector connects read by all records that are there.
#[derive(Clone, Debug)]
pub(super) struct ByRecords<C>(C);

/// What is above TLS.
#[derive(Debug)]
pub(super) struct Records<S> {
    io: S,
    /// What went wrong after bytes had come: the system says it once.
    failed: Option<io::Error>,
}

type Connecting<S, E> = Pin<Box<dyn Future<Output = Result<S, E>> + Send>>;

impl Bulk {
    /// That of a connection.
    pub(super) fn of(connection: &Connected) -> Self {
        let mut extras = http::Extensions::new();
        connection.get_extras(&mut extras);
        extras.remove().unwrap_or_default()
    }

    /// A body of this length has begun to come.
    pub(super) fn expect(&self, length: u64) {
        self.0
            .store(length.saturating_sub(AHEAD), Ordering::Relaxed);
    }

    fn came(&self, count: usize) {
        let left = self.0.load(Ordering::Relaxed);
        if left > 0 {
            let left = left.saturating_sub(count as u64);
            self.0.store(left, Ordering::Relaxed);
        }
    }

    /// How many bytes are worth waking for: never more than are sure to come.
    fn low_water(&self) -> u32 {
        let is_long = self.0.load(Ordering::Relaxed) >= u64::from(LOW_WATER);
        if is_long { LOW_WATER } else { 1 }
    }
}

impl Connector {
    pub(super) fn new(tcp: HttpConnector) -> Self {
        Self(tcp)
    }
}

impl<C> ByRecords<C> {
    pub(super) fn new(connector: C) -> Self {
        Self(connector)
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = <HttpConnector as Service<Uri>>::Error;
    type Future = Connecting<Self::Response, Self::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async move {
            let stream = connecting.await?.into_inner();
            Ok(TokioIo::new(Stream {
                io: BufReader::with_capacity(READ, stream),
                bulk: Bulk::default(),
                low_water: 1,
            }))
        })
    }
}

impl<C, S> Service<Uri> for ByRecords<C>
where
    C: Service<Uri, Response = S>,
    C::Future: Send + 'static,
{
    type Response = TokioIo<Records<TokioIo<S>>>;
    type Error = C::Error;
    type Future = Connecting<Self::Response, Self::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async move {
            let stream = TokioIo::new(connecting.await?);
            Ok(TokioIo::new(Records::new(stream)))
        })
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = self.io.get_ref().connected();
        connected.extra(self.bulk.clone())
    }
}

impl<S: Connection> Connection for Records<S> {
    fn connected(&self) -> Connected {
        self.io.connected()
    }
}

impl<S> Records<S> {
    fn new(io: S) -> Self {
        Self { io, failed: None }
    }
}

impl Stream {
    /// Nothing is there: says for how much this is to be read on.
    fn wait_for_enough(&mut self) -> io::Result<()> {
        let wanted = self.bulk.low_water();
        if wanted != self.low_water {
            set_low_water(self.io.get_ref(), wanted)?;
            self.low_water = wanted;
        }
        Ok(())
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        match read {
            Poll::Pending => self.wait_for_enough()?,
            Poll::Ready(_) => self.bulk.came(buffer.filled().len() - before),
        }
        read
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Records<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        let before = buffer.filled().len();
        loop {
            let so_far = buffer.filled().len();
            match Pin::new(&mut self.io).poll_read(context, buffer) {
                Poll::Ready(Ok(())) if buffer.filled().len() > so_far && buffer.remaining() > 0 => {
                }
                Poll::Ready(Err(error)) if so_far > before => {
                    self.failed = Some(error);
                    return Poll::Ready(Ok(()));
                }
                // An end comes again, and more bytes do.
                _ if so_far > before => return Poll::Ready(Ok(())),
                first => return first,
            }
        }
    }
}

/// Has writes go through as they are.
macro_rules! writes_through {
    ($stream:ty $(, $parameter:ident)?) => {
        impl$(<$parameter: AsyncWrite + Unpin>)? AsyncWrite for $stream {
            fn poll_write(
                mut self: Pin<&mut Self>,
                context: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.io).poll_write(context, bytes)
            }

            fn poll_write_vectored(
                mut self: Pin<&mut Self>,
                context: &mut Context<'_>,
                slices: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.io).poll_write_vectored(context, slices)
            }

            fn is_write_vectored(&self) -> bool {
                self.io.is_write_vectored()
            }

            fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.io).poll_flush(context)
            }

            fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.io).poll_shutdown(context)
            }
        }
    };
}

writes_through!(Stream);
writes_through!(Records<S>, S);

fn set_low_water(stream: &TcpStream, bytes: u32) -> io::Result<()> {
    let value = libc::c_int::try_from(bytes).map_err(io::Error::other)?;
    let length = libc::socklen_t::try_from(size_of_val(&value)).map_err(io::Error::other)?;
    // SAFETY: the option takes an int, which `value` is and outlives the call; the descriptor is open for as long as the stream lives.
    let set = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            (&raw const value).cast(),
            length,
        )
    };
    if set == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use http_body_util::{BodyExt as _, Empty};
    use hyper::client::conn::http1::Builder;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::sync::oneshot;

    use super::*;

    /// Length of a long body, and how much of it comes only after all the rest was read.
    const LENGTH: usize = 3 << 20;
    const REST: usize = 1000;

    /// Bytes, and then an error that is said once and followed by an end, as a socket does that was reset.
    struct Reset(u8);

    impl AsyncRead for Reset {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.0 += 1;
            match self.0 {
                1 => buffer.put_slice(b"half"),
                2 => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                _ => {}
            }
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn an_error_after_bytes_is_not_lost() {
        let mut records = Records::new(Reset(0));
        let mut read = [0; 100];
        assert_eq!(records.read(&mut read).await.unwrap(), 4);
        let error = records.read(&mut read).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn the_end_of_a_long_body_waits_for_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri: Uri = format!("http://{}/", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let (read, was_read) = oneshot::channel();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            assert_ne!(stream.read(&mut request).await.unwrap(), 0);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&vec![0; LENGTH - REST]).await.unwrap();
            was_read.await.unwrap();
            for byte in [1; REST] {
                stream.write_all(&[byte]).await.unwrap();
            }
        };
        let client = async {
            let mut connector = ByRecords::new(Connector::new(HttpConnector::new()));
            poll_fn(|context| connector.poll_ready(context))
                .await
                .unwrap();
            let stream = connector.call(uri).await.unwrap();
            let bulk = Bulk::of(&stream.inner().connected());
            let mut http = Builder::new();
            let opened = http.max_buf_size(HYPER).handshake(stream);
            let (mut sender, connection) = opened.await.unwrap();
            tokio::spawn(connection);
            let request = http::Request::new(Empty::<bytes::Bytes>::new());
            let mut response = sender.send_request(request).await.unwrap();
            bulk.expect(LENGTH as u64);
            let (mut count, mut read) = (0, Some(read));
            while let Some(frame) = response.body_mut().frame().await {
                count += frame.unwrap().into_data().unwrap().len();
                if count == LENGTH - REST
                    && let Some(read) = read.take()
                {
                    read.send(()).unwrap();
                }
            }
            assert_eq!(count, LENGTH);
        };
        let both = async { tokio::join!(server, client) };
        let patience = std::time::Duration::from_secs(60);
        tokio::time::timeout(patience, both).await.expect("it ends");
    }

    #[test]
    fn no_more_is_waited_for_than_will_come() {
        let bulk = Bulk::default();
        assert_eq!(bulk.low_water(), 1);
        bulk.expect(AHEAD + u64::from(LOW_WATER) - 1);
        assert_eq!(bulk.low_water(), 1, "what is ahead may have come already");
        bulk.expect(AHEAD + u64::from(LOW_WATER));
        assert_eq!(bulk.low_water(), LOW_WATER);
        bulk.came(1);
        assert_eq!(bulk.low_water(), 1);
        bulk.came(usize::MAX);
        assert_eq!(bulk.low_water(), 1);
    }
}
