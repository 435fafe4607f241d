// SPDX-License-Identifier: Apache-2.0
//! The host's UDP sockets, and the system calls that the libraries do not wrap.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use vm_memory::VolatileSlice;

use crate::sockets::raw::{errno, retry, vectors};

/// Resolves when there is something to do with the host's socket; never without one.
pub(super) async fn ready(host: Option<&UdpSocket>, write: bool) {
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

/// A socket for a family, at any port.
pub(super) fn open(v4: bool) -> io::Result<UdpSocket> {
    let any: IpAddr = if v4 {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.set_nonblocking(true)?;
    watch(socket.into(), v4)
}

/// A bound socket, which does not block, of a family.
pub(super) fn watch(socket: OwnedFd, v4: bool) -> io::Result<UdpSocket> {
    // Without it the host is told of an unreachable peer only if its socket is connected (ip(7)).
    if v4 {
        setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
    } else {
        setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
    }
    UdpSocket::from_std(socket.into())
}

/// sendmsg(2) straight out of guest memory.
pub(super) fn send(
    host: &UdpSocket,
    payload: &[VolatileSlice<'_>; 2],
    to: SocketAddr,
) -> io::Result<()> {
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
pub(super) fn length_of_next(host: &UdpSocket) -> io::Result<usize> {
    let flags = libc::MSG_PEEK | libc::MSG_TRUNC | libc::MSG_DONTWAIT;
    retry(|| {
        // SAFETY: no byte is written to a buffer of length zero, so none is needed.
        unsafe { libc::recv(host.as_raw_fd(), std::ptr::null_mut(), 0, flags) }
    })
}

/// recvmsg(2) straight into guest memory; how much, and from whom.
pub(super) fn receive(
    host: &UdpSocket,
    runs: &[VolatileSlice<'_>; 2],
) -> io::Result<(usize, SocketAddr)> {
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
pub(super) fn failures_of(host: &UdpSocket, room: usize) -> Vec<(SocketAddr, u16)> {
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
