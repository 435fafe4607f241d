// SPDX-License-Identifier: Apache-2.0
//! The namespaces: a network with loopback only, and a view of the file system with the resolver's configuration changed.

use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

use super::{LocalError, Offer};

/// The guest's own address, for programs that ask (`docs/virtio-nexus.md`, section 1).
const OWN: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 1);

/// The family as a socket address has it.
const AF_INET: libc::sa_family_t = 2;

const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Moves this process into namespaces of its own. A user who is not root gets a user namespace as well, with the same id.
pub(super) fn enter(offer: &Offer) -> Result<(), LocalError> {
    let (user, group) = (geteuid(), getegid());
    let mut flags = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS;
    if !user.is_root() {
        flags |= CloneFlags::CLONE_NEWUSER;
    }
    unshare(flags).map_err(failed("make a network namespace"))?;
    if !user.is_root() {
        write("/proc/self/setgroups", "deny")?;
        write("/proc/self/uid_map", &format!("{user} {user} 1"))?;
        write("/proc/self/gid_map", &format!("{group} {group} 1"))?;
    }
    set_up_loopback(offer).map_err(|source| LocalError::Namespace {
        what: "set up loopback in the new network namespace",
        source,
    })?;
    cover_resolver(offer)
}

fn failed(what: &'static str) -> impl Fn(nix::Error) -> LocalError {
    move |error| LocalError::Namespace {
        what,
        source: error.into(),
    }
}

fn write(path: &str, text: &str) -> Result<(), LocalError> {
    fs::write(path, text).map_err(|source| LocalError::File {
        what: "write",
        path: path.into(),
        source,
    })
}

/// Brings loopback up, with the addresses of the guest and of its services.
fn set_up_loopback(offer: &Offer) -> io::Result<()> {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let flags = libc::IFF_UP | libc::IFF_LOOPBACK | libc::IFF_RUNNING;
    let flags = libc::c_short::try_from(flags).map_err(io::Error::other)?;
    configure(
        &socket,
        libc::SIOCSIFFLAGS,
        "lo",
        libc::__c_anonymous_ifr_ifru { ifru_flags: flags },
    )?;
    let mut addresses = vec![OWN];
    for service in offer.streams.iter().chain(&offer.datagrams) {
        if let IpAddr::V4(ip) = service.ip()
            && !addresses.contains(&ip)
        {
            addresses.push(ip);
        }
    }
    for (number, ip) in addresses.into_iter().enumerate() {
        // The name of a further address of an interface (netdevice(7)).
        let name = format!("lo:{number}");
        let ifru_addr = socket_address(ip);
        configure(
            &socket,
            libc::SIOCSIFADDR,
            &name,
            libc::__c_anonymous_ifr_ifru { ifru_addr },
        )?;
        // Without it the whole network would be loopback.
        let ifru_netmask = socket_address(Ipv4Addr::BROADCAST);
        configure(
            &socket,
            libc::SIOCSIFNETMASK,
            &name,
            libc::__c_anonymous_ifr_ifru { ifru_netmask },
        )?;
    }
    Ok(())
}

fn socket_address(ip: Ipv4Addr) -> libc::sockaddr {
    let mut data = [0; 14];
    for (place, octet) in data[2..].iter_mut().zip(ip.octets()) {
        *place = octet.cast_signed();
    }
    libc::sockaddr {
        sa_family: AF_INET,
        sa_data: data,
    }
}

/// Changes a property of an interface (netdevice(7)).
fn configure(
    socket: &std::net::UdpSocket,
    request: libc::Ioctl,
    interface: &str,
    value: libc::__c_anonymous_ifr_ifru,
) -> io::Result<()> {
    let mut request_data = libc::ifreq {
        ifr_name: [0; libc::IFNAMSIZ],
        ifr_ifru: value,
    };
    for (place, byte) in request_data.ifr_name.iter_mut().zip(interface.bytes()) {
        *place = byte.cast_signed();
    }
    // SAFETY: each of the requests used here reads an ifreq, which lives for the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), request, &raw const request_data) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Has libc's resolver, and every other, ask nexusd: this process and its children see another `/etc/resolv.conf`.
fn cover_resolver(offer: &Offer) -> Result<(), LocalError> {
    let Some(SocketAddr::V4(server)) = offer.datagrams.first() else {
        return Ok(());
    };
    if !Path::new(RESOLV_CONF).exists() {
        // Without the file resolvers ask 127.0.0.1. Programs that use libc's are still served by the preload library.
        return Ok(());
    }
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )
    .map_err(failed("keep mounts to itself"))?;
    let file = std::env::temp_dir().join(format!("nexus-local-{}", std::process::id()));
    let covered = make_file(&file, *server.ip()).and_then(|()| {
        mount(
            Some(&file),
            RESOLV_CONF,
            None::<&str>,
            MsFlags::MS_BIND,
            None::<&str>,
        )
        .map_err(failed("mount over /etc/resolv.conf"))
    });
    // The mount keeps the file; its name was only needed for that.
    fs::remove_file(&file).map_err(|source| LocalError::File {
        what: "remove",
        path: file,
        source,
    })?;
    covered
}

fn make_file(path: &Path, server: Ipv4Addr) -> Result<(), LocalError> {
    let make = || {
        let mut file = fs::File::create_new(path)?;
        // As in a guest: over TCP an answer of any length comes in one exchange.
        writeln!(file, "nameserver {server}\noptions use-vc")
    };
    make().map_err(|source| LocalError::File {
        what: "write",
        path: path.to_owned(),
        source,
    })
}
