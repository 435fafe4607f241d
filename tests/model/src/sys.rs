// SPDX-License-Identifier: Apache-2.0
//! The system calls, with errors as numbers.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "lengths and codes are small constants of libc, results are checked for their sign"
)]

use std::mem::{size_of, zeroed};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Result of a system call, or its errno.
pub(crate) type Result<T> = std::result::Result<T, i32>;

fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(-1)
}

fn checked(result: i64) -> Result<i64> {
    if result < 0 { Err(errno()) } else { Ok(result) }
}

fn owned(fd: i32) -> Result<OwnedFd> {
    checked(fd.into())?;
    // SAFETY: the call just returned this descriptor, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// An address as the kernel takes it.
pub(crate) struct Name {
    storage: libc::sockaddr_storage,
    length: libc::socklen_t,
}

impl Name {
    /// AF_UNSPEC
    pub(crate) fn unspecified() -> Self {
        Self {
            // SAFETY: a sockaddr_storage is plain data, for which zeroes mean AF_UNSPEC.
            storage: unsafe { zeroed() },
            length: size_of::<libc::sockaddr_in6>() as libc::socklen_t,
        }
    }

    fn empty() -> Self {
        Self {
            length: size_of::<libc::sockaddr_storage>() as libc::socklen_t,
            ..Self::unspecified()
        }
    }

    pub(crate) fn new(address: SocketAddr) -> Self {
        let mut name = Self::unspecified();
        let port = address.port().to_be();
        match address.ip() {
            IpAddr::V4(ip) => {
                let to: *mut libc::sockaddr_in = (&raw mut name.storage).cast();
                let value = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: port,
                    sin_addr: libc::in_addr {
                        s_addr: u32::from_ne_bytes(ip.octets()),
                    },
                    sin_zero: [0; 8],
                };
                // SAFETY: a sockaddr_storage has room for, and the alignment of, every address.
                unsafe { to.write(value) };
                name.length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            }
            IpAddr::V6(ip) => {
                let to: *mut libc::sockaddr_in6 = (&raw mut name.storage).cast();
                let value = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: port,
                    sin6_flowinfo: 0,
                    sin6_addr: libc::in6_addr {
                        s6_addr: ip.octets(),
                    },
                    sin6_scope_id: 0,
                };
                // SAFETY: as above.
                unsafe { to.write(value) };
            }
        }
        name
    }

    /// The address, if there is one.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        let start: *const libc::sockaddr_storage = &raw const self.storage;
        match i32::from(self.storage.ss_family) {
            libc::AF_INET if self.length as usize >= size_of::<libc::sockaddr_in>() => {
                // SAFETY: the family says what it is, and it is that long.
                let v4 = unsafe { start.cast::<libc::sockaddr_in>().read() };
                let ip = v4.sin_addr.s_addr.to_ne_bytes();
                Some((ip, u16::from_be(v4.sin_port)).into())
            }
            libc::AF_INET6 if self.length as usize >= size_of::<libc::sockaddr_in6>() => {
                // SAFETY: as above.
                let v6 = unsafe { start.cast::<libc::sockaddr_in6>().read() };
                Some((v6.sin6_addr.s6_addr, u16::from_be(v6.sin6_port)).into())
            }
            _ => None,
        }
    }
}

pub(crate) fn socket(family: i32, kind: i32, protocol: i32) -> Result<OwnedFd> {
    let kind = kind | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no memory is involved.
    owned(unsafe { libc::socket(family, kind, protocol) })
}

pub(crate) fn bind(fd: &OwnedFd, name: &Name) -> Result<i64> {
    // SAFETY: the pointer is to a live address of at least this length.
    let result = unsafe {
        libc::bind(
            fd.as_raw_fd(),
            (&raw const name.storage).cast(),
            name.length,
        )
    };
    checked(result.into())
}

