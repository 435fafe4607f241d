// SPDX-License-Identifier: Apache-2.0
//! What the socket calls of a stream do, by raw calls: flags, readiness, shutdowns, errors, interruptions.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Case, port};
use crate::bed::{self, Bed, SERVER};

mod calls;
mod connecting;
mod options;
mod readiness;
mod transfer;

pub(crate) const CASE: Case = Case {
    name: "stream_calls",
    guest,
    host,
};

/// A check: a name, and what is done with the server's address.
type Check = (&'static str, fn(SocketAddr) -> Result<()>);

/// What the host's server does with a connection; the first byte says which.
mod script {
    /// Sends back what arrives.
    pub(crate) const ECHO: u8 = b'e';
    /// Sends `hello`, and `world` a little later, and holds the connection.
    pub(crate) const DRIP: u8 = b'd';
    /// Sends `hello` and closes.
    pub(crate) const HELLO: u8 = b'c';
    /// Resets the connection.
    pub(crate) const RESET: u8 = b'r';
    /// Reads up to the end, then sends how much it was.
    pub(crate) const COUNT: u8 = b'n';
    /// Reads up to an urgent byte, that byte, and up to the end, and sends all of it in this order.
    pub(crate) const URGENT: u8 = b'u';
}

fn guest(arguments: &Value) -> Result<Value> {
    let server = SocketAddr::from((SERVER, port(arguments)?));
    let mut failed = Vec::new();
    let all = [
        connecting::CHECKS,
        transfer::CHECKS,
        readiness::CHECKS,
        options::CHECKS,
    ]
    .concat();
    for (name, check) in &all {
        if let Err(error) = check(server) {
            failed.push(format!("{name}: {error:#}"));
        }
    }
    Ok(json!({ "checks": all.len(), "failed": failed }))
}

fn host(bed: &Bed) -> Result<()> {
    let port = bed::serve(SERVER, play)?;
    let result = bed.guest(&CASE, &json!({ "port": port }))?;
    let failed = result["failed"].as_array().context("no list of failures")?;
    ensure!(
        failed.is_empty(),
        "{} of {} checks failed:\n{failed:#?}",
        failed.len(),
        result["checks"]
    );
    Ok(())
}

/// The host's server.
fn play(mut stream: TcpStream) -> std::io::Result<()> {
    let mut role = [0];
    stream.read_exact(&mut role)?;
    match role[0] {
        script::ECHO => std::io::copy(&mut stream.try_clone()?, &mut stream).map(drop),
        script::DRIP => {
            stream.write_all(b"hello")?;
            sleep(Duration::from_millis(300));
            stream.write_all(b"world")?;
            stream.read(&mut role).map(drop)
        }
        script::HELLO => stream.write_all(b"hello"),
        script::RESET => {
            let linger = libc::linger {
                l_onoff: 1,
                l_linger: 0,
            };
            calls::set_option(
                stream.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_LINGER,
                &linger,
            )
        }
        script::COUNT => {
            let count = std::io::copy(&mut stream, &mut std::io::sink())?;
            stream.write_all(&count.to_le_bytes())
        }
        script::URGENT => urgent(&stream),
        _ => Ok(()),
    }
}

/// See [`script::URGENT`].
fn urgent(mut stream: &TcpStream) -> std::io::Result<()> {
    let mut urgent = [0];
    // It is announced as soon as it is sent, and taken out of the stream.
    while calls::recv(stream.as_raw_fd(), &mut urgent, libc::MSG_OOB).is_err() {
        sleep(Duration::from_millis(1));
    }
    let mut all = Vec::new();
    stream.read_to_end(&mut all)?;
    stream.write_all(&urgent)?;
    stream.write_all(&all)
}

/// A connection on which the server plays a role.
fn connect(server: SocketAddr, role: u8) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(server).context("cannot connect")?;
    stream.write_all(&[role]).context("cannot name the role")?;
    Ok(stream)
}
