// SPDX-License-Identifier: Apache-2.0
//! Ports of the host that lead into a guest.
//!
//! Each VM whose guest listens has a host socket of its own with `SO_REUSEPORT`, so that the kernel spreads peers over the VMs
//! of a function. A host socket exists only while a guest listens: to everybody else the port is closed.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::str::FromStr;

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket, sockopt,
};
use serde::{Deserialize, Serialize};

/// The address of the host that a port is published at if none is given: for programs of the host only.
const DEFAULT_HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Transport protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TCP
    Tcp,
    /// UDP
    Udp,
}

/// A port of the host that leads to a port of a guest, written `[address:]port:guest-port[/protocol]`.
///
/// *address* is one of the host's, IPv6 in brackets, by default 127.0.0.1; *protocol* is `tcp`, the default, or `udp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublishedPort {
    host: SocketAddr,
    guest: u16,
    transport: Transport,
}

/// Why a string is not a published port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// It has not the form.
    #[error(
        "published port {0:?} is not [address:]port:guest-port[/protocol], as in 8080:80, 0.0.0.0:8080:80 or [::]:5353:53/udp"
    )]
    Form(String),
    /// A port is no port.
    #[error("published port {whole:?}: {port:?} is not a port from 1 to 65535")]
    Port {
        /// The whole text.
        whole: String,
        /// The part in question.
        port: String,
    },
    /// The address is none.
    #[error("published port {whole:?}: {address:?} is not an IP address (IPv6 in brackets)")]
    Address {
        /// The whole text.
        whole: String,
        /// The part in question.
        address: String,
    },
    /// The protocol is not known.
    #[error("published port {whole:?}: protocol {protocol:?} is neither tcp nor udp")]
    Protocol {
        /// The whole text.
        whole: String,
        /// The part in question.
        protocol: String,
    },
}

impl PublishedPort {
    /// Address and port of the host.
    pub fn host(&self) -> SocketAddr {
        self.host
    }

    /// The guest's port.
    pub(super) fn guest(&self) -> u16 {
        self.guest
    }

    /// Whether a guest's socket with this port is meant.
    pub(super) fn leads_to(&self, transport: Transport, port: u16) -> bool {
        (self.transport, self.guest) == (transport, port)
    }

    /// Whether some peer's packet could be for both.
    pub fn conflicts(&self, other: &Self) -> bool {
        let (one, another) = (self.host.ip(), other.host.ip());
        let same_ip = one.is_ipv4() == another.is_ipv4()
            && (one == another || one.is_unspecified() || another.is_unspecified());
        self.transport == other.transport && self.host.port() == other.host.port() && same_ip
    }

    /// Whether the port can be had now, by having it for a moment.
    ///
    /// # Errors
    /// What bind(2) says: `EADDRINUSE` if another program has it, `EADDRNOTAVAIL` if the address is not the host's, `EACCES` for
    /// a privileged port.
    pub fn try_bind(&self) -> io::Result<()> {
        self.bind(false).map(drop)
    }

    /// A host socket that is bound to the port, beside those of other VMs.
    pub(super) fn open(&self) -> io::Result<OwnedFd> {
        self.bind(true)
    }

    fn bind(&self, shared: bool) -> io::Result<OwnedFd> {
        let family = match self.host {
            SocketAddr::V4(_) => AddressFamily::Inet,
            SocketAddr::V6(_) => AddressFamily::Inet6,
        };
        let kind = match self.transport {
            Transport::Tcp => SockType::Stream,
            Transport::Udp => SockType::Datagram,
        };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(family, kind, flags, None)?;
        if self.host.is_ipv6() {
            // IPv4 has an address of its own to be published at.
            setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
        }
        if self.transport == Transport::Tcp {
            // Connections that are over keep nobody from listening again (tcp(7)).
            setsockopt(&fd, sockopt::ReuseAddr, &true)?;
        }
        if shared {
            setsockopt(&fd, sockopt::ReusePort, &true)?;
        }
        bind(
            std::os::fd::AsRawFd::as_raw_fd(&fd),
            &SockaddrStorage::from(self.host),
        )?;
        Ok(fd)
    }
}

impl FromStr for PublishedPort {
    type Err = PublishError;