pub(crate) fn connect(fd: &OwnedFd, name: &Name) -> Result<i64> {
    // SAFETY: the pointer is to a live address of at least this length.
    let result = unsafe {
        libc::connect(
            fd.as_raw_fd(),
            (&raw const name.storage).cast(),
            name.length,
        )
    };
    checked(result.into())
}

pub(crate) fn listen(fd: &OwnedFd, backlog: i32) -> Result<i64> {
    // SAFETY: no memory is involved.
    checked(unsafe { libc::listen(fd.as_raw_fd(), backlog) }.into())
}

pub(crate) fn accept(fd: &OwnedFd) -> Result<(OwnedFd, Name)> {
    let mut name = Name::empty();
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let (to, length) = ((&raw mut name.storage).cast(), &raw mut name.length);
    // SAFETY: both pointers are to live values, and the length is the first one's.
    let fd = owned(unsafe { libc::accept4(fd.as_raw_fd(), to, length, flags) })?;
    Ok((fd, name))
}

pub(crate) fn send(fd: &OwnedFd, bytes: &[u8], flags: i32, to: Option<&Name>) -> Result<i64> {
    let (name, length) = to.map_or((std::ptr::null(), 0), |name| {
        ((&raw const name.storage).cast(), name.length)
    });
    let flags = flags | libc::MSG_NOSIGNAL;
    // SAFETY: buffer and address are live and of these lengths.
    let sent = unsafe {
        libc::sendto(
            fd.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len(),
            flags,
            name,
            length,
        )
    };
    checked(sent as i64)
}

/// A piece of control data.
pub(crate) struct Control {
    pub(crate) level: i32,
    pub(crate) kind: i32,
    pub(crate) data: Vec<u8>,
}

/// What was received, beside the bytes.
pub(crate) struct Received {
    pub(crate) length: i64,
    pub(crate) flags: i32,
    pub(crate) name: Name,
    pub(crate) control: Vec<Control>,
}

pub(crate) fn receive(fd: &OwnedFd, buffer: &mut [u8], flags: i32) -> Result<Received> {
    let mut name = Name::empty();
    // Of u64, for its alignment.
    let mut control = [0u64; 64];
    let mut vector = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: a msghdr is plain data, for which zeroes mean that there is nothing.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_name = (&raw mut name.storage).cast();
    message.msg_namelen = name.length;
    message.msg_iov = &raw mut vector;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control);
    // SAFETY: the message refers to a live address, and live buffers of these lengths.
    let received = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, flags) };
    let length = checked(received as i64)?;
    name.length = message.msg_namelen;
    Ok(Received {
        length,
        flags: message.msg_flags,
        name,
        control: controls(&message),
    })
}

fn controls(message: &libc::msghdr) -> Vec<Control> {
    let mut all = Vec::new();
    // SAFETY: the message was filled by recvmsg(), and the buffer that it refers to lives.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !next.is_null() {
        // SAFETY: the macros give whole headers within the buffer only.
        let header = unsafe { next.read() };
        // SAFETY: no memory is involved.
        let empty = unsafe { libc::CMSG_LEN(0) } as usize;
        // SAFETY: the data lies behind its header.
        let data = unsafe { libc::CMSG_DATA(next) };
        // SAFETY: the header says how much there is, all of it within the buffer.
        let data = unsafe { std::slice::from_raw_parts(data, header.cmsg_len - empty) };
        all.push(Control {
            level: header.cmsg_level,
            kind: header.cmsg_type,
            data: data.to_vec(),
        });
        // SAFETY: as for the first one.
        next = unsafe { libc::CMSG_NXTHDR(message, next) };
    }
    all
}

pub(crate) fn shutdown(fd: &OwnedFd, how: i32) -> Result<i64> {
    // SAFETY: no memory is involved.
    checked(unsafe { libc::shutdown(fd.as_raw_fd(), how) }.into())
}

pub(crate) fn duplicate(fd: &OwnedFd) -> Result<OwnedFd> {
    // SAFETY: no memory is involved.
    owned(unsafe { libc::dup(fd.as_raw_fd()) })
}

