// SPDX-License-Identifier: Apache-2.0
//! Bodies in S3's signed chunks (`aws-chunked`), unpacked on the way.
//!
//! The guest's chunk signatures are made with its placeholder key and mean nothing to the store. Each chunk is
//! `size;chunk-signature=…`, a line end, data, a line end; one of size 0 is the last, and trailers may follow it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, SizeHint};

use super::upstream::BodyError;

/// Longest line before a chunk, and most of all trailers, in bytes.
const MAX_LINE: usize = 1024;
const MAX_TRAILERS: usize = 16 * 1024;

/// What is wrong with a chunked body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("aws-chunked body: {0}")]
pub(super) struct Malformed(&'static str);

#[derive(Debug)]
enum Expect {
    ChunkLine,
    Data(u64),
    DataEnd,
    Trailers(usize),
}

/// The data of a chunked body. It must be exactly as long as announced.
#[derive(Debug)]
pub(super) struct Unchunked<B> {
    inner: B,
    buffer: BytesMut,
    expect: Expect,
    remaining: u64,
}

impl<B> Unchunked<B> {
    /// Unpacks `inner`, whose data are `length` bytes by `x-amz-decoded-content-length`.
    pub(super) fn new(inner: B, length: u64) -> Self {
        Self {
            inner,
            buffer: BytesMut::new(),
            expect: Expect::ChunkLine,
            remaining: length,
        }
    }

    /// Takes what it can from the buffer. `None`: it needs more.
    fn step(&mut self) -> Result<Option<Bytes>, Malformed> {
        loop {
            match self.expect {
                Expect::ChunkLine => {
                    let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") else {
                        return if self.buffer.len() > MAX_LINE {
                            Err(Malformed("chunk line too long"))
                        } else {
                            Ok(None)
                        };
                    };
                    let line = self.buffer.split_to(end + 2);
                    let size = chunk_size(&line[..end])?;
                    self.remaining = self
                        .remaining
                        .checked_sub(size)
                        .ok_or(Malformed("more data than announced"))?;
                    self.expect = if size == 0 {
                        Expect::Trailers(0)
                    } else {
                        Expect::Data(size)
                    };
                }
                Expect::Data(left) => {
                    if self.buffer.is_empty() {
                        return Ok(None);
                    }
                    let take = usize::try_from(left)
                        .unwrap_or(usize::MAX)
                        .min(self.buffer.len());
                    let data = self.buffer.split_to(take).freeze();
                    let left = left - take as u64;
                    self.expect = if left == 0 {
                        Expect::DataEnd
                    } else {
                        Expect::Data(left)
                    };
                    return Ok(Some(data));
                }
                Expect::DataEnd => {
                    if self.buffer.len() < 2 {
                        return Ok(None);
                    }
                    if &self.buffer.split_to(2)[..] != b"\r\n" {
                        return Err(Malformed("no line end after a chunk"));
                    }
                    self.expect = Expect::ChunkLine;
                }
                Expect::Trailers(seen) => {
                    let seen = seen + self.buffer.len();
                    self.buffer.clear();
                    self.expect = Expect::Trailers(seen);
                    return if seen > MAX_TRAILERS {
                        Err(Malformed("trailers too long"))
                    } else {
                        Ok(None)
                    };
                }
            }
        }
    }

    fn end(&self) -> Result<(), Malformed> {
        match self.expect {
            Expect::Trailers(_) if self.remaining == 0 => Ok(()),
            Expect::Trailers(_) => Err(Malformed("less data than announced")),
            _ => Err(Malformed("it breaks off")),
        }
    }
}

impl<B> Body for Unchunked<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BodyError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        loop {
            match this.step() {
                Ok(Some(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(None) => {}
                Err(malformed) => return Poll::Ready(Some(Err(malformed.into()))),
            }
            match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        this.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => {
                    return Poll::Ready(this.end().err().map(|malformed| Err(malformed.into())));
                }
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.expect {
            Expect::Data(left) => SizeHint::with_exact(self.remaining + left),
            _ => SizeHint::with_exact(self.remaining),
        }
    }
}

fn chunk_size(line: &[u8]) -> Result<u64, Malformed> {
    let digits = line.split(|c| *c == b';').next().unwrap_or_default();
    let digits = std::str::from_utf8(digits)
        .ok()
        .filter(|d| d.bytes().all(|c| c.is_ascii_hexdigit()));
    digits
        .and_then(|d| u64::from_str_radix(d, 16).ok())
        .ok_or(Malformed("no chunk size"))
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Full};
    use proptest::prelude::*;

    use super::*;

    /// A body that comes in pieces.
    struct Pieces(std::vec::IntoIter<Bytes>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            Poll::Ready(self.0.next().map(|piece| Ok(Frame::data(piece))))
        }
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    proptest! {
        #[test]
        fn data_come_out_as_they_went_in(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..6),
            piece in 1_usize..40,
            trailer in prop::bool::ANY,
        ) {
            let data = chunks.concat();
            let mut packed = Vec::new();
            for chunk in &chunks {
                packed.extend(format!("{:x};chunk-signature=00\r\n", chunk.len()).bytes());
                packed.extend_from_slice(chunk);
                packed.extend(b"\r\n");
            }
            packed.extend(b"0;chunk-signature=00\r\n");
            packed.extend(if trailer { &b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n"[..] } else { b"\r\n" });
            let pieces: Vec<Bytes> = packed.chunks(piece).map(Bytes::copy_from_slice).collect();
            let body = Unchunked::new(Pieces(pieces.into_iter()), data.len() as u64);
            prop_assert_eq!(body.size_hint().exact(), Some(data.len() as u64));
            let unpacked = run(body.collect()).unwrap().to_bytes();
            prop_assert_eq!(&unpacked[..], &data[..]);
        }

        #[test]
        fn garbage_is_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), length in 1_u64..100) {
            let body = Unchunked::new(Full::new(Bytes::from(bytes)), length);
            if let Ok(body) = run(body.collect()) {
                prop_assert_eq!(body.to_bytes().len() as u64, length);
            }
        }
    }

    #[test]
    fn a_body_of_another_length_is_refused() {
        for (body, length) in [
            ("3\r\nabc\r\n0\r\n\r\n", 2),
            ("3\r\nabc\r\n0\r\n\r\n", 4),
            ("3\r\nabc\r\n", 3),
            ("3\r\nab", 3),
        ] {
            let body = Unchunked::new(Full::new(Bytes::from_static(body.as_bytes())), length);
            let error = run(body.collect()).unwrap_err();
            assert!(error.downcast_ref::<Malformed>().is_some());
        }
    }
}
