// SPDX-License-Identifier: Apache-2.0
//! UDP out of the guest: there and back, who is heard, what fails, and names by datagram.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Case;
use crate::bed::{Bed, FORBIDDEN, SERVER};

pub(crate) const CASE: Case = Case {
    name: "datagrams",
    guest,
    host,
};

/// Where the guest finds its name server.
const NAMES: (Ipv4Addr, u16) = (Ipv4Addr::new(169, 254, 170, 2), 53);

fn guest(arguments: &Value) -> Result<Value> {
    let port = super::port(arguments)?;
    let server = SocketAddr::from((SERVER, port));
    boundaries(server).context("boundaries")?;
    connected(server).context("connected")?;
    mapped(port).context("IPv4 on a socket of IPv6")?;
    many(server).context("many sockets")?;
    refused().context("a port where nobody is")?;
    forbidden(port).context("a forbidden host")?;
    names().context("names")?;
    Ok(json!(true))
}

fn bound() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    Ok(socket)
}

fn boundaries(server: SocketAddr) -> Result<()> {
    let socket = bound()?;
    let mut buffer = vec![0; 1 << 16];
    for size in [0usize, 1, 100, 1472, 9000, 60_000] {
        let payload: Vec<u8> = (0u8..251).cycle().take(size).collect();
        ensure!(socket.send_to(&payload, server)? == size, "a short send");
        let (length, from) = socket.recv_from(&mut buffer)?;
        ensure!(from == server, "from {from}");
        ensure!(buffer[..length] == payload, "{length} bytes of {size}");
    }
    Ok(())
}

fn connected(server: SocketAddr) -> Result<()> {
    let socket = bound()?;
    socket.connect(server)?;
    let local = socket.local_addr()?;
    ensure!(
        !local.ip().is_unspecified() && !local.ip().is_loopback() && local.port() != 0,
        "local address {local}"
    );
    ensure!(socket.peer_addr()? == server, "wrong peer");
    socket.send(b"hello")?;
    let mut buffer = [0; 16];
    ensure!(socket.recv(&mut buffer)? == 5, "no echo");
    // What others send does not reach it; a socket of the guest at its own address does not either.
    let stranger = bound()?;
    stranger.send_to(b"stranger", local)?;
    socket.send(b"again")?;
    ensure!(
        socket.recv(&mut buffer)? == 5 && buffer.starts_with(b"again"),
        "a stranger was heard"
    );
    Ok(())
}

fn mapped(port: u16) -> Result<()> {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    let server = SocketAddr::from((SERVER.to_ipv6_mapped(), port));
    socket.send_to(b"mapped", server)?;
    let (length, from) = socket.recv_from(&mut [0; 16])?;
    ensure!(length == 6 && from == server, "{length} bytes from {from}");
    Ok(())
}

fn many(server: SocketAddr) -> Result<()> {
    let sockets = (0..100).map(|_| bound()).collect::<io::Result<Vec<_>>>()?;
    for (number, socket) in sockets.iter().enumerate() {
        socket.send_to(&number.to_le_bytes(), server)?;
    }
    for (number, socket) in sockets.iter().enumerate() {
        let mut buffer = [0; 8];
        socket.recv(&mut buffer)?;
        ensure!(buffer == number.to_le_bytes(), "crossed datagrams");
    }
    Ok(())
}

fn refused() -> Result<()> {
    let socket = bound()?;
    socket.connect((SERVER, 9))?;
    socket.send(b"anybody?")?;
    let error = socket.recv(&mut [0; 16]).err();
    let code = error.and_then(|error| error.raw_os_error());
    ensure!(code == Some(libc::ECONNREFUSED), "errno {code:?}");
    Ok(())
}

fn forbidden(port: u16) -> Result<()> {
    let socket = bound()?;
    socket.connect((FORBIDDEN, port))?;
    socket.send(b"hello")?;
    let error = socket.recv(&mut [0; 16]).err();
    let code = error.and_then(|error| error.raw_os_error());
    ensure!(code == Some(libc::EACCES), "errno {code:?}");
    Ok(())
}

/// Asks for `localhost` as a resolver of its own would.
fn names() -> Result<()> {
    let socket = bound()?;
    socket.connect(NAMES)?;
    let mut query = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend(b"\x09localhost\x00\x00\x01\x00\x01");
    socket.send(&query)?;
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer)?;
    ensure!(
        length > query.len() && answer[..2] == query[..2],
        "{length} bytes"
    );
    let code = answer[3] & 0xf;
    ensure!(code == 0, "response code {code}");
    ensure!(
        answer[..length].ends_with(&[127, 0, 0, 1]),
        "another address"
    );
    Ok(())
}

fn host(bed: &Bed) -> Result<()> {
    let server = UdpSocket::bind((SERVER, 0))?;
    let port = server.local_addr()?.port();
    // Somebody is there, so that it is the policy that keeps the guest away.
    let _other = UdpSocket::bind((FORBIDDEN, port))?;
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok((length, from)) = server.recv_from(&mut buffer) {
            // A guest that is gone misses nothing.
            drop(server.send_to(&buffer[..length], from));
        }
    });
    bed.guest(&CASE, &json!({ "port": port }))?;
    Ok(())
}
