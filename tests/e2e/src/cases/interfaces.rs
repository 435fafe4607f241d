// SPDX-License-Identifier: Apache-2.0
//! What a guest finds when it looks for its network (T58): one plausible interface beside loopback, the same by every way.

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Case;
use crate::bed::{Bed, SERVER};

pub(crate) const CASE: Case = Case {
    name: "interfaces",
    guest,
    host,
};

fn guest(_arguments: &Value) -> Result<Value> {
    let found = addresses()?;
    let has = |entry: &str| {
        ensure!(found.contains(entry), "getifaddrs lacks {entry}: {found:?}");
        Ok(())
    };
    has("lo 127.0.0.1")?;
    has("lo ::1")?;
    let own = found
        .iter()
        .find_map(|entry| entry.strip_prefix("eth0 ")?.parse::<Ipv4Addr>().ok())
        .context("eth0 has no IPv4 address")?;
    ensure!(
        found
            .iter()
            .any(|entry| entry.starts_with("eth0 ") && entry.contains(':')),
        "eth0 has no IPv6 address: {found:?}"
    );
    ensure!(
        address_by_ioctl("eth0")? == own,
        "SIOCGIFADDR differs from {own}"
    );
    ensure!(
        address_by_ioctl("lo")? == Ipv4Addr::LOCALHOST,
        "lo by ioctl"
    );
    // With a network stack of its own, the kernel tells of that one here, which nobody uses (decision 0009).
    if !Path::new("/proc/net/tcp").exists() {
        check_lists(own)?;
    }
    let operational = fs::read_to_string("/sys/class/net/eth0/flags")?;
    ensure!(operational.trim() != "0x0", "eth0 is down");
    let devices = fs::read_to_string("/proc/net/dev")?;
    ensure!(
        devices.contains("eth0:") && devices.contains("lo:"),
        "/proc/net/dev: {devices}"
    );

    // The address is true: sockets have it, and lead to each other by it, inside the guest.
    let towards = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    towards.connect((SERVER, 9))?;
    ensure!(
        towards.local_addr()?.ip() == own,
        "a socket towards the server has {}",
        towards.local_addr()?
    );
    let listener = TcpListener::bind((own, 0))?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    ensure!(client.local_addr()?.ip() == own, "connected from elsewhere");
    Ok(json!(found))
}

/// What generic code and files of /proc list.
fn check_lists(own: Ipv4Addr) -> Result<()> {
    let listed = list_by_ioctl()?;
    let expected = [
        ("lo".to_owned(), Ipv4Addr::LOCALHOST),
        ("eth0".to_owned(), own),
    ];
    ensure!(listed == expected, "SIOCGIFCONF lists {listed:?}");
    let scopes = fs::read_to_string("/proc/net/if_inet6")?;
    ensure!(
        scopes.lines().any(|line| line.ends_with(" eth0")) && scopes.contains(" 10 80 "),
        "/proc/net/if_inet6: {scopes}"
    );
    let routes = fs::read_to_string("/proc/net/route")?;
    ensure!(
        routes.contains("eth0\t00000000\t00000000\t0001"),
        "/proc/net/route: {routes}"
    );
    Ok(())
}

/// `getifaddrs()`: name and address of each entry that has one.
fn addresses() -> Result<BTreeSet<String>> {
    let mut list = std::ptr::null_mut();
    // SAFETY: the pointer is to a pointer, which the call sets.
    let result = unsafe { libc::getifaddrs(&raw mut list) };
    ensure!(result == 0, "getifaddrs: {}", io::Error::last_os_error());
    let mut found = BTreeSet::new();
    let mut next = list.cast_const();
    // SAFETY: the list's entries are live until it is freed.
    while let Some(entry) = unsafe { next.as_ref() } {
        next = entry.ifa_next;
        // SAFETY: every entry has a name that ends with a zero byte.
        let name = unsafe { CStr::from_ptr(entry.ifa_name) }.to_string_lossy();
        // SAFETY: an address is null or live.
        let Some(address) = (unsafe { entry.ifa_addr.as_ref() }) else {
            continue;
        };
        let start: *const libc::sockaddr = address;
        let ip = match i32::from(address.sa_family) {
            libc::AF_INET => {
                // SAFETY: the family says what it is.
                let v4 = unsafe { start.cast::<libc::sockaddr_in>().read_unaligned() };
                Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes()).to_string()
            }
            libc::AF_INET6 => {
                // SAFETY: as above.
                let v6 = unsafe { start.cast::<libc::sockaddr_in6>().read_unaligned() };
                Ipv6Addr::from(v6.sin6_addr.s6_addr).to_string()
            }
            _ => continue,
        };
        found.insert(format!("{name} {ip}"));
    }
    // SAFETY: the list is getifaddrs()'s, and nothing refers to it any more.
    unsafe { libc::freeifaddrs(list) };
    Ok(found)
}

