// SPDX-License-Identifier: Apache-2.0
//! A network namespace for a program outside a VM, and the sockets in it that nexusd serves.
//!
//! - `namespace`: the namespaces, loopback, the resolver's configuration.
//! - `sockets`: the sockets, and how nexusd gets them.

mod namespace;
mod sockets;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::UnixStream;

/// Longest line that nexusd sends, in bytes: variables have at most 4 KiB together.
const LINE_MAX: usize = 64 * 1024;

/// Why there is no namespace.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocalError {
    /// The system forbids it.
    #[error(
        "cannot {what}; become root, or allow user namespaces (sysctl user.max_user_namespaces)"
    )]
    Namespace {
        what: &'static str,
        #[source]
        source: io::Error,
    },
    /// A file that describes the namespace cannot be changed.
    #[error("cannot {what} {path}", path = path.display())]
    File {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A socket in it cannot be made.
    #[error("cannot make the socket for {what} in the new network namespace")]
    Socket {
        what: String,
        #[source]
        source: io::Error,
    },
    /// nexusd does not want what it was given.
    #[error("nexusd does not serve the program: {0}")]
    Refused(String),
    /// The connection broke.
    #[error("nexusd ended the connection")]
    Connection(#[from] io::Error),
    /// It spoke in riddles.
    #[error("nexusd's answer cannot be understood; are nexus and nexusd from the same build?")]
    Answer(#[from] serde_json::Error),
}

/// What nexusd offers: variables for the program, and where its services are to be found.
#[derive(Debug, Deserialize)]
struct Offer {
    env: BTreeMap<String, String>,
    streams: Vec<SocketAddr>,
    datagrams: Vec<SocketAddr>,
}

/// Whether nexusd serves the namespace.
#[derive(Debug, Deserialize)]
struct Verdict {
    error: Option<String>,
}

/// Moves this process into a network namespace of its own, which nexusd serves while the connection is open; returns the
/// program's variables. What nexusd has already `said` comes first.
pub(crate) async fn enter(
    nexusd: &mut UnixStream,
    said: &[u8],
) -> Result<BTreeMap<String, String>, LocalError> {
    let offer: Offer = read_line(&mut said.chain(&mut *nexusd)).await?;
    namespace::enter(&offer)?;
    let sockets = sockets::open(&offer)?;
    nexusd.writable().await?;
    sockets::send(nexusd, &sockets)?;
    drop(sockets);
    let verdict: Verdict = read_line(nexusd).await?;
    match verdict.error {
        None => Ok(offer.env),
        Some(error) => Err(LocalError::Refused(error)),
    }
}

async fn read_line<T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<T, LocalError> {
    let mut line = Vec::new();
    loop {
        match stream.read_u8().await? {
            b'\n' => return Ok(serde_json::from_slice(&line)?),
            byte if line.len() < LINE_MAX => line.push(byte),
            _ => return Err(io::Error::from(io::ErrorKind::InvalidData).into()),
        }
    }
}
