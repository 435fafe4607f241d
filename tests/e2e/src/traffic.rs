// SPDX-License-Identifier: Apache-2.0
//! The guest's half of the network benchmark: the same bytes and round trips over whatever the guest has, TCP or vsock.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::cases::Case;

/// In the function it is found as a case is.
pub(crate) const CASE: Case = Case {
    name: "traffic",
    guest,
    host: |_bed| anyhow::bail!("this is no test; see `cargo xtask bench`"),
};

/// Bytes of one read or write.
const CHUNK: usize = 64 << 10;
/// Bytes of a message that goes there and back.
pub(crate) const MESSAGE: usize = 64;

/// Does what the orders say, one after the other, on a machine without nexusd.
pub(crate) fn run(orders: &str) -> Result<()> {
    let orders: Value = serde_json::from_str(orders)?;
    if let Some(address) = orders["own"].as_str() {
        set_address("eth0", address.parse()?)?;
    }
    for order in orders["orders"].as_array().context("no orders")? {
        guest(order)?;
    }
    Ok(())
}

/// One order: `{"to": address or null for vsock, "port": number, "send" | "receive" | "trips": count}`.
fn guest(order: &Value) -> Result<Value> {
    let port = order["port"].as_u64().context("no port")?;
    let port = u32::try_from(port)?;
    match order["to"].as_str() {
        Some(address) => {
            let address: Ipv4Addr = address.parse()?;
            let stream = TcpStream::connect((address, u16::try_from(port)?))?;
            stream.set_nodelay(true)?;
            follow(stream, order)
        }
        None => follow(vsock(port)?, order),
    }
}

fn follow(mut stream: impl Read + Write, order: &Value) -> Result<Value> {
    let count = |what: &str| order[what].as_u64();
    let mut buffer = vec![0; CHUNK];
    if let Some(mut left) = count("send") {
        while left > 0 {
            let length = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
            stream.write_all(&buffer[..length])?;
            left -= length as u64;
        }
        // The other end answers when it has everything.
        stream.read_exact(&mut buffer[..1])?;
    }
    if let Some(mut left) = count("receive") {
        stream.write_all(&[0])?;
        while left > 0 {
            let length = stream.read(&mut buffer)?;
            ensure!(length > 0, "{left} bytes are missing");
            left -= length as u64;
        }
        stream.write_all(&[0])?;
    }
    for _ in 0..count("trips").unwrap_or(0) {
        stream.write_all(&buffer[..MESSAGE])?;
        stream.read_exact(&mut buffer[..MESSAGE])?;
    }
    Ok(json!(null))
}

/// A stream over vsock to the host.
fn vsock(port: u32) -> Result<std::fs::File> {
    let address = libc::sockaddr_vm {
        svm_family: libc::sa_family_t::try_from(libc::AF_VSOCK)?,
        svm_reserved1: 0,
        svm_port: port,
        svm_cid: libc::VMADDR_CID_HOST,
        svm_zero: [0; 4],
    };
    // SAFETY: no memory is involved.
    let fd = unsafe { libc::socket(libc::AF_VSOCK, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    ensure!(fd >= 0, "vsock: {}", io::Error::last_os_error());
    // SAFETY: the call just returned this descriptor, so nobody else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let length = libc::socklen_t::try_from(size_of_val(&address))?;
    // SAFETY: the pointer is to a live address of this length.
    let result = unsafe { libc::connect(fd.as_raw_fd(), (&raw const address).cast(), length) };
    ensure!(result == 0, "vsock: {}", io::Error::last_os_error());
    Ok(fd.into())
}

/// Gives an interface an address in a network of 256, and brings it up.
fn set_address(name: &str, address: Ipv4Addr) -> Result<()> {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    // SAFETY: an ifreq is plain data, for which zeroes are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    let call = |command: libc::Ioctl, request: &libc::ifreq| -> Result<()> {
        // SAFETY: these requests take an ifreq, which the pointer is to.
        let result = unsafe { libc::ioctl(socket.as_raw_fd(), command, request) };
        ensure!(result == 0, "{name}: {}", io::Error::last_os_error());
        Ok(())
    };
    for (command, ip) in [
        (libc::SIOCSIFADDR, address),
        (libc::SIOCSIFNETMASK, Ipv4Addr::new(255, 255, 255, 0)),
    ] {
        let value = libc::sockaddr_in {
            sin_family: libc::sa_family_t::try_from(libc::AF_INET)?,
            sin_port: 0,
            sin_addr: libc::in_addr {
                s_addr: u32::from_ne_bytes(ip.octets()),
            },
            sin_zero: [0; 8],
        };
        let to: *mut libc::sockaddr_in = (&raw mut request.ifr_ifru).cast();
        // SAFETY: the union has room for an address.
        unsafe { to.write_unaligned(value) };
        call(command, &request)?;
    }
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING)?;
    call(libc::SIOCSIFFLAGS, &request)
}
