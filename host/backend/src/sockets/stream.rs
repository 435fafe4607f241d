// SPDX-License-Identifier: Apache-2.0
//! A socket's rings as a byte stream for a service inside the process: one copy between guest memory and the service's
//! buffers, none in between.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::socket::Socket;
use super::state::Moved;

/// Most bytes moved in one call, so that a service that copies a lot still gives way to others.
const CHUNK: u32 = 256 << 10;

/// The host's end of a guest's connection to a service. Dropping it closes the connection.
#[derive(Debug)]
pub(super) struct RingStream {
    socket: Arc<Socket>,
}

impl RingStream {
    pub(super) fn new(socket: Arc<Socket>) -> Self {
        Self { socket }
    }
}

impl AsyncRead for RingStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = u32::try_from(buf.remaining()).unwrap_or(CHUNK).min(CHUNK);
        if room == 0 {
            return Poll::Ready(Ok(()));
        }
        let moved = self.socket.transmit(room, |runs, _| {
            let mut taken = 0;
            for run in runs {
                let part = run.len().min(buf.remaining());
                run.copy_to(&mut buf.initialize_unfilled_to(part)[..part]);
                buf.advance(part);
                taken += part;
            }
            Ok(taken)
        });
        let poll = match moved {
            Moved::Bytes | Moved::Finished => Poll::Ready(Ok(())),
            Moved::Gone => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            _ => {
                let mut state = self.socket.lock();
                // The guest may have sent something between the two locks.
                if state.readable() {
                    cx.waker().wake_by_ref();
                } else {
                    state.reader = Some(cx.waker().clone());
                }
                Poll::Pending
            }
        };
        self.socket.flush();
        poll
    }
}

impl AsyncWrite for RingStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wanted = bufs.iter().map(|buf| buf.len()).sum::<usize>();
        let limit = u32::try_from(wanted).unwrap_or(CHUNK).min(CHUNK);
        if limit == 0 {
            return Poll::Ready(Ok(0));
        }
        let mut given = 0;
        let moved = self.socket.receive(limit, |mut runs| {
            let mut run = 0;
            for mut buf in bufs.iter().map(|buf| &buf[..]) {
                while run < runs.len() && !buf.is_empty() {
                    let part = runs[run].len().min(buf.len());
                    runs[run].copy_from(&buf[..part]);
                    given += part;
                    buf = &buf[part..];
                    match runs[run].offset(part) {
                        Ok(rest) if !rest.is_empty() => runs[run] = rest,
                        _ => run += 1,
                    }
                }
            }
            Ok(given)
        });
        let poll = match moved {
            Moved::Bytes => Poll::Ready(Ok(given)),
            // Linux drops what a peer sends after SHUT_RD, and the peer does not notice.
            Moved::Discard if !self.socket.closing() => Poll::Ready(Ok(wanted)),
            Moved::Discard | Moved::Finished => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Moved::Gone => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Moved::Idle | Moved::Blocked | Moved::Held | Moved::Failed(_) => {
                let mut state = self.socket.lock();
                if state.writable() {
                    cx.waker().wake_by_ref();
                } else {
                    state.writer = Some(cx.waker().clone());
                }
                Poll::Pending
            }
        };
        self.socket.flush();
        poll
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.eof();
        self.socket.flush();
        Poll::Ready(Ok(()))
    }
}

impl Drop for RingStream {
    fn drop(&mut self) {
        self.socket.hang_up();
    }
}
