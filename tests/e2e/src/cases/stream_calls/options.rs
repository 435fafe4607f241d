// SPDX-License-Identifier: Apache-2.0
//! Options that programs set are read back as set; unknown ones are refused.

use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use anyhow::{Result, ensure};

use super::calls::{self, errno};
use super::{Check, connect, script};

pub(crate) const CHECKS: &[Check] = &[
    ("options are read back", read_back),
    ("facts about the socket", facts),
    ("unknown options", unknown),
];

fn read_back(server: SocketAddr) -> Result<()> {
    let stream = connect(server, script::ECHO)?;
    let fd = stream.as_raw_fd();
    for (level, name, value) in [
        (libc::IPPROTO_TCP, libc::TCP_NODELAY, 1),
        (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, 45),
        (libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, 15),
        (libc::IPPROTO_TCP, libc::TCP_KEEPCNT, 4),
        (libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, 30_000),
        (libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1),
        (libc::SOL_SOCKET, libc::SO_REUSEADDR, 1),
    ] {
        let set = calls::set_option(fd, level, name, &value);
        ensure!(set.is_ok(), "setting {level}/{name}: {set:?}");
        let read = calls::option(fd, level, name)?;
        ensure!(
            read == value,
            "{level}/{name} was set to {value} and is {read}"
        );
    }
    Ok(())
}

fn facts(server: SocketAddr) -> Result<()> {
    let stream = connect(server, script::ECHO)?;
    let fd = stream.as_raw_fd();
    for (name, value) in [
        (libc::SO_TYPE, libc::SOCK_STREAM),
        (libc::SO_DOMAIN, libc::AF_INET),
        (libc::SO_PROTOCOL, libc::IPPROTO_TCP),
        (libc::SO_ERROR, 0),
        (libc::SO_ACCEPTCONN, 0),
    ] {
        let read = calls::option(fd, libc::SOL_SOCKET, name)?;
        ensure!(
            read == value,
            "SOL_SOCKET/{name} is {read} instead of {value}"
        );
    }
    Ok(())
}

fn unknown(server: SocketAddr) -> Result<()> {
    let stream = connect(server, script::ECHO)?;
    let fd = stream.as_raw_fd();
    for (level, name) in [(libc::IPPROTO_TCP, 9999), (libc::IPPROTO_IP, 9999)] {
        let (set, read) = (
            calls::set_option(fd, level, name, &1),
            calls::option(fd, level, name),
        );
        ensure!(
            errno(&set) == libc::ENOPROTOOPT,
            "setting {level}/{name}: {set:?}"
        );
        ensure!(
            errno(&read) == libc::ENOPROTOOPT,
            "reading {level}/{name}: {read:?}"
        );
    }
    Ok(())
}
