// SPDX-License-Identifier: Apache-2.0
//! nexusd, as init sees it: an HTTP service at a link-local address, reached through the driver.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::config::BootConfig;
use crate::error::InitError;
use crate::http;

const ADDRESS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(169, 254, 170, 2), 9000);
const BOOT: &str = "/2026-11-01/boot";
const EXIT: &str = "/2026-11-01/exit";
/// For how long a refused connection is tried again: nexusd may be about to listen.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(10);
/// A nexusd that takes longer is gone, and the VM with it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How the program ended, the body of `POST /2026-11-01/exit`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub(crate) enum ProcessExit {
    /// It left by itself with this status.
    Exited { code: u8 },
    /// A signal of this number ended it.
    Signaled { code: u8 },
    /// It could not be started.
    Failed { error: String },
}

impl ProcessExit {
    /// The VM's exit code, as a shell would have it.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Exited { code } => *code,
            Self::Signaled { code } => code.saturating_add(128),
            Self::Failed { .. } => 126,
        }
    }
}

/// Asks how to run the program.
pub(crate) fn boot_config() -> Result<BootConfig, InitError> {
    let body = exchange("GET", BOOT, &[])?;
    serde_json::from_slice(&body).map_err(|error| InitError::Answer {
        request: format!("GET {BOOT}"),
        reason: format!("malformed JSON: {error}"),
    })
}

/// Reports how the program ended.
pub(crate) fn report_exit(exit: &ProcessExit) -> Result<(), InitError> {
    let body = serde_json::to_vec(exit).unwrap_or_default();
    exchange("POST", EXIT, &body).map(drop)
}

fn exchange(method: &str, path: &str, body: &[u8]) -> Result<Vec<u8>, InitError> {
    let unreachable = |source| InitError::Host {
        address: ADDRESS.to_string(),
        source,
    };
    let mut stream = connect().map_err(unreachable)?;
    // A driver without timeouts is no reason to give up.
    stream.set_read_timeout(Some(TIMEOUT)).ok();
    stream.set_write_timeout(Some(TIMEOUT)).ok();
    let response = http::exchange(&mut stream, method, path, &ADDRESS.to_string(), body)
        .map_err(unreachable)?;
    if response.status / 100 == 2 {
        return Ok(response.body);
    }
    Err(InitError::Answer {
        request: format!("{method} {path}"),
        reason: format!(
            "{}: {}",
            response.status,
            String::from_utf8_lossy(&response.body).trim()
        ),
    })
}

fn connect() -> io::Result<TcpStream> {
    let began = Instant::now();
    loop {
        match TcpStream::connect(ADDRESS) {
            Err(error)
                if error.kind() == io::ErrorKind::ConnectionRefused
                    && began.elapsed() < PATIENCE =>
            {
                std::thread::sleep(PAUSE);
            }
            result => return result,
        }
    }
}