/// `ioctl(SIOCGIFADDR)`
fn address_by_ioctl(name: &str) -> Result<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    // SAFETY: an ifreq is plain data, for which zeroes are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    let fd = std::os::fd::AsRawFd::as_raw_fd(&socket);
    // SAFETY: SIOCGIFADDR takes an ifreq, which the pointer is to.
    let result = unsafe { libc::ioctl(fd, libc::SIOCGIFADDR, &raw mut request) };
    ensure!(
        result == 0,
        "SIOCGIFADDR of {name}: {}",
        io::Error::last_os_error()
    );
    let start = (&raw const request.ifr_ifru).cast::<libc::sockaddr_in>();
    // SAFETY: the call has written an IPv4 address there.
    let address = unsafe { start.read_unaligned() };
    Ok(Ipv4Addr::from(address.sin_addr.s_addr.to_ne_bytes()))
}

/// `ioctl(SIOCGIFCONF)`: name and address of each interface. Java asks in this way.
fn list_by_ioctl() -> Result<Vec<(String, Ipv4Addr)>> {
    const ROOM: usize = 8;
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let fd = std::os::fd::AsRawFd::as_raw_fd(&socket);
    // SAFETY: an ifreq is plain data, for which zeroes are valid.
    let mut requests: [libc::ifreq; ROOM] = unsafe { std::mem::zeroed() };
    let mut list = libc::ifconf {
        ifc_len: 0,
        ifc_ifcu: libc::__c_anonymous_ifc_ifcu {
            ifcu_req: std::ptr::null_mut(),
        },
    };
    // SAFETY: SIOCGIFCONF takes an ifconf, which the pointer is to; without a buffer it says how much room is needed.
    let result = unsafe { libc::ioctl(fd, libc::SIOCGIFCONF, &raw mut list) };
    ensure!(result == 0, "SIOCGIFCONF: {}", io::Error::last_os_error());
    let needed = usize::try_from(list.ifc_len)?;
    ensure!(
        needed <= size_of_val(&requests),
        "SIOCGIFCONF needs {needed} bytes"
    );
    list.ifc_len = i32::try_from(size_of_val(&requests))?;
    list.ifc_ifcu.ifcu_req = requests.as_mut_ptr();
    // SAFETY: as above, and the buffer is live and of this length.
    let result = unsafe { libc::ioctl(fd, libc::SIOCGIFCONF, &raw mut list) };
    ensure!(result == 0, "SIOCGIFCONF: {}", io::Error::last_os_error());
    let count = usize::try_from(list.ifc_len)? / size_of::<libc::ifreq>();
    let shown = requests.iter().take(count).map(|request| {
        // SAFETY: the kernel ends names with a zero byte.
        let name = unsafe { CStr::from_ptr(request.ifr_name.as_ptr()) };
        let start = (&raw const request.ifr_ifru).cast::<libc::sockaddr_in>();
        // SAFETY: the call has written an IPv4 address there.
        let address = unsafe { start.read_unaligned() };
        (
            name.to_string_lossy().into_owned(),
            Ipv4Addr::from(address.sin_addr.s_addr.to_ne_bytes()),
        )
    });
    Ok(shown.collect())
}

fn host(bed: &Bed) -> Result<()> {
    bed.guest(&CASE, &Value::Null)?;
    Ok(())
}
