// SPDX-License-Identifier: Apache-2.0
//! Peers outside reach a function by the ports that it declares, and by no others (T1, T10, T13, T28).

use std::io::{ErrorKind, Read, Write};
use std::net::{
    IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket,
};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Case;
use crate::bed::{Bed, SERVER};

pub(crate) const CASE: Case = Case {
    name: "inbound",
    guest,
    host,
};

/// Ports of the guest: declared for TCP, declared for UDP, and not declared.
const TCP_PORT: u16 = 8080;
const UDP_PORT: u16 = 5353;
const HIDDEN_PORT: u16 = 8081;

/// Ports of the host.
const HOST_TCP: u16 = 18080;
const HOST_LOOPBACK: u16 = 18081;
const HOST_UDP: u16 = 15353;

const FUNCTION: &str = "inbound";
const CONNECTIONS: usize = 50;
const BYTES: usize = 1 << 20;
const LIMIT: Duration = Duration::from_secs(120);

/// Starts servers that go on when the invocation has ended, and says where they listen.
fn guest(_arguments: &Value) -> Result<Value> {
    // Both families by one socket, as Go and Node listen.
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, TCP_PORT))?;
    let address = listener.local_addr()?;
    let hidden = TcpListener::bind((Ipv4Addr::UNSPECIFIED, HIDDEN_PORT))?;
    let datagrams = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, UDP_PORT))?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || echo(stream));
        }
    });
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = datagrams.recv_from(&mut buffer) {
            drop(datagrams.send_to(&buffer[..length], from));
        }
    });
    // The guest's own way to both is its loopback.
    let mut own = TcpStream::connect((Ipv4Addr::LOCALHOST, TCP_PORT))?;
    own.write_all(b"own")?;
    own.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    own.read_to_string(&mut answer)?;
    ensure!(answer.ends_with("own"), "by loopback: {answer:?}");
    drop(TcpStream::connect((Ipv4Addr::LOCALHOST, HIDDEN_PORT))?);
    thread::spawn(move || hidden.incoming().count());
    Ok(json!({ "port": address.port() }))
}

/// Says who has connected, then sends back what comes.
fn echo(mut stream: TcpStream) -> Result<()> {
    let (peer, local) = (stream.peer_addr()?, stream.local_addr()?);
    let ip = peer.ip().to_canonical();
    let own = local.ip().to_canonical();
    stream.write_all(format!("{ip} {own} {}\n", local.port()).as_bytes())?;
    let mut buffer = vec![0; 16 << 10];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            length => stream.write_all(&buffer[..length])?,
        }
    }
}

fn host(bed: &Bed) -> Result<()> {
    let function = bed
        .agent(FUNCTION)
        .with("--publish", &format!("{SERVER}:{HOST_TCP}:{TCP_PORT}"))
        .with("--publish", &format!("{HOST_LOOPBACK}:{TCP_PORT}"))
        .with("--publish", &format!("{SERVER}:{HOST_UDP}:{UDP_PORT}/udp"));
    bed.testbed.deploy(&function)?;
    closed((SERVER, HOST_TCP).into()).context("before the function listens")?;

    let started = bed.guest_of(FUNCTION, &CASE, &json!({}))?.success()?;
    ensure!(started["port"] == TCP_PORT, "listens at {started}");
    for hidden in [HIDDEN_PORT, TCP_PORT] {
        closed((SERVER, hidden).into()).context("a port that is not published")?;
    }
    let seen = talk((SERVER, HOST_TCP).into(), b"hello")?;
    ensure!(
        seen.starts_with(&format!("{SERVER} ")),
        "who the guest sees: {seen:?}"
    );
    ensure!(
        seen.trim_end().ends_with(&format!(" {TCP_PORT}")),
        "where the guest is: {seen:?}"
    );
    let seen = talk((Ipv4Addr::LOCALHOST, HOST_LOOPBACK).into(), b"hello")?;
    let peer: IpAddr = seen.split(' ').next().unwrap_or_default().parse()?;
    ensure!(!peer.is_loopback(), "the host's loopback is seen as {peer}");

    at_once()?;
    datagrams()?;
    bed.testbed.nexus_text(&["remove", FUNCTION])?;
    closed((SERVER, HOST_TCP).into()).context("after the function is gone")
}

/// Many at once, each with more bytes than fit into buffers.
fn at_once() -> Result<()> {
    let talks: Vec<_> = (0..CONNECTIONS)
        .map(|number| {
            thread::spawn(move || {
                let seed = u8::try_from(number).unwrap_or_default();
                let bytes: Vec<u8> = (seed..=u8::MAX).cycle().take(BYTES / CONNECTIONS).collect();
                talk((SERVER, HOST_TCP).into(), &bytes).map(drop)
            })
        })
        .collect();
    for talk in talks {
        talk.join()
            .map_err(|_| anyhow::anyhow!("a thread panicked"))??;
    }
    Ok(())
}

/// Sends bytes and ends its direction; checks that they come back to their end. Returns the line that comes first.
fn talk(address: SocketAddr, bytes: &[u8]) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let mut reader = stream.try_clone()?;
    let reading = thread::spawn(move || -> std::io::Result<Vec<u8>> {
        let mut all = Vec::new();
        reader.read_to_end(&mut all)?;
        Ok(all)
    });
    stream.write_all(bytes)?;
    stream.shutdown(Shutdown::Write)?;
    let all = reading
        .join()
        .map_err(|_| anyhow::anyhow!("a thread panicked"))??;
    let line = all.iter().position(|byte| *byte == b'\n');
    let (line, rest) = all.split_at(line.context("no first line")? + 1);
    ensure!(rest == bytes, "{} bytes came back", rest.len());
    Ok(String::from_utf8(line.to_vec())?)
}

fn datagrams() -> Result<()> {
    let peer = UdpSocket::bind((SERVER, 0))?;
    peer.set_read_timeout(Some(LIMIT))?;
    peer.connect((SERVER, HOST_UDP))?;
    let mut buffer = [0; 2048];
    for size in [0usize, 1, 1400] {
        let question: Vec<u8> = (0..=u8::MAX).cycle().take(size).collect();
        peer.send(&question)?;
        let length = peer.recv(&mut buffer)?;
        ensure!(
            buffer[..length] == question,
            "{size} bytes came back as {length}"
        );
    }
    Ok(())
}

fn closed(address: SocketAddr) -> Result<()> {
    match TcpStream::connect(address) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        other => anyhow::bail!("{address} is not closed: {other:?}"),
    }
}
