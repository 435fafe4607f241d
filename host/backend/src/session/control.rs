// SPDX-License-Identifier: Apache-2.0
//! The vhost-user connection of one VM, and the task that serves it.
//!
//! The `vhost` crate reads a message with blocking calls. It is called only once a whole message lies in the socket's
//! buffer, and only while there is room for its reply, so that a VMM that stalls in the middle of a message or takes no
//! reply holds up nobody, without a thread for each VM.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use vhost::vhost_user::{BackendReqHandler, Error};

use super::SessionEnd;
use super::device::Device;
use super::transport::Transport;

/// Size of the header of a vhost-user message: request, flags, size of the payload, each a u32.
const HEADER: usize = 12;

/// Largest payload of a message (`MAX_MSG_SIZE` of the vhost crate, which refuses larger ones by the header alone).
const PAYLOAD_MAX: usize = 0x1000;

/// Replies that may wait for the VMM, in bytes: a few, and far less than the buffer of a Unix socket.
const REPLIES_MAX: usize = 32 << 10;

/// What lies in the connection's buffer.
enum Waiting {
    Message,
    Part,
    End,
}

pub(super) struct Control {
    device: Arc<Device>,
    handler: BackendReqHandler<Mutex<Transport>>,
    stream: AsyncFd<UnixStream>,
}

impl Control {
    pub(super) fn new(stream: UnixStream, device: Arc<Device>) -> io::Result<Self> {
        let transport = Arc::new(Mutex::new(Transport::new(Arc::clone(&device))));
        let watched = stream.try_clone()?;
        // SAFETY: a `UnixStream` keeps its one descriptor open until it is dropped, and the `AsyncFd` owns it and lends it
        // out by shared reference only.
        let watched = unsafe { AsyncFd::register(watched)? };
        Ok(Self {
            device,
            handler: BackendReqHandler::from_stream(stream, transport),
            stream: watched,
        })
    }

    /// Serves the VM until it ends, cleans up, and says how it ended.
    pub(super) async fn serve(
        mut self,
        stop: CancellationToken,
        ended: watch::Sender<Option<SessionEnd>>,
    ) {
        // Also if the runtime drops this task: no socket outlives it.
        let cleanup = Cleanup(Arc::clone(&self.device));
        let end = self.run(&stop).await;
        tracing::debug!(instance = self.device.name(), ?end, "session ended");
        drop(cleanup);
        drop(self);
        ended.send_replace(Some(end));
    }

    async fn run(&mut self, stop: &CancellationToken) -> SessionEnd {
        let device = Arc::clone(&self.device);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return SessionEnd::Stopped,
                violation = device.violated() => return SessionEnd::Violation(violation),
                message = self.message() => {
                    if let Err(end) = message.and_then(|()| self.handle()) {
                        // A queue that cannot start is the guest's doing.
                        return self.device.violation().map_or(end, SessionEnd::Violation);
                    }
                }
            }
        }
    }

    /// Resolves when a whole message can be read.
    async fn message(&self) -> Result<(), SessionEnd> {
        let failed =
            |error: io::Error| SessionEnd::Failed(format!("vhost-user connection: {error}"));
        loop {
            let mut ready = self.stream.readable().await.map_err(failed)?;
            match waiting(self.stream.get_ref().as_fd()).map_err(failed)? {
                Waiting::Message => return Ok(()),
                Waiting::End => return Err(SessionEnd::Hangup),
                Waiting::Part if ready.ready().is_read_closed() => return Err(SessionEnd::Hangup),
                Waiting::Part => ready.clear_ready(),
            }
        }
    }

    fn handle(&mut self) -> Result<(), SessionEnd> {
        let replies = outgoing(self.stream.get_ref().as_fd());
        if replies.map_err(|error| SessionEnd::Failed(error.to_string()))? > REPLIES_MAX {
            return Err(SessionEnd::Failed(
                "the VMM does not take the replies to its vhost-user messages".into(),
            ));
        }
        match self.handler.handle_request() {
            Ok(()) => Ok(()),
            Err(Error::Disconnected | Error::SocketBroken(_)) => Err(SessionEnd::Hangup),
            Err(error) => {
                tracing::warn!(instance = self.device.name(), %error, "vhost-user request failed, the session ends");
                Err(SessionEnd::Failed(format!("vhost-user request: {error}")))
            }
        }
    }
}

struct Cleanup(Arc<Device>);

impl Drop for Cleanup {
    fn drop(&mut self) {
        self.0.end();
    }
}

fn waiting(stream: BorrowedFd<'_>) -> io::Result<Waiting> {
    let mut header = [0u8; HEADER];
    // SAFETY: the buffer is `header`, of the length given. A peek leaves descriptors that come with the message to the
    // call that reads it.
    let peeked = unsafe {
        libc::recv(
            stream.as_raw_fd(),
            header.as_mut_ptr().cast(),
            HEADER,
            libc::MSG_PEEK | libc::MSG_DONTWAIT,
        )
    };
    match usize::try_from(peeked) {
        Ok(0) => return Ok(Waiting::End),
        Ok(HEADER) => {}
        Ok(_) => return Ok(Waiting::Part),
        Err(_) => {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(Waiting::Part),
                io::ErrorKind::ConnectionReset => Ok(Waiting::End),
                _ => Err(error),
            };
        }
    }
    let payload = u32::from_ne_bytes([header[8], header[9], header[10], header[11]]) as usize;
    let complete = payload > PAYLOAD_MAX || ioctl(stream, libc::FIONREAD)? >= HEADER + payload;
    Ok(if complete {
        Waiting::Message
    } else {
        Waiting::Part
    })
}

/// Bytes that the VMM has not taken yet.
fn outgoing(stream: BorrowedFd<'_>) -> io::Result<usize> {
    ioctl(stream, libc::TIOCOUTQ)
}

fn ioctl(stream: BorrowedFd<'_>, request: libc::Ioctl) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: FIONREAD and TIOCOUTQ (SIOCOUTQ) write one int (unix(7), tcp(7)).
    let result = unsafe { libc::ioctl(stream.as_raw_fd(), request, &raw mut bytes) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(usize::try_from(bytes).unwrap_or(0))
}
