// SPDX-License-Identifier: Apache-2.0
//! poll and epoll: which bits, and how often.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use anyhow::{Result, ensure};

use super::calls;
use super::{Check, connect, script};

pub(crate) const CHECKS: &[Check] = &[
    ("poll of an idle connection", idle),
    ("poll at the end of the stream", at_end),
    ("poll after a reset", after_reset),
    ("poll of a full connection", full),
    ("epoll, level triggered", level),
    ("epoll, edge triggered", edge),
];

fn idle(server: SocketAddr) -> Result<()> {
    let stream = connect(server, script::ECHO)?;
    let events = calls::poll(
        stream.as_raw_fd(),
        libc::POLLIN | libc::POLLOUT | libc::POLLRDHUP,
        0,
    )?;
    ensure!(events == libc::POLLOUT, "revents {events:#x}");
    Ok(())
}

fn at_end(server: SocketAddr) -> Result<()> {
    let mut stream = connect(server, script::HELLO)?;
    let fd = stream.as_raw_fd();
    stream.read_exact(&mut [0; 5])?;
    let events = calls::poll(fd, libc::POLLRDHUP, 10_000)?;
    ensure!(
        events == libc::POLLRDHUP,
        "revents {events:#x} instead of POLLRDHUP"
    );
    let events = calls::poll(fd, libc::POLLIN | libc::POLLOUT, 0)?;
    ensure!(
        events == libc::POLLIN | libc::POLLOUT,
        "revents {events:#x} at the end"
    );
    stream.shutdown(Shutdown::Write)?;
    let events = calls::poll(fd, libc::POLLIN, 0)?;
    ensure!(
        events == libc::POLLIN | libc::POLLHUP,
        "revents {events:#x} when both sides are shut"
    );
    Ok(())
}

fn after_reset(server: SocketAddr) -> Result<()> {
    let stream = connect(server, script::RESET)?;
    let wanted = libc::POLLIN | libc::POLLRDHUP;
    let events = calls::poll(stream.as_raw_fd(), wanted, 10_000)?;
    let expected = wanted | libc::POLLERR | libc::POLLHUP;
    ensure!(
        events == expected,
        "revents {events:#x} instead of {expected:#x}"
    );
    Ok(())
}

fn full(server: SocketAddr) -> Result<()> {
    // The server sends back what it gets; since nobody reads that, everything fills up.
    let mut stream = connect(server, script::ECHO)?;
    stream.set_nonblocking(true)?;
    let block = [1; 8192];
    while calls::poll(stream.as_raw_fd(), libc::POLLOUT, 1000)? & libc::POLLOUT != 0 {
        match stream.write(&block) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut sink = vec![0; 1 << 16];
    let mut read = 0;
    while calls::poll(stream.as_raw_fd(), libc::POLLOUT, 0)? & libc::POLLOUT == 0 {
        ensure!(
            calls::poll(stream.as_raw_fd(), libc::POLLIN, 10_000)? & libc::POLLIN != 0,
            "nothing to read after {read}"
        );
        read += stream.read(&mut sink)?;
    }
    Ok(())
}

struct Epoll(OwnedFd);

impl Epoll {
    fn watch(fd: RawFd, events: i32) -> io::Result<Self> {
        // SAFETY: no memory is involved.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if epoll < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call just returned this descriptor, so nobody else owns it.
        let epoll = Self(unsafe { OwnedFd::from_raw_fd(epoll) });
        let mut event = libc::epoll_event {
            events: events.cast_unsigned(),
            u64: 0,
        };
        // SAFETY: the pointer is to a live epoll_event.
        let result = unsafe {
            libc::epoll_ctl(epoll.0.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event)
        };
        if result < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(epoll)
        }
    }

    /// The events that are there within a time, 0 for none.
    fn wait(&self, timeout_ms: i32) -> io::Result<i32> {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: the pointer is to room for one event.
        let result = unsafe { libc::epoll_wait(self.0.as_raw_fd(), &raw mut event, 1, timeout_ms) };
        if result < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(event.events.cast_signed())
        }
    }
}

fn level(server: SocketAddr) -> Result<()> {
    let mut stream = connect(server, script::ECHO)?;
    let epoll = Epoll::watch(stream.as_raw_fd(), libc::EPOLLIN)?;
    ensure!(epoll.wait(0)? == 0, "readable before anything was sent");
    stream.write_all(b"ab")?;
    ensure!(epoll.wait(10_000)? == libc::EPOLLIN, "not readable");
    ensure!(
        epoll.wait(0)? == libc::EPOLLIN,
        "not readable any more, though nothing was read"
    );
    while calls::readable(stream.as_raw_fd())? < 2 {
        std::thread::yield_now();
    }
    stream.read_exact(&mut [0; 2])?;
    ensure!(epoll.wait(0)? == 0, "readable after all was read");
    Ok(())
}

fn edge(server: SocketAddr) -> Result<()> {
    let mut stream = connect(server, script::ECHO)?;
    let epoll = Epoll::watch(stream.as_raw_fd(), libc::EPOLLIN | libc::EPOLLET)?;
    ensure!(epoll.wait(0)? == 0, "readable before anything was sent");
    for round in 0..3 {
        stream.write_all(b"a")?;
        ensure!(
            epoll.wait(10_000)? & libc::EPOLLIN != 0,
            "no edge in round {round}, with {round} bytes unread"
        );
        ensure!(epoll.wait(0)? == 0, "the same edge twice in round {round}");
    }
    let mut bytes = [0; 3];
    stream.read_exact(&mut bytes)?;
    ensure!(&bytes == b"aaa", "read {bytes:?}");
    Ok(())
}
