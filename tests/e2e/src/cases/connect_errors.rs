// SPDX-License-Identifier: Apache-2.0
//! A connect that fails fails with the errno that it would have on a stock kernel; what policy forbids fails with EACCES;
//! the host's own loopback and the metadata services are not there.

use std::net::{SocketAddr, TcpListener, TcpStream};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Case;
use crate::bed::{Bed, FORBIDDEN, NO_ROUTE, SERVER, SILENT, UNREACHABLE};

pub(crate) const CASE: Case = Case {
    name: "connect_errors",
    guest,
    host,
};

/// Connects to each address and returns the errno of each, 0 for success.
fn guest(arguments: &Value) -> Result<Value> {
    let addresses = arguments["addresses"].as_array().context("no addresses")?;
    let mut results = Vec::new();
    for address in addresses {
        let address: SocketAddr = address
            .as_str()
            .context("an address is a string")?
            .parse()?;
        let result = TcpStream::connect(address);
        results.push(
            result
                .err()
                .map_or(0, |error| error.raw_os_error().unwrap_or(-1)),
        );
    }
    Ok(json!(results))
}

fn host(bed: &Bed) -> Result<()> {
    // Listens everywhere, so that a refusal is the policy's and not the port's.
    let everywhere = TcpListener::bind(("::", 0))?;
    let open = everywhere.local_addr()?.port();
    let closed = closed_port()?;
    let cases = [
        (format!("{SERVER}:{open}"), 0),
        (format!("{SERVER}:{closed}"), libc::ECONNREFUSED),
        (format!("{UNREACHABLE}:80"), libc::EHOSTUNREACH),
        (format!("{NO_ROUTE}:80"), libc::ENETUNREACH),
        (format!("{SILENT}:80"), libc::ETIMEDOUT),
        (format!("{FORBIDDEN}:{open}"), libc::EACCES),
        (format!("[::ffff:{FORBIDDEN}]:{open}"), libc::EACCES),
        (format!("127.0.0.1:{open}"), libc::ECONNREFUSED),
        (format!("127.1.2.3:{open}"), libc::ECONNREFUSED),
        (format!("0.0.0.0:{open}"), libc::ECONNREFUSED),
        (format!("[::1]:{open}"), libc::ECONNREFUSED),
        (format!("[::]:{open}"), libc::ECONNREFUSED),
        (format!("[::ffff:127.0.0.1]:{open}"), libc::ECONNREFUSED),
        (format!("169.254.169.254:{open}"), libc::ECONNREFUSED),
        (format!("169.254.170.2:{closed}"), libc::ECONNREFUSED),
    ];
    let addresses: Vec<&str> = cases.iter().map(|(address, _)| address.as_str()).collect();
    let results = bed.guest(&CASE, &json!({ "addresses": addresses }))?;
    for (index, (address, expected)) in cases.iter().enumerate() {
        ensure!(
            results[index] == json!(expected),
            "{address}: errno {} instead of {expected}",
            results[index]
        );
    }
    Ok(())
}

/// A port of the test server's address on which nobody listens.
fn closed_port() -> Result<u16> {
    let listener = TcpListener::bind((SERVER, 0))?;
    Ok(listener.local_addr()?.port())
}
