// SPDX-License-Identifier: Apache-2.0
//! Moves datagrams between UDP sockets of the host and a guest's socket, in place: the kernel copies from and to guest
//! memory.
//!
//! One guest socket has one host socket for each family that it speaks, so its peers always see the same port. One task for
//! each guest socket, bounded work for each turn. What fails is told by a record; nothing waits for a destination.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;

use nexus_proto::wire::{Family, Record};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use vm_memory::VolatileSlice;

use super::EndpointPolicy;
use super::connect::{socket_address, wire_address};
use super::raw::{errno, retry, vectors};
use super::socket::Socket;
use super::state::Step;
use crate::service::{SERVICE_IP, Services};

/// Most datagrams for each direction in one turn, after which other sockets get theirs.
const DATAGRAMS: usize = 32;

/// Questions to services that a socket may have under way; more are dropped, as a busy server would.
const QUESTIONS: usize = 64;

/// Failures that wait to be told; more are forgotten, as networks do.
const FAILURES: usize = 64;

/// Serves a datagram socket until the guest closes it or its VM ends.
pub(super) async fn run(
    socket: Arc<Socket>,
    services: Services,
    policy: Arc<EndpointPolicy>,
    ended: CancellationToken,
) {
    let mut exchange = Exchange {
        socket: Arc::clone(&socket),
        services,
        policy,
        v4: None,
        v6: None,
        allowed: None,
        failures: VecDeque::new(),
        questions: JoinSet::new(),
        answers: VecDeque::new(),
    };
    tokio::select! {
        () = exchange.serve() => {}
        () = ended.cancelled() => {}
    }
    // The host's sockets are closed first, so that the guest's release says that nothing of them is left.
    drop(exchange);
    socket.finish(None);
}

/// What a turn ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    More,
    Wait { write: bool },
    Over,
}

struct Exchange {
    socket: Arc<Socket>,
    services: Services,
    policy: Arc<EndpointPolicy>,
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
    /// The last address that the policy allowed: most sockets have one peer.
    allowed: Option<SocketAddr>,
    failures: VecDeque<Record>,
    questions: JoinSet<Option<(SocketAddr, Vec<u8>)>>,
    answers: VecDeque<(SocketAddr, Vec<u8>)>,
}

impl Exchange {
    async fn serve(&mut self) {
        loop {
            let turn = self.turn();
            self.socket.flush();
            let write = match turn {
                Turn::Over => return,
                Turn::More => {
                    tokio::task::yield_now().await;
                    continue;
                }
                Turn::Wait { write } => write,
            };
            let socket = Arc::clone(&self.socket);
            tokio::select! {
                () = socket.changed() => {}
                () = ready(self.v4.as_ref(), write) => {}
                () = ready(self.v6.as_ref(), write) => {}
                Some(answer) = self.questions.join_next() => {
                    // A service that panicked gives no answer.
                    self.answers.extend(answer.ok().flatten());
                }
            }
        }
    }

    fn turn(&mut self) -> Turn {
        let mut write = false;
        let mut moved = 0;
        while moved < DATAGRAMS {
            match self.send() {
                Step::Done => moved += 1,
                Step::Idle => break,
                Step::Blocked => {
                    write = true;
                    break;
                }
                Step::Over => return Turn::Over,
                Step::Violation(error) => {
                    self.socket.violate(error.into());
                    return Turn::Over;
                }
            }
        }
        let received = self.receive();
        if moved == DATAGRAMS || received == DATAGRAMS {
            Turn::More
        } else {
            Turn::Wait { write }
        }
    }

