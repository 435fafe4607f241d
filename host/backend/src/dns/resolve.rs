// SPDX-License-Identifier: Apache-2.0
//! Resolution by the host's own means: getaddrinfo(3), hence /etc/hosts, nsswitch and the configured name servers.

use std::ffi::CString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

/// Lookups of one VM at a time. Each holds a thread until the host's resolver gives up.
const CONCURRENT: usize = 8;

/// How long a guest waits for an answer; less than the usual client timeouts, so that it hears SERVFAIL rather than nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which addresses are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    V4,
    V6,
}

/// Why there is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The name does not exist.
    NoName,
    /// Nobody can say, at least now.
    Unknown,
}

/// The lookups of one VM.
#[derive(Debug)]
pub(super) struct Resolver {
    slots: Arc<Semaphore>,
}

impl Default for Resolver {
    fn default() -> Self {
        Self {
            slots: Arc::new(Semaphore::new(CONCURRENT)),
        }
    }
}

impl Resolver {
    /// The addresses of `name`; none if it exists without addresses of the wanted kind.
    pub(super) async fn resolve(&self, name: &str, wanted: Wanted) -> Result<Vec<IpAddr>, Failure> {
        let name = CString::new(name).map_err(|_| Failure::NoName)?;
        let slots = Arc::clone(&self.slots);
        let lookup = async move {
            let slot = slots.acquire_owned().await.map_err(|_| Failure::Unknown)?;
            let lookup = tokio::task::spawn_blocking(move || {
                // Held by the thread rather than by who waits for it: it is the thread that is scarce.
                let _slot = slot;
                look_up(&name, wanted)
            });
            lookup.await.map_err(|_| Failure::Unknown)?
        };
        tokio::time::timeout(PATIENCE, lookup)
            .await
            .unwrap_or(Err(Failure::Unknown))
    }
}

fn look_up(name: &CString, wanted: Wanted) -> Result<Vec<IpAddr>, Failure> {
    // SAFETY: addrinfo is plain data, for which zeroes mean no hints.
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    hints.ai_family = match wanted {
        Wanted::V4 => libc::AF_INET,
        Wanted::V6 => libc::AF_INET6,
    };
    hints.ai_socktype = libc::SOCK_STREAM;
    let mut list = std::ptr::null_mut();
    // SAFETY: the strings end with a zero byte or are absent, and `list` takes a list that is freed below.
    let code = unsafe {
        libc::getaddrinfo(
            name.as_ptr(),
            std::ptr::null(),
            &raw const hints,
            &raw mut list,
        )
    };
    match code {
        0 => {}
        libc::EAI_NONAME => return Err(Failure::NoName),
        // glibc's "name exists, but no address of this family" (netdb.h); the libc crate lacks the second.
        libc::EAI_NODATA | -9 => return Ok(Vec::new()),
        _ => return Err(Failure::Unknown),
    }
    let mut addresses = Vec::new();
    let mut next = list;
    // SAFETY: the list is getaddrinfo's; it is linked by `ai_next` and ends with null.
    while let Some(entry) = unsafe { next.as_ref() } {
        // SAFETY: the entry is of the list that getaddrinfo made.
        let address = unsafe { address(entry) };
        addresses.extend(address.filter(|ip| !addresses.contains(ip)));
        next = entry.ai_next;
    }
    // SAFETY: the list came from getaddrinfo, and nothing refers to it any more.
    unsafe { libc::freeaddrinfo(list) };
    addresses.retain(routed);
    Ok(addresses)
}

/// Whether this host could send to the address at all, as far as IPv6 goes. A program on an IPv4-only host is spared the
/// IPv6 addresses of a name, or gets them last, by getaddrinfo's look at the host's routes (RFC 6724, section 5, rule 1). A
/// guest has no routes to look at and would try them first. AI_ADDRCONFIG does not serve here: it takes a link-local
/// address for IPv6, and glibc answers it with "no such name" where "no such address" is meant.
fn routed(ip: &IpAddr) -> bool {
    /// Any: connect(2) looks up the route of a UDP socket and sends nothing.
    const PORT: u16 = 9;
    ip.is_ipv4()
        || UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))
            .and_then(|socket| socket.connect((*ip, PORT)))
            .is_ok()
}

/// # Safety
/// `entry` is one that getaddrinfo(3) made.
unsafe fn address(entry: &libc::addrinfo) -> Option<IpAddr> {
    match entry.ai_family {
        libc::AF_INET => {
            // SAFETY: for this family `ai_addr` points to a sockaddr_in (getaddrinfo(3)).
            let address = unsafe { entry.ai_addr.cast::<libc::sockaddr_in>().read_unaligned() };
            Some(Ipv4Addr::from(address.sin_addr.s_addr.to_ne_bytes()).into())
        }
        libc::AF_INET6 => {
            // SAFETY: for this family `ai_addr` points to a sockaddr_in6 (getaddrinfo(3)).
            let address = unsafe { entry.ai_addr.cast::<libc::sockaddr_in6>().read_unaligned() };
            Some(Ipv6Addr::from(address.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numeric names, which glibc resolves without asking anybody.
    fn addresses(name: &str, wanted: Wanted) -> Result<Vec<IpAddr>, Failure> {
        look_up(&CString::new(name).map_err(|_| Failure::NoName)?, wanted)
    }

    #[test]
    fn addresses_without_a_route_are_left_out() {
        // Without a zone, no host has a route to it (RFC 4007, section 6).
        assert_eq!(addresses("fe80::1", Wanted::V6), Ok(vec![]));
        let v4 = Ipv4Addr::new(192, 0, 2, 1).into();
        assert_eq!(addresses("192.0.2.1", Wanted::V4), Ok(vec![v4]));
    }
}
