// SPDX-License-Identifier: Apache-2.0
//! Moves bytes between a TCP connection and a socket's rings, in place: the kernel copies from and to guest memory.
//!
//! One task for each connection, bounded work for each turn, no call that blocks. A task holds no buffer: a peer that
//! reads slowly fills the guest's tx ring, a guest that reads slowly fills its rx ring and then the peer's window.
//!
//! - `transfer`: the system calls.

pub(super) mod transfer;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{Shutdown, setsockopt, shutdown, sockopt};
use tokio::io::Interest;
use tokio::net::{TcpSocket, TcpStream};

use super::connect::local_address;
use super::raw::{self, errno};
use super::socket::Socket;
use super::state::Moved;
use crate::writeback::Writeback;

/// Most bytes that one system call moves: long enough to make the call cheap, short enough to hold a socket's lock for.
const CHUNK: u32 = 128 << 10;

/// Most system calls for each direction in one turn, after which other connections get theirs.
const CALLS: usize = 4;

/// Seconds that a connection may be quiet before the host asks whether the peer is still there, unless the guest says
/// otherwise. Without any such time a guest waits for ever for a peer that vanished.
const KEEPALIVE_IDLE: u32 = 60;

/// Seconds until the next such probe.
const KEEPALIVE_INTERVAL: u32 = 15;

/// Probes without an answer after which the connection breaks with ETIMEDOUT: two minutes after the peer's last sign of life.
const KEEPALIVE_PROBES: u32 = 4;

/// Levels of options, as on the wire and in Linux.
const SOL_IP: u32 = 0;
const SOL_IPV6: u32 = 41;

/// What a connection waits for, or how it ends.
enum Turn {
    /// Nothing: there is more to do.
    More,
    /// The guest, and the peer's bytes, room or reset, or the guest's deferred writes.
    Wait {
        read: bool,
        write: bool,
        reset: bool,
        held: bool,
    },
    /// Both directions are over.
    Done,
    /// To be reset.
    Reset,
    /// The connection broke.
    Failed(u16),
}

/// Lets small writes of the guest go to the connection at once, where they are found in the request queue, until it is
/// dropped.
struct Shortcut<'a>(&'a Socket);

impl<'a> Shortcut<'a> {
    fn open(socket: &'a Socket, stream: &Arc<TcpStream>) -> Self {
        socket.set_shortcut(Some(Arc::clone(stream)));
        Self(socket)
    }
}

impl Drop for Shortcut<'_> {
    fn drop(&mut self) {
        self.0.set_shortcut(None);
    }
}

/// Connects `socket` to `peer` and moves its bytes until the connection ends. A source port of zero is any.
pub(super) async fn run(
    socket: Arc<Socket>,
    gate: Arc<Writeback>,
    peer: SocketAddr,
    source_port: u16,
    connect_timeout: Duration,
) {
    let error = match connect(&socket, &gate, peer, source_port, connect_timeout).await {
        Ok(Some(stream)) => pump(&socket, &gate, stream, peer).await,
        Ok(None) => None,
        Err(error) => Some(errno_of(&error)),
    };
    // The connection is closed here, so that the guest's release says that nothing of it is left.
    socket.finish(error);
}

/// Moves the bytes of a connection that the guest has accepted, until it ends.
pub(super) async fn serve(socket: Arc<Socket>, gate: Arc<Writeback>, stream: TcpStream) {
    let error = match stream.peer_addr() {
        Ok(peer) => pump(&socket, &gate, stream, peer).await,
        // The peer is gone already.
        Err(error) => Some(errno_of(&error)),
    };
    socket.finish(error);
}

