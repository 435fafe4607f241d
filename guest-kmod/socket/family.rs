// SPDX-License-Identifier: GPL-2.0-only
//! The protocol families, and `socket()`.

use kernel::{bindings, ffi::c_int, prelude::*, types::ForeignOwnable};

use super::Socket;
use crate::ffi::raw;
use crate::proto::Family;

const PF_INET: c_int = 2;
const PF_INET6: c_int = 10;
const SOCK_STREAM: c_int = 1;
const SOCK_DGRAM: c_int = 2;
const IPPROTO_IP: c_int = 0;
const IPPROTO_ICMP: c_int = 1;
const IPPROTO_TCP: c_int = 6;
const IPPROTO_UDP: c_int = 17;
const IPPROTO_ICMPV6: c_int = 58;

/// The registration of both families. Possible since a kernel without INET leaves them to nobody.
pub(crate) struct Families(());

impl Families {
    /// Registers both families.
    pub(crate) fn register() -> Result<Self> {
        // SAFETY: The structures are static, their functions are those of `ops.rs`.
        kernel::error::to_result(unsafe { raw::nexus_families_register() })?;
        Ok(Self(()))
    }
}

impl Drop for Families {
    fn drop(&mut self) {
        // SAFETY: They were registered. No socket exists, or the module could not be unloaded.
        unsafe { raw::nexus_families_unregister() }
    }
}

/// Makes a socket.
///
/// # Safety
///
/// As for `net_proto_family.create`.
pub(super) unsafe fn create(
    net: *mut bindings::net,
    sock: *mut bindings::socket,
    family: c_int,
    protocol: c_int,
    kern: c_int,
) -> Result {
    // SAFETY: The caller passes a valid socket.
    let kind = c_int::from(unsafe { (*sock).type_ });
    let own_protocol = match kind {
        SOCK_STREAM => IPPROTO_TCP,
        SOCK_DGRAM => IPPROTO_UDP,
        _ => return Err(ESOCKTNOSUPPORT),
    };
    if let (PF_INET, SOCK_DGRAM, IPPROTO_ICMP) | (PF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6) =
        (family, kind, protocol)
    {
        // Ping sockets are for the groups of `net.ipv4.ping_group_range`, which unless somebody sets it are none
        // (`ping_init_sock()`).
        return Err(EACCES);
    }
    if protocol != IPPROTO_IP && protocol != own_protocol {
        return Err(EPROTONOSUPPORT);
    }
    let wire = if family == PF_INET6 {
        Family::V6
    } else {
        Family::V4
    };
    let socket = match kind {
        SOCK_STREAM => Socket::stream(wire)?,
        _ => Socket::datagram(wire)?,
    };
    let socket = KBox::new(socket, GFP_KERNEL)?;
    let private = socket.into_foreign();
    // SAFETY: `net` and `sock` are the caller's; `private` is what `nexus_socket_drop()` takes back.
    let created = unsafe { raw::nexus_sk_create(net, sock, family, own_protocol, kern, private) };
    if created != 0 {
        // SAFETY: It was not taken over.
        drop(unsafe { KBox::<Socket>::from_foreign(private) });
    }
    kernel::error::to_result(created)
}
