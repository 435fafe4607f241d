// SPDX-License-Identifier: Apache-2.0
//! Addresses that mean something to this host rather than to its network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Whether no guest may ever reach `ip`, whatever its policy says: this host's loopback, the unspecified address (which
/// Linux connects to loopback), link-local addresses and the metadata services of clouds, which answer whoever can send
/// from this machine, and what is not one host's address at all.
pub(super) fn forbidden(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => forbidden_v4(ip),
        IpAddr::V6(ip) => forbidden_v6(ip),
    }
}

/// Whether `ip` belongs to a private network or to this host itself, so that a rule for "any host" does not mean it.
pub(super) fn internal(ip: IpAddr) -> bool {
    let private = match ip.to_canonical() {
        IpAddr::V4(ip) => private_v4(ip),
        IpAddr::V6(ip) => private_v6(ip),
    };
    private || own(ip)
}

fn forbidden_v4(ip: Ipv4Addr) -> bool {
    let metadata = matches!(
        ip.octets(),
        [100, 100, 100, 200] // Alibaba Cloud
            | [168, 63, 129, 16] // Azure, "WireServer"
            | [192, 0, 0, 192] // Oracle Cloud
    );
    let octets = ip.octets();
    // 0/8 is "this network" (RFC 791), 240/4 reserved (RFC 1112) with the broadcast address in it.
    octets[0] == 0
        || octets[0] >= 240
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || metadata
}

fn forbidden_v6(ip: Ipv6Addr) -> bool {
    const AWS: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    const GOOGLE: Ipv6Addr = Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254);
    // ::/96 holds the unspecified address, loopback and the deprecated v4-compatible addresses (RFC 4291).
    ip.segments()[..6] == [0; 6]
        || ip.is_unicast_link_local()
        || ip.is_multicast()
        || ip == AWS
        || ip == GOOGLE
        || embedded_v4(ip).is_some_and(forbidden_v4)
}

fn private_v4(ip: Ipv4Addr) -> bool {
    let octets = ip.octets();
    let shared = octets[0] == 100 && octets[1] & 0xc0 == 64; // 100.64/10, RFC 6598
    let protocol = octets[..3] == [192, 0, 0]; // RFC 6890
    let benchmark = octets[0] == 198 && octets[1] & 0xfe == 18; // RFC 2544
    ip.is_private() || shared || protocol || benchmark
}

fn private_v6(ip: Ipv6Addr) -> bool {
    let site_local = ip.segments()[0] & 0xffc0 == 0xfec0; // deprecated by RFC 3879, still routed by some
    ip.is_unique_local() || site_local || embedded_v4(ip).is_some_and(private_v4)
}

/// The IPv4 address that a translator on the way would make of `ip`: NAT64 (RFC 6052) and 6to4 (RFC 3056).
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match ip.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

/// Whether `ip` is an address of this host. Linux picks the destination itself as the source of what it sends to a local
/// address, so connecting a datagram socket, which sends nothing, tells it without a list of interfaces.
fn own(ip: IpAddr) -> bool {
    let any: IpAddr = match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let source = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect(SocketAddr::new(ip, 9))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == ip)
}
