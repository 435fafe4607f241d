// SPDX-License-Identifier: Apache-2.0
//! connect() in its states, names, families.

use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use anyhow::{Result, ensure};

use super::calls::{self, errno};
use super::{Check, connect, script};

pub(crate) const CHECKS: &[Check] = &[
    ("connect that does not block", does_not_block),
    ("connect that does not block and is refused", is_refused),
    ("connect after a refusal", after_refusal),
    ("connect twice", twice),
    ("names", names),
    ("calls without a connection", unconnected),
    ("families and types", families),
];

const NONBLOCKING: i32 = libc::SOCK_STREAM | libc::SOCK_NONBLOCK;

fn does_not_block(server: SocketAddr) -> Result<()> {
    let socket = calls::socket(libc::AF_INET, NONBLOCKING, 0)?;
    let fd = socket.as_raw_fd();
    ensure!(
        errno(&calls::connect(fd, server)) == libc::EINPROGRESS,
        "not EINPROGRESS"
    );
    let events = calls::poll(fd, libc::POLLOUT | libc::POLLIN, 10_000)?;
    ensure!(
        events == libc::POLLOUT,
        "revents {events:#x} instead of POLLOUT"
    );
    ensure!(
        calls::option(fd, libc::SOL_SOCKET, libc::SO_ERROR)? == 0,
        "SO_ERROR is set"
    );
    calls::send(fd, &[script::ECHO, b'x'], libc::MSG_NOSIGNAL)?;
    ensure!(
        calls::poll(fd, libc::POLLIN, 10_000)? & libc::POLLIN != 0,
        "no echo"
    );
    Ok(())
}

fn is_refused(server: SocketAddr) -> Result<()> {
    let closed = SocketAddr::new(server.ip(), 1);
    let socket = calls::socket(libc::AF_INET, NONBLOCKING, 0)?;
    let fd = socket.as_raw_fd();
    ensure!(
        errno(&calls::connect(fd, closed)) == libc::EINPROGRESS,
        "not EINPROGRESS"
    );
    let events = calls::poll(fd, libc::POLLOUT, 10_000)?;
    let expected = libc::POLLOUT | libc::POLLERR | libc::POLLHUP;
    ensure!(
        events == expected,
        "revents {events:#x} instead of {expected:#x}"
    );
    let error = calls::option(fd, libc::SOL_SOCKET, libc::SO_ERROR)?;
    ensure!(error == libc::ECONNREFUSED, "SO_ERROR {error}");
    ensure!(
        calls::option(fd, libc::SOL_SOCKET, libc::SO_ERROR)? == 0,
        "SO_ERROR was not cleared by reading it"
    );
    Ok(())
}

fn after_refusal(server: SocketAddr) -> Result<()> {
    let socket = calls::socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
    let fd = socket.as_raw_fd();
    let refused = calls::connect(fd, SocketAddr::new(server.ip(), 1));
    ensure!(
        errno(&refused) == libc::ECONNREFUSED,
        "{refused:?} instead of ECONNREFUSED"
    );
    calls::connect(fd, server)?;
    calls::send(fd, &[script::ECHO, b'x'], libc::MSG_NOSIGNAL)?;
    ensure!(calls::recv(fd, &mut [0; 4], 0)? == 1, "no echo");
    Ok(())
}

fn twice(server: SocketAddr) -> Result<()> {
    let stream = connect(server, script::ECHO)?;
    let again = calls::connect(stream.as_raw_fd(), server);
    ensure!(
        errno(&again) == libc::EISCONN,
        "{again:?} instead of EISCONN"
    );
    Ok(())
}

fn names(server: SocketAddr) -> Result<()> {
    let stream = connect(server, script::ECHO)?;
    ensure!(
        stream.peer_addr()? == server,
        "the peer is {}",
        stream.peer_addr()?
    );
    let local = stream.local_addr()?;
    ensure!(
        local.is_ipv4() && local.port() != 0,
        "the local address is {local}"
    );
    Ok(())
}

fn unconnected(server: SocketAddr) -> Result<()> {
    let socket = calls::socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
    let fd = socket.as_raw_fd();
    ensure!(
        errno(&calls::recv(fd, &mut [0], 0)) == libc::ENOTCONN,
        "recv is not ENOTCONN"
    );
    ensure!(
        errno(&calls::send(fd, b"x", libc::MSG_NOSIGNAL)) == libc::EPIPE,
        "send is not EPIPE"
    );
    let events = calls::poll(fd, libc::POLLIN | libc::POLLOUT, 0)?;
    ensure!(
        events == libc::POLLOUT | libc::POLLHUP,
        "revents {events:#x} of a new socket"
    );
    let stream = std::net::TcpStream::from(socket);
    ensure!(
        errno(&stream.peer_addr()) == libc::ENOTCONN,
        "getpeername is not ENOTCONN"
    );
    ensure!(
        errno(&stream.shutdown(std::net::Shutdown::Write)) == libc::ENOTCONN,
        "shutdown is not ENOTCONN"
    );
    let wrong = calls::socket(libc::AF_INET6, libc::SOCK_STREAM, 0)?;
    ensure!(
        errno(&calls::connect(wrong.as_raw_fd(), server)) != 0,
        "an IPv6 socket took an IPv4 address"
    );
    Ok(())
}

fn families(_server: SocketAddr) -> Result<()> {
    let result = calls::socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_TCP);
    ensure!(result.is_ok(), "IPPROTO_TCP: {result:?}");
    // Programs fall back to plain TCP on exactly this errno.
    let result = calls::socket(libc::AF_INET, libc::SOCK_STREAM, 262);
    ensure!(errno(&result) == libc::EPROTONOSUPPORT, "MPTCP: {result:?}");
    let result = calls::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP);
    ensure!(errno(&result) != 0, "a raw socket was made");
    let result = calls::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0);
    ensure!(result.is_ok(), "AF_UNIX: {result:?}");
    Ok(())
}
