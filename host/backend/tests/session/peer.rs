// SPDX-License-Identifier: Apache-2.0
//! The other end: TCP servers on an address of this machine that is not loopback, since a guest never reaches that.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::OnceLock;
use std::thread::JoinHandle;

use super::guest::PATIENCE;

/// An address of this machine that is not loopback: the one that faces the network, else one added for the purpose.
pub(crate) fn local_ip() -> IpAddr {
    static LOCAL: OnceLock<IpAddr> = OnceLock::new();
    *LOCAL.get_or_init(|| facing_network().unwrap_or_else(add_address))
}

fn facing_network() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // Sends nothing: only the route to an address of the documentation range (RFC 5737) is looked up.
    socket.connect((Ipv4Addr::new(198, 51, 100, 1), 9)).ok()?;
    socket
        .local_addr()
        .ok()
        .map(|address| address.ip())
        .filter(|ip| !ip.is_loopback())
}

fn add_address() -> IpAddr {
    let ip = Ipv4Addr::new(10, 77, 0, 1);
    let added = Command::new("ip")
        .args(["address", "replace", "10.77.0.1/32", "dev", "lo"])
        .status();
    assert!(
        added.is_ok_and(|status| status.success()),
        "these tests need an address that is not loopback; run them as root, or with a network"
    );
    ip.into()
}

pub(crate) fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((local_ip(), 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A server that serves each of `count` connections by `serve` in a thread of its own.
pub(crate) fn server<T: Send + 'static>(
    count: usize,
    serve: impl Fn(TcpStream) -> T + Send + Clone + 'static,
) -> (SocketAddr, JoinHandle<Vec<T>>) {
    let (listener, address) = listen();
    let thread = std::thread::spawn(move || {
        let connections: Vec<_> = (0..count)
            .map(|_| {
                let (stream, _) = listener.accept().unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.set_write_timeout(Some(PATIENCE)).unwrap();
                let serve = serve.clone();
                std::thread::spawn(move || serve(stream))
            })
            .collect();
        connections
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    (address, thread)
}

/// Sends back what comes, to its end.
pub(crate) fn echo(mut stream: TcpStream) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match stream.read(&mut buffer).unwrap() {
            0 => return,
            length => stream.write_all(&buffer[..length]).unwrap(),
        }
    }
}

/// A stream of bytes that a test sends, or compares with what it receives. It repeats after a prime number of bytes, so
/// that a byte at a wrong place shows whatever ring it came through.
pub(crate) struct Pattern {
    block: Vec<u8>,
    position: usize,
}

const PERIOD: usize = 1_048_583;

pub(crate) fn pattern(seed: u32) -> Pattern {
    let mut state = seed.wrapping_mul(2) | 1;
    let random = std::iter::repeat_with(|| {
        // xorshift32 (Marsaglia, 2003).
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()
    });
    Pattern {
        block: random.flatten().take(PERIOD).collect(),
        position: 0,
    }
}

impl Pattern {
    /// The next `length` bytes.
    pub(crate) fn take(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let rest = &self.block[self.position..];
            let part = rest.len().min(length - bytes.len());
            bytes.extend_from_slice(&rest[..part]);
            self.position = (self.position + part) % PERIOD;
        }
        bytes
    }

    /// Checks that `bytes` come next.
    pub(crate) fn expect(&mut self, bytes: &[u8]) {
        assert!(
            self.take(bytes.len()) == bytes,
            "wrong bytes among the {} before {}",
            bytes.len(),
            self.position
        );
    }
}
