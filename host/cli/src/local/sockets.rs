// SPDX-License-Identifier: Apache-2.0
//! The sockets that nexusd serves, made inside the namespace.

use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, bind, listen,
    sendmsg, socket,
};
use tokio::net::UnixStream;

use super::{LocalError, Offer};

/// Makes the sockets, in the order in which nexusd expects them.
pub(super) fn open(offer: &Offer) -> Result<Vec<OwnedFd>, LocalError> {
    let mut sockets = Vec::new();
    for address in &offer.streams {
        let listener =
            TcpListener::bind(address).map_err(failed(format!("streams at {address}")))?;
        sockets.push(listener.into());
    }
    for address in &offer.datagrams {
        let socket = UdpSocket::bind(address).map_err(failed(format!("datagrams at {address}")))?;
        sockets.push(socket.into());
    }
    sockets.push(connector().map_err(|error| failed("the preload library")(error.into()))?);
    Ok(sockets)
}

/// Where the preload library asks for what the namespace does not reach.
fn connector() -> nix::Result<OwnedFd> {
    let listener = socket(
        AddressFamily::Unix,
        SockType::SeqPacket,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    bind(
        listener.as_raw_fd(),
        &UnixAddr::new_abstract(nexus_proto::local::SOCKET)?,
    )?;
    listen(&listener, Backlog::MAXCONN)?;
    Ok(listener)
}

/// Hands the sockets over, with a byte that carries them.
pub(super) fn send(stream: &UnixStream, sockets: &[OwnedFd]) -> io::Result<()> {
    let descriptors: Vec<RawFd> = sockets.iter().map(AsRawFd::as_raw_fd).collect();
    sendmsg::<()>(
        stream.as_raw_fd(),
        &[io::IoSlice::new(&[0])],
        &[ControlMessage::ScmRights(&descriptors)],
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    Ok(())
}

fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> LocalError {
    let what = what.into();
    move |source| LocalError::Socket { what, source }
}
