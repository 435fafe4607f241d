// SPDX-License-Identifier: Apache-2.0
//! The host's end of a stream: serves one order, and measures it.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::counts::{Beginning, Measurement};

/// Bytes of each stream.
pub(super) const BULK: u64 = 32 << 20;
/// Messages there and back, and how many of them come before the measurement.
pub(super) const TRIPS: u64 = 2000;
pub(super) const WARM_UP: u64 = 100;
/// Bytes of a message, as the guest's half has it.
const MESSAGE: usize = 64;

/// One thing to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// A stream out of the guest.
    Out,
    /// A stream into it.
    In,
    /// Messages there and back.
    Trips,
}

impl Order {
    pub(super) const ALL: [Self; 3] = [Self::Out, Self::In, Self::Trips];

    /// What the guest is told.
    pub(super) fn json(self, to: Option<Ipv4Addr>, port: u32) -> Value {
        let mut order = json!({ "to": to.map(|to| to.to_string()), "port": port });
        match self {
            Self::Out => order["send"] = json!(BULK),
            Self::In => order["receive"] = json!(BULK),
            Self::Trips => order["trips"] = json!(TRIPS),
        }
        order
    }
}

/// The host's end of one order: a thread that serves one connection and measures.
pub(super) struct Server {
    pub(super) port: u32,
    thread: JoinHandle<Result<Measurement>>,
}

impl Server {
    pub(super) fn tcp(address: Ipv4Addr, order: Order) -> Result<Self> {
        let listener = TcpListener::bind((address, 0))?;
        let port = listener.local_addr()?.port().into();
        let thread = thread::spawn(move || {
            let (stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            serve(stream, order)
        });
        Ok(Self { port, thread })
    }

    pub(super) fn vsock(order: Order) -> Result<Self> {
        let (listener, port) = vsock_listener()?;
        let thread = thread::spawn(move || {
            // SAFETY: null pointers ask for no address.
            let fd = unsafe {
                libc::accept(
                    listener.as_raw_fd(),
                    std::ptr::null_mut(),
                    std::ptr::null_mut(),
                )
            };
            ensure!(fd >= 0, "accept: {}", io::Error::last_os_error());
            // SAFETY: the call just returned this descriptor, so nobody else owns it.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            serve(fs::File::from(fd), order)
        });
        Ok(Self { port, thread })
    }

    /// Whether the order is done, now or after a moment.
    pub(super) fn ends_within(&self, time: Duration) -> bool {
        let started = Instant::now();
        while !self.thread.is_finished() && started.elapsed() < time {
            thread::sleep(Duration::from_millis(10));
        }
        self.thread.is_finished()
    }

    /// From the first byte to the last.
    pub(super) fn measured(self) -> Result<Measurement> {
        let outcome = self.thread.join();
        outcome.map_err(|_| anyhow::anyhow!("a server panicked"))?
    }
}

fn serve(mut stream: impl Read + Write, order: Order) -> Result<Measurement> {
    let mut buffer = vec![0; 256 << 10];
    let began;
    match order {
        Order::Out => {
            let mut left = BULK;
            left -= stream.read(&mut buffer)? as u64;
            began = Beginning::now()?;
            while left > 0 {
                let length = stream.read(&mut buffer)?;
                ensure!(length > 0, "{left} bytes are missing");
                left -= length as u64;
            }
            stream.write_all(&[0])?;
        }
        Order::In => {
            stream.read_exact(&mut buffer[..1])?;
            began = Beginning::now()?;
            let mut left = BULK;
            while left > 0 {
                let length =
                    usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
                stream.write_all(&buffer[..length])?;
                left -= length as u64;
            }
            stream.read_exact(&mut buffer[..1])?;
        }
        Order::Trips => {
            let mut trip = || -> io::Result<()> {
                stream.read_exact(&mut buffer[..MESSAGE])?;
                stream.write_all(&buffer[..MESSAGE])
            };
            for _ in 0..WARM_UP {
                trip()?;
            }
            began = Beginning::now()?;
            for _ in WARM_UP..TRIPS {
                trip()?;
            }
        }
    }
    began.end()
}

fn vsock_listener() -> Result<(OwnedFd, u32)> {
    // SAFETY: no memory is involved.
    let fd = unsafe { libc::socket(libc::AF_VSOCK, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    ensure!(fd >= 0, "vsock: {}", io::Error::last_os_error());
    // SAFETY: the call just returned this descriptor, so nobody else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut address = libc::sockaddr_vm {
        svm_family: libc::sa_family_t::try_from(libc::AF_VSOCK)?,
        svm_reserved1: 0,
        svm_port: libc::VMADDR_PORT_ANY,
        svm_cid: libc::VMADDR_CID_ANY,
        svm_zero: [0; 4],
    };
    let mut length = libc::socklen_t::try_from(size_of_val(&address))?;
    // SAFETY: the pointer is to a live address of this length.
    let bound = unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), length) };
    ensure!(bound == 0, "vsock: {}", io::Error::last_os_error());
    // SAFETY: both pointers are to live values, and the length is the first one's.
    let named =
        unsafe { libc::getsockname(fd.as_raw_fd(), (&raw mut address).cast(), &raw mut length) };
    ensure!(named == 0, "vsock: {}", io::Error::last_os_error());
    // SAFETY: no memory is involved.
    let listening = unsafe { libc::listen(fd.as_raw_fd(), 1) };
    ensure!(listening == 0, "vsock: {}", io::Error::last_os_error());
    Ok((fd, address.svm_port))
}