    /// Sends the guest's next datagram.
    fn send(&mut self) -> Step {
        let socket = Arc::clone(&self.socket);
        socket.send_record(|record, payload| {
            let sent = self.send_to(record, &payload);
            match &sent {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    let error = errno(error.raw_os_error().unwrap_or(libc::EIO));
                    self.fail(Record {
                        length: 0,
                        error: Some(error),
                        address: record.address,
                    });
                }
                _ => {}
            }
            sent
        })
    }

    fn send_to(&mut self, record: &Record, payload: &[VolatileSlice<'_>; 2]) -> io::Result<()> {
        let refused = |code| io::Error::from_raw_os_error(code);
        let to = socket_address(&record.address, self.socket.family())
            .ok_or_else(|| refused(libc::EAFNOSUPPORT))?;
        if to.ip() == IpAddr::V4(SERVICE_IP) {
            return self.ask(to, payload);
        }
        if self.allowed != Some(to) {
            self.policy
                .check(to)
                .map_err(|refusal| refused(refusal.errno().into()))?;
            self.allowed = Some(to);
        }
        let host = match to {
            SocketAddr::V4(_) => &mut self.v4,
            SocketAddr::V6(_) => &mut self.v6,
        };
        if host.is_none() {
            *host = Some(open(to.is_ipv4())?);
        }
        let Some(host) = host else {
            return Ok(());
        };
        let attempt = || host.try_io(Interest::WRITABLE, || send(host, payload, to));
        match attempt() {
            // What an earlier datagram met, and not this one; its record comes from the error queue.
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => attempt(),
            outcome => outcome,
        }
    }

    /// Asks a service inside the process.
    fn ask(&mut self, to: SocketAddr, payload: &[VolatileSlice<'_>; 2]) -> io::Result<()> {
        let Some(service) = self.services.responder(&to) else {
            return Err(io::Error::from_raw_os_error(libc::ECONNREFUSED));
        };
        if self.questions.len() < QUESTIONS {
            let mut question = Vec::new();
            for run in payload {
                let start = question.len();
                question.resize(start + run.len(), 0);
                run.copy_to(&mut question[start..]);
            }
            self.questions.spawn(async move {
                let answer = service.respond(question).await?;
                Some((to, answer))
            });
        }
        Ok(())
    }

    fn fail(&mut self, record: Record) {
        if self.failures.len() < FAILURES {
            self.failures.push_back(record);
        }
    }

    /// Gives the guest what there is; says how many datagrams.
    fn receive(&mut self) -> usize {
        for host in [&self.v4, &self.v6] {
            let room = FAILURES - self.failures.len();
            let failures = host.iter().flat_map(|host| failures_of(host, room));
            let family = self.socket.family();
            self.failures.extend(failures.map(|(to, error)| Record {
                length: 0,
                error: Some(error),
                address: wire_address(to, family),
            }));
        }
        let mut moved = 0;
        while moved < DATAGRAMS && (self.tell_failure() || self.give_answer()) {
            moved += 1;
        }
        for host in [&self.v4, &self.v6] {
            while moved < DATAGRAMS && host.as_ref().is_some_and(|host| self.receive_from(host)) {
                moved += 1;
            }
        }
        moved
    }

    fn tell_failure(&mut self) -> bool {
        let Some(record) = self.failures.front().copied() else {
            return false;
        };
        let told = matches!(
            self.socket.receive_record(0, |_| Ok(Some(record))),
            Step::Done
        );
        if told {
            self.failures.pop_front();
        }
        told
    }

    fn give_answer(&mut self) -> bool {
        let Some((from, answer)) = self.answers.front() else {
            return false;
        };
        let Ok(length) = u32::try_from(answer.len()) else {
            self.answers.pop_front();
            return true;
        };
        let record = Record {
            length,
            error: None,
            address: wire_address(*from, self.socket.family()),
        };
        let step = self.socket.receive_record(length, |runs| {
            let mut rest = &answer[..];
            for run in &runs {
                let (now, later) = rest.split_at(run.len().min(rest.len()));
                run.copy_from(now);
                rest = later;
            }
            Ok(Some(record))
        });
        let given = matches!(step, Step::Done);
        if given {
            self.answers.pop_front();
        }
        given
    }

    /// Receives one datagram into the rx ring, or drops it if its sender is none that the guest may talk to.
    fn receive_from(&self, host: &UdpSocket) -> bool {
        let waiting = host.try_io(Interest::READABLE, || length_of_next(host));
        let Ok(Ok(length)) = waiting.map(u32::try_from) else {
            return false;
        };
        let family = self.socket.family();
        let step = self.socket.receive_record(length, |runs| {
            let (length, from) = receive(host, &runs)?;
            let wanted = self.allowed == Some(from) || self.policy.check(from).is_ok();
            let fits = from.is_ipv4() || family == Family::V6;
            Ok((wanted && fits).then(|| Record {
                length: u32::try_from(length).unwrap_or(0),
                error: None,
                address: wire_address(from, family),
            }))
        });
        matches!(step, Step::Done)
    }
}

/// Resolves when there is something to do with the host's socket; never without one.
async fn ready(host: Option<&UdpSocket>, write: bool) {
    let Some(host) = host else {
        return std::future::pending().await;
    };
    let mut interest = Interest::READABLE | Interest::ERROR;
    if write {
        interest |= Interest::WRITABLE;
    }
    // Readiness is only a hint here: the next turn's calls say what is the matter.
    let _ready = host.ready(interest).await;
}

fn open(v4: bool) -> io::Result<UdpSocket> {
    let any: IpAddr = if v4 {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.set_nonblocking(true)?;
    // Without it the host is told of an unreachable peer only if its socket is connected (ip(7)).
    if v4 {
        setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
    } else {
        setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
        setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
    }
    UdpSocket::from_std(socket)
}

/// sendmsg(2) straight out of guest memory.
fn send(host: &UdpSocket, payload: &[VolatileSlice<'_>; 2], to: SocketAddr) -> io::Result<()> {
    let mut vectors = vectors(payload);
    let name = SockaddrStorage::from(to);
    // SAFETY: msghdr is plain data, for which zeroes mean no address, no vectors and no control data.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = (&raw const name).cast_mut().cast();
    message.msg_namelen = nix::sys::socket::SockaddrLike::len(&name);
    message.msg_iov = vectors.as_mut_ptr();
    message.msg_iovlen = vectors.len();
    retry(|| {
        // SAFETY: `message` refers to `name`, and to `vectors`, which refer to mappings that `payload` borrows; the kernel
        // only reads them, and copes with a guest that writes there meanwhile.
        unsafe {
            libc::sendmsg(
                host.as_raw_fd(),
                &raw const message,
                libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT,
            )
        }
    })
    .map(drop)
}

/// Length of the next datagram, which stays.
fn length_of_next(host: &UdpSocket) -> io::Result<usize> {
    let flags = libc::MSG_PEEK | libc::MSG_TRUNC | libc::MSG_DONTWAIT;
    retry(|| {
        // SAFETY: no byte is written to a buffer of length zero, so none is needed.
        unsafe { libc::recv(host.as_raw_fd(), std::ptr::null_mut(), 0, flags) }
    })
}

/// recvmsg(2) straight into guest memory; how much, and from whom.
fn receive(host: &UdpSocket, runs: &[VolatileSlice<'_>; 2]) -> io::Result<(usize, SocketAddr)> {
    let mut vectors = vectors(runs);
    // SAFETY: a sockaddr_storage is plain data, for which zeroes mean no address.
    let mut name: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    // SAFETY: as above, for a msghdr.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = (&raw mut name).cast();
    message.msg_namelen = NAME_SIZE;
    message.msg_iov = vectors.as_mut_ptr();
    message.msg_iovlen = vectors.len();
    let length = retry(|| {
        // SAFETY: `message` refers to `name`, and to `vectors`, which refer to mappings that `runs` borrows and that hold
        // nothing but the guest's bytes: no reference to them exists in this process.
        unsafe { libc::recvmsg(host.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) }
    })?;
    let from = address_of(&name).ok_or(io::ErrorKind::InvalidData)?;
    Ok((length, from))
}

const NAME_SIZE: libc::socklen_t = {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a small constant of the system"
    )]
    let size = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    size
};

fn address_of(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    let start: *const libc::sockaddr_storage = name;
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says what it is, and every address fits a sockaddr_storage, whose alignment it has.
            let v4 = unsafe { start.cast::<libc::sockaddr_in>().read() };
            let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
            Some((ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { start.cast::<libc::sockaddr_in6>().read() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            Some((ip, u16::from_be(v6.sin6_port)).into())
        }
        _ => None,
    }
}

/// Which datagrams failed, at most so many: to whom, and how (ip(7), IP_RECVERR).
fn failures_of(host: &UdpSocket, room: usize) -> Vec<(SocketAddr, u16)> {
    let mut failures = Vec::new();
    while failures.len() < room {
        // SAFETY: the descriptor is open as long as `host` is borrowed.
        let fd = unsafe { BorrowedFd::borrow_raw(host.as_raw_fd()) };
        let Some((to, error)) = next_failure(fd) else {
            break;
        };
        failures.extend(to.map(|to| (to, error)));
    }
    failures
}

fn next_failure(fd: BorrowedFd<'_>) -> Option<(Option<SocketAddr>, u16)> {
    let mut control = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6);
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message =
        recvmsg::<SockaddrStorage>(fd.as_raw_fd(), &mut [], Some(&mut control), flags).ok()?;
    let to = message.address.and_then(|name| {
        let v4 = name
            .as_sockaddr_in()
            .map(|name| SocketAddr::from((name.ip(), name.port())));
        let v6 = name
            .as_sockaddr_in6()
            .map(|name| SocketAddr::from((name.ip(), name.port())));
        v4.or(v6)
    });
    let code = message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => {
            i32::try_from(error.ee_errno).ok()
        }
        _ => None,
    });
    Some((to, errno(code.unwrap_or(libc::EIO))))
}