/// Connects, or gives `None` if the guest closes the socket meanwhile.
async fn connect(
    socket: &Socket,
    gate: &Writeback,
    peer: SocketAddr,
    source_port: u16,
    timeout: Duration,
) -> io::Result<Option<TcpStream>> {
    let tcp = match peer {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    prepare(tcp.as_fd())?;
    apply_options(socket, tcp.as_fd(), peer);
    if source_port != 0 {
        let any: IpAddr = match peer {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        // As for a guest's own sockets, an earlier connection from there that is over is no obstacle.
        tcp.set_reuseaddr(true)?;
        tcp.bind((any, source_port).into())
            .map_err(|_| io::Error::from_raw_os_error(libc::EADDRNOTAVAIL))?;
    }
    let connecting = async {
        // That somebody connects can be seen, too.
        gate.cleared().await;
        tokio::time::timeout(timeout, tcp.connect(peer)).await
    };
    tokio::pin!(connecting);
    let stream = loop {
        tokio::select! {
            result = &mut connecting => {
                break result.unwrap_or_else(|_| Err(io::Error::from_raw_os_error(libc::ETIMEDOUT)))?;
            }
            () = socket.changed() => {
                if socket.abandoned() {
                    return Ok(None);
                }
                // Those that are set meanwhile are applied once it is connected.
            }
        }
    };
    let port = stream.local_addr()?.port();
    socket.established(local_address(socket.family(), peer.ip(), port));
    Ok(Some(stream))
}

/// Has small writes go out at once, and a peer that vanished noticed, also by a guest that only waits for it (tcp(7)).
pub(super) fn prepare(tcp: BorrowedFd<'_>) -> io::Result<()> {
    setsockopt(&tcp, sockopt::TcpNoDelay, &true)?;
    setsockopt(&tcp, sockopt::TcpKeepIdle, &KEEPALIVE_IDLE)?;
    setsockopt(&tcp, sockopt::TcpKeepInterval, &KEEPALIVE_INTERVAL)?;
    setsockopt(&tcp, sockopt::TcpKeepCount, &KEEPALIVE_PROBES)?;
    setsockopt(&tcp, sockopt::KeepAlive, &true)?;
    transfer::prepare(tcp)
}

/// Has the connection reset when it is dropped.
pub(super) fn reset_on_close(stream: &TcpStream) {
    // With a linger time of zero, close(2) drops what is unsent and sends RST (tcp(7), socket(7)).
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    if let Err(error) = setsockopt(stream, sockopt::Linger, &linger) {
        tracing::debug!(%error, "cannot reset a connection, closing it");
    }
}

/// Applies the options that the guest has set since the last time.
fn apply_options(socket: &Socket, fd: BorrowedFd<'_>, peer: SocketAddr) {
    for (option, value) in socket.take_options() {
        let of_other_family = match peer {
            SocketAddr::V4(_) => option.level() == SOL_IPV6,
            SocketAddr::V6(_) => option.level() == SOL_IP,
        };
        if of_other_family {
            continue;
        }
        if let Err(error) = raw::set_option(fd, option.level(), option.name(), value) {
            tracing::debug!(?option, value, %error, "an option that the host does not take");
        }
    }
}

/// Moves bytes both ways until the connection ends; the error with which it broke, if it did.
async fn pump(
    socket: &Arc<Socket>,
    gate: &Writeback,
    stream: TcpStream,
    peer: SocketAddr,
) -> Option<u16> {
    let stream = Arc::new(stream);
    let _shortcut = Shortcut::open(socket, &stream);
    let mut fin_sent = false;
    loop {
        apply_options(socket, stream.as_fd(), peer);
        let turn = turn(socket, &stream, &mut fin_sent);
        socket.flush();
        match turn {
            Turn::More => tokio::task::yield_now().await,
            // Readiness is only a hint here: the next turn's calls say what is the matter with the connection.
            Turn::Wait {
                read,
                write,
                reset,
                held,
            } => tokio::select! {
                () = socket.changed() => {}
                () = gate.cleared(), if held => {}
                _ = stream.readable(), if read => {}
                _ = stream.writable(), if write => {}
                _ = stream.ready(Interest::ERROR), if reset => {}
            },
            Turn::Done => return None,
            Turn::Reset => {
                // A peer sees that, too, and what a guest sent last may have to wait for ever.
                tokio::select! {
                    () = gate.cleared() => {}
                    _ = gate.failed() => {}
                }
                reset_on_close(&stream);
                return None;
            }
            Turn::Failed(error) => return Some(error),
        }
    }
}

fn turn(socket: &Socket, stream: &TcpStream, fin_sent: &mut bool) -> Turn {
    let (mut sent, mut received) = (Moved::Bytes, Moved::Bytes);
    for _ in 0..CALLS {
        if matches!(sent, Moved::Bytes) {
            sent = transmit(socket, stream);
        }
        if matches!(received, Moved::Bytes) {
            received = receive(socket, stream);
        }
    }
    if let Moved::Failed(error) = &sent {
        // What the peer sent before it broke the connection still belongs to the guest.
        while matches!(received, Moved::Bytes) {
            received = receive(socket, stream);
        }
        return Turn::Failed(errno_of(error));
    }
    match (&sent, &received) {
        (Moved::Gone, _) | (_, Moved::Gone) => return Turn::Reset,
        (_, Moved::Failed(error)) => return Turn::Failed(errno_of(error)),
        (Moved::Finished, _) if !*fin_sent => {
            *fin_sent = true;
            if let Err(error) = shutdown(stream.as_raw_fd(), Shutdown::Write) {
                // The peer broke the connection just now; receiving says how.
                tracing::trace!(%error, "shutdown");
            }
        }
        _ => {}
    }
    if *fin_sent && (matches!(received, Moved::Finished) || socket.closing()) {
        return Turn::Done;
    }
    // A peer that has sent its last byte may yet reset the connection, of which no other call here would tell.
    let reset = matches!(received, Moved::Finished);
    if reset && let Some(error) = broken(stream) {
        return Turn::Failed(errno_of(&error));
    }
    if matches!(sent, Moved::Bytes) || matches!(received, Moved::Bytes) {
        return Turn::More;
    }
    Turn::Wait {
        read: matches!(received, Moved::Blocked),
        write: matches!(sent, Moved::Blocked),
        reset,
        held: matches!(sent, Moved::Held),
    }
}

/// The error with which the connection broke, if it did. Costs no system call while the runtime knows of none.
fn broken(stream: &TcpStream) -> Option<io::Error> {
    let error = stream.try_io(Interest::ERROR, || {
        // Without an error the readiness is out of date: WouldBlock has the runtime forget it.
        stream.take_error()?.ok_or(io::ErrorKind::WouldBlock.into())
    });
    error.ok()
}

fn transmit(socket: &Socket, stream: &TcpStream) -> Moved {
    socket.transmit(CHUNK, |runs, urgency| {
        transfer::send(stream, &runs, urgency)
    })
}

fn receive(socket: &Socket, stream: &TcpStream) -> Moved {
    let moved = socket.receive(CHUNK, |runs| transfer::receive(stream, &runs));
    if !matches!(moved, Moved::Discard) {
        return moved;
    }
    // Left in the host's socket, these bytes would turn the FIN of a later close into a RST that destroys what the
    // peer has yet to read.
    match transfer::discard(stream, CHUNK) {
        Ok(0) => {
            socket.eof();
            Moved::Finished
        }
        Ok(_) => Moved::Bytes,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Moved::Blocked,
        Err(error) => Moved::Failed(error),
    }
}

fn errno_of(error: &io::Error) -> u16 {
    errno(error.raw_os_error().unwrap_or(libc::EIO))
}