pub(crate) fn poll(fd: &OwnedFd) -> Result<u32> {
    let mut entry = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN | libc::POLLPRI | libc::POLLOUT | libc::POLLRDHUP,
        revents: 0,
    };
    // SAFETY: the pointer is to one live pollfd.
    checked(unsafe { libc::poll(&raw mut entry, 1, 0) }.into())?;
    Ok(u32::from(entry.revents as u16))
}

pub(crate) fn local_name(fd: &OwnedFd) -> Result<Name> {
    let mut name = Name::empty();
    let (to, length) = ((&raw mut name.storage).cast(), &raw mut name.length);
    // SAFETY: both pointers are to live values, and the length is the first one's.
    checked(unsafe { libc::getsockname(fd.as_raw_fd(), to, length) }.into())?;
    Ok(name)
}

pub(crate) fn peer_name(fd: &OwnedFd) -> Result<Name> {
    let mut name = Name::empty();
    let (to, length) = ((&raw mut name.storage).cast(), &raw mut name.length);
    // SAFETY: both pointers are to live values, and the length is the first one's.
    checked(unsafe { libc::getpeername(fd.as_raw_fd(), to, length) }.into())?;
    Ok(name)
}

pub(crate) fn set<T>(fd: &OwnedFd, level: i32, name: i32, value: &T) -> Result<i64> {
    let length = size_of::<T>() as libc::socklen_t;
    let from = std::ptr::from_ref(value).cast();
    // SAFETY: the pointer is to a live value of exactly this length.
    checked(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, from, length) }.into())
}

pub(crate) fn get(fd: &OwnedFd, level: i32, name: i32) -> Result<i64> {
    let mut value = 0i32;
    let mut length = size_of::<i32>() as libc::socklen_t;
    let to = (&raw mut value).cast();
    // SAFETY: both pointers are to live values, and the length is the first one's.
    checked(unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, to, &raw mut length) }.into())?;
    Ok(value.into())
}

pub(crate) fn readable(fd: &OwnedFd) -> Result<i64> {
    let mut count = 0i32;
    // SAFETY: FIONREAD writes one int, which the pointer is to.
    checked(unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &raw mut count) }.into())?;
    Ok(count.into())
}

/// `SIOCGSTAMP` (linux/sockios.h), which libc does not know.
const SIOCGSTAMP: libc::Ioctl = 0x8906;

pub(crate) fn stamped(fd: &OwnedFd) -> Result<i64> {
    let mut time = [0i64; 2];
    // SAFETY: SIOCGSTAMP writes a timeval, two numbers of 64 bits, which the pointer is to.
    checked(unsafe { libc::ioctl(fd.as_raw_fd(), SIOCGSTAMP, time.as_mut_ptr()) }.into())
}

pub(crate) fn epoll() -> Result<OwnedFd> {
    // SAFETY: no memory is involved.
    owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })
}

pub(crate) fn watch(epoll: &OwnedFd, fd: &OwnedFd, data: u64, flags: u32) -> Result<i64> {
    let events = libc::EPOLLIN | libc::EPOLLPRI | libc::EPOLLOUT | libc::EPOLLRDHUP;
    let mut event = libc::epoll_event {
        events: events as u32 | flags,
        u64: data,
    };
    let add = libc::EPOLL_CTL_ADD;
    // SAFETY: the pointer is to a live event.
    let result = unsafe { libc::epoll_ctl(epoll.as_raw_fd(), add, fd.as_raw_fd(), &raw mut event) };
    checked(result.into())
}

/// Data and bits of what happened.
pub(crate) fn wait(epoll: &OwnedFd) -> Result<Vec<(u64, u32)>> {
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; 32];
    let room = events.len() as i32;
    // SAFETY: the pointer is to that many live events.
    let count = unsafe { libc::epoll_wait(epoll.as_raw_fd(), events.as_mut_ptr(), room, 0) };
    let count = checked(count.into())? as usize;
    Ok(events[..count]
        .iter()
        .map(|event| (event.u64, event.events))
        .collect())
}