    fn from_str(whole: &str) -> Result<Self, PublishError> {
        let form = || PublishError::Form(whole.into());
        let (rest, protocol) = whole.split_once('/').unwrap_or((whole, "tcp"));
        let transport = match protocol {
            "tcp" => Transport::Tcp,
            "udp" => Transport::Udp,
            protocol => {
                return Err(PublishError::Protocol {
                    whole: whole.into(),
                    protocol: protocol.into(),
                });
            }
        };
        let (host, guest) = rest.rsplit_once(':').ok_or_else(form)?;
        let (address, port) = match host.rsplit_once(':') {
            Some((address, port)) => (Some(address), port),
            None => (None, host),
        };
        let number = |port: &str| match port.parse() {
            Ok(number) if number != 0 => Ok(number),
            _ => Err(PublishError::Port {
                whole: whole.into(),
                port: port.into(),
            }),
        };
        let (port, guest) = (number(port)?, number(guest)?);
        let ip = match address {
            None => DEFAULT_HOST,
            Some(address) => parse_ip(address).ok_or_else(|| PublishError::Address {
                whole: whole.into(),
                address: address.into(),
            })?,
        };
        Ok(Self {
            host: SocketAddr::new(ip, port),
            guest,
            transport,
        })
    }
}

fn parse_ip(address: &str) -> Option<IpAddr> {
    match address
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(v6) => v6.parse().ok().map(IpAddr::V6),
        None => address.parse().ok().map(IpAddr::V4),
    }
}

impl fmt::Display for PublishedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        };
        write!(f, "{}:{}/{protocol}", self.host, self.guest)
    }
}

impl TryFrom<String> for PublishedPort {
    type Error = PublishError;

    fn try_from(text: String) -> Result<Self, PublishError> {
        text.parse()
    }
}

impl From<PublishedPort> for String {
    fn from(port: PublishedPort) -> Self {
        port.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use proptest::prelude::*;

    use super::{PublishError, PublishedPort};

    fn port(text: &str) -> PublishedPort {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn every_form() {
        for (text, whole) in [
            ("8080:80", "127.0.0.1:8080:80/tcp"),
            ("0.0.0.0:1:2/udp", "0.0.0.0:1:2/udp"),
            ("[::]:5353:53/udp", "[::]:5353:53/udp"),
            ("[::1]:65535:1/tcp", "[::1]:65535:1/tcp"),
        ] {
            assert_eq!(port(text).to_string(), whole);
            assert_eq!(port(whole), port(text));
        }
    }

    #[test]
    fn what_is_none() {
        let error = |text: &str| text.parse::<PublishedPort>().expect_err(text);
        for text in ["", "80", "80/tcp"] {
            assert_eq!(error(text), PublishError::Form(text.into()));
        }
        for text in ["0:80", "80:0", "80:65536", "a:1", "80:"] {
            assert!(matches!(error(text), PublishError::Port { .. }), "{text}");
        }
        for text in [
            "::1:80:80",
            "[127.0.0.1]:80:80",
            "localhost:80:80",
            ":80:80",
        ] {
            assert!(
                matches!(error(text), PublishError::Address { .. }),
                "{text}"
            );
        }
        assert!(matches!(error("1:1/sctp"), PublishError::Protocol { .. }));
    }

    #[test]
    fn conflicts_are_found_before_they_happen() {
        let conflict = |one: &str, other: &str| port(one).conflicts(&port(other));
        assert!(conflict("80:1", "80:2"));
        assert!(conflict("80:1", "0.0.0.0:80:2"));
        assert!(!conflict("80:1", "127.0.0.2:80:2"));
        assert!(!conflict("80:1", "[::]:80:2"));
        assert!(!conflict("80:1", "80:1/udp"));
        assert!(!conflict("80:1", "81:1"));
    }

    #[test]
    fn a_taken_port_is_noticed() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let number = taken.local_addr().expect("its address").port();
        let published = port(&format!("{number}:80"));
        let error = published.try_bind().expect_err("taken");
        assert_eq!(error.raw_os_error(), Some(libc::EADDRINUSE));
        drop(taken);
        published.try_bind().expect("free again");
    }

    proptest! {
        #[test]
        fn any_text_is_a_port_or_an_error(text in ".{0,40}") {
            if let Ok(port) = text.parse::<PublishedPort>() {
                prop_assert_eq!(port.to_string().parse(), Ok(port));
            }
        }
    }
}
