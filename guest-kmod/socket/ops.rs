// SPDX-License-Identifier: GPL-2.0-only
//! The system calls in their C form (`struct proto_ops`, set up in `ffi/shim.c`), each turned into a method of
//! [`Socket`] with safe arguments.
//!
//! C header: [`include/linux/net.h`](srctree/include/linux/net.h).

use core::slice;
use kernel::{
    bindings,
    ffi::{c_int, c_uint, c_ulong, c_void},
    iov::IovIterDest,
    prelude::*,
    types::ForeignOwnable,
};

use super::addr;
use super::options::membership::{self, Membership};
use super::options::congestion::NAME_MAX;
use super::options::{SOL_IP, SOL_TCP, TCP_CONGESTION, TCP_ULP};
use super::{family, Socket, Value};
use crate::ffi::{raw, Message, Sock, NAME_SIZE};

const O_NONBLOCK: c_int = 0o4000;
const FIONREAD: c_uint = 0x541b;
const SIOCATMARK: c_uint = 0x8905;
const SIOCOUTQ: c_uint = 0x5411;
const PF_INET: c_int = 2;
const PF_INET6: c_int = 10;
const SHUT_RD: c_int = 0;
const SHUT_WR: c_int = 1;
const SHUT_RDWR: c_int = 2;

/// The socket behind a system call.
///
/// # Safety
///
/// `sock` must be a socket that `nexus_sk_create()` has set up, and a system call on it must be under way for `'a`.
unsafe fn socket<'a>(sock: *mut bindings::socket) -> (&'a Sock, &'a Socket) {
    // SAFETY: The caller promises that `sock` is valid.
    let sk = unsafe { (*sock).sk };
    // SAFETY: `sk` is ours, and lives as long as the call.
    let private = unsafe { raw::nexus_sk_private(sk) };
    // SAFETY: The private pointer is a `KBox<Socket>` that lives as long as `sk`; nobody borrows it mutably.
    let socket = unsafe { KBox::<Socket>::borrow(private) };
    // SAFETY: As the caller promises.
    (unsafe { Sock::from_raw(sk) }, socket)
}

/// The bytes of an address that a system call was given.
///
/// # Safety
///
/// `address` must be valid for `length` bytes for `'a`.
unsafe fn address_bytes<'a>(address: *const c_void, length: c_int) -> &'a [u8] {
    match usize::try_from(length) {
        // SAFETY: As the caller promises.
        Ok(length) if length > 0 => unsafe { slice::from_raw_parts(address.cast(), length) },
        _ => &[],
    }
}

fn errno(result: Result) -> c_int {
    match result {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

fn length_or_errno(result: Result<usize>) -> c_int {
    match result {
        // The generic code limits a transfer to less than this.
        Ok(length) => c_int::try_from(length).unwrap_or(c_int::MAX),
        Err(error) => error.to_errno(),
    }
}

/// `net_proto_family.create` of PF_INET.
///
/// # Safety
///
/// Called by the generic socket code only, which passes valid arguments.
#[no_mangle]
unsafe extern "C" fn nexus_create_inet(
    net: *mut bindings::net,
    sock: *mut bindings::socket,
    protocol: c_int,
    kern: c_int,
) -> c_int {
    // SAFETY: The generic code passes valid arguments.
    errno(unsafe { family::create(net, sock, PF_INET, protocol, kern) })
}

/// `net_proto_family.create` of PF_INET6.
///
/// # Safety
///
/// Called by the generic socket code only, which passes valid arguments.
#[no_mangle]
unsafe extern "C" fn nexus_create_inet6(
    net: *mut bindings::net,
    sock: *mut bindings::socket,
    protocol: c_int,
    kern: c_int,
) -> c_int {
    // SAFETY: The generic code passes valid arguments.
    errno(unsafe { family::create(net, sock, PF_INET6, protocol, kern) })
}

/// `sock.sk_destruct`: the last reference is gone.
///
/// # Safety
///
/// Called by the generic socket code only, which passes valid arguments.
#[no_mangle]
unsafe extern "C" fn nexus_socket_drop(private: *mut c_void) {
    // SAFETY: `family::create()` made it with `into_foreign()`, and this happens once.
    drop(unsafe { KBox::<Socket>::from_foreign(private) });
}

/// `proto_ops.release`
///
/// # Safety
///
/// Called by the generic socket code only, which passes valid arguments.
#[no_mangle]
unsafe extern "C" fn nexus_release(sock: *mut bindings::socket) -> c_int {
    // SAFETY: The generic code passes a valid socket.
    if unsafe { (*sock).sk }.is_null() {
        return 0;
    }
    {
        // SAFETY: As above; the sock is released below only.
        let (sk, socket) = unsafe { socket(sock) };
        socket.release(sk);
    }
    // SAFETY: No borrow of the sock is left, and the endpoint has forgotten it.
    unsafe { raw::nexus_sk_release(sock) };
    0
}

/// `proto_ops.bind`
///
/// # Safety
///
/// Called by the generic socket code only, which passes valid arguments.
#[no_mangle]
unsafe extern "C" fn nexus_bind(
    sock: *mut bindings::socket,
    address: *mut bindings::sockaddr_unsized,
    length: c_int,
) -> c_int {
    // SAFETY: The generic code passes a valid socket.
    let (sk, socket) = unsafe { socket(sock) };
    // SAFETY: It has copied `length` bytes of address to kernel memory.
    let bytes = unsafe { address_bytes(address.cast(), length) };
    errno(socket.bind(sk, bytes))
}

/// `proto_ops.connect`
///
/// # Safety
///
/// Called by the generic socket code only, which passes valid arguments.
#[no_mangle]
unsafe extern "C" fn nexus_connect(
    sock: *mut bindings::socket,
    address: *mut bindings::sockaddr_unsized,
    length: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: The generic code passes a valid socket.
    let (sk, socket) = unsafe { socket(sock) };
    // SAFETY: It has copied `length` bytes of address to kernel memory.
    let bytes = unsafe { address_bytes(address.cast(), length) };
    errno(socket.connect(sk, bytes, flags & O_NONBLOCK != 0))
}

/// `proto_ops.listen`
///
/// # Safety
///
/// Called by the generic socket code only, which passes valid arguments.
#[no_mangle]
unsafe extern "C" fn nexus_listen(sock: *mut bindings::socket, backlog: c_int) -> c_int {
    // SAFETY: The generic code passes a valid socket.
    let (sk, socket) = unsafe { socket(sock) };
    // The generic code has limited it to the system's maximum.
    errno(socket.listen(sk, u32::try_from(backlog).unwrap_or(0)))
}

/// `proto_ops.accept`, its arguments unpacked.
///
/// # Safety
///
/// Called by the generic socket code only, which passes valid arguments, through the shim.
#[no_mangle]
unsafe extern "C" fn nexus_accept(
    sock: *mut bindings::socket,
    newsock: *mut bindings::socket,
    flags: c_int,
    is_empty: *mut bool,
) -> c_int {
    // SAFETY: The generic code passes a valid socket.
    let (sk, listening) = unsafe { socket(sock) };
    let accepted = match listening.accept(sk, flags & O_NONBLOCK != 0) {
        Ok(accepted) => accepted,
        Err(error) => return error.to_errno(),
    };
    let (socket, endpoint) = accepted;
    let private = socket.into_foreign();
    // SAFETY: Both sockets are the caller's; `private` is what `nexus_socket_drop()` takes back.
    let created = unsafe { raw::nexus_sk_accept(sock, newsock, private) };
    if created != 0 {
        // SAFETY: It was not taken over.
        drop(unsafe { KBox::<Socket>::from_foreign(private) });
        endpoint.close(true);
        return created;
    }
    // SAFETY: `newsock` has a sock of ours now, and this call is under way on it.
    let new = unsafe { Sock::from_raw((*newsock).sk) };
    endpoint.attach(new.waker());
    // SAFETY: The shim passes a valid pointer.
    unsafe { *is_empty = !listening.has_incoming() };
    0
}

/// `proto_ops.getname`
///
/// # Safety
///
/// Called by the generic socket code only, which passes valid arguments.
#[no_mangle]
unsafe extern "C" fn nexus_getname(
    sock: *mut bindings::socket,
    to: *mut bindings::sockaddr,
    peer: c_int,
) -> c_int {
    // SAFETY: The generic code passes a valid socket.
    let (_, socket) = unsafe { socket(sock) };
    let address = if peer == 0 {
        Ok(socket.local_address())
    } else {
        // `accept()` asks in another way than `getpeername()`.
        socket.peer_address(peer == 2)
    };
    length_or_errno(address.map(|address| {
        // SAFETY: The generic code passes a `struct sockaddr_storage`, which has room for every address.
        let to = unsafe { &mut *to.cast::<[u8; NAME_SIZE]>() };
        addr::write(&address, to)
    }))
}

/// `proto_ops.poll`
///
/// # Safety
///
/// Called by the generic socket code only, which passes valid arguments.
#[no_mangle]
unsafe extern "C" fn nexus_poll(
    file: *mut bindings::file,
    sock: *mut bindings::socket,
    wait: *mut bindings::poll_table_struct,
) -> c_uint {
    // SAFETY: The generic code passes valid arguments.
    unsafe { raw::nexus_poll_wait(file, sock, wait) };
    // SAFETY: As above.
    let (sk, socket) = unsafe { socket(sock) };
    socket.poll(sk)
}

/// `proto_ops.ioctl`
///
/// # Safety
///
/// Called by the generic socket code only, which passes valid arguments.
#[no_mangle]
unsafe extern "C" fn nexus_ioctl(
    sock: *mut bindings::socket,
    command: c_uint,
    argument: c_ulong,
) -> c_int {
    // SAFETY: The generic code passes a valid socket.
    let (sk, socket) = unsafe { socket(sock) };
    let count = match command {
        FIONREAD => socket.readable(sk),
        SIOCATMARK => socket.is_at_mark(),
        SIOCOUTQ => socket.unsent(),
        // SAFETY: Any address may be given; a bad one is an error. What it does not know, the generic code does, or says ENOTTY.
        _ => return unsafe { raw::nexus_interface_ioctl(command, argument) },
    };
    match count {
        // SAFETY: Any address may be given; a bad one is an error. Counts are below a ring's size.
        Ok(count) => unsafe { raw::nexus_put_int(argument, count as c_int) },
        Err(error) => error.to_errno(),
    }
}

/// `proto_ops.shutdown`
///
/// # Safety
///
/// Called by the generic socket code only, which passes valid arguments.
#[no_mangle]
unsafe extern "C" fn nexus_shutdown(sock: *mut bindings::socket, how: c_int) -> c_int {
    // SAFETY: The generic code passes a valid socket.
    let (sk, socket) = unsafe { socket(sock) };
    errno(match how {
        SHUT_RD => socket.shutdown(sk, true, false),
        SHUT_WR => socket.shutdown(sk, false, true),
        SHUT_RDWR => socket.shutdown(sk, true, true),
        _ => Err(EINVAL),
    })
}

/// `proto_ops.setsockopt`
///
/// # Safety
///
/// Called by the generic socket code only, which passes valid arguments.
#[no_mangle]
unsafe extern "C" fn nexus_setsockopt(
    sock: *mut bindings::socket,
    level: c_int,
    name: c_int,
    value: bindings::sockptr_t,
    length: c_uint,
) -> c_int {
    // SAFETY: The generic code passes a valid socket.
    let (sk, socket) = unsafe { socket(sock) };
    if membership::is_one(socket.family(), level, name) {
        // SAFETY: The value's address is checked.
        let membership = unsafe { read_membership(level, name, value, length) };
        return errno(membership.and_then(|membership| socket.change_membership(&membership)));
    }
    if level == SOL_TCP && matches!(name, TCP_CONGESTION | TCP_ULP) {
        let mut bytes = [0; NAME_MAX];
        // SAFETY: The value's address is checked.
        let given = unsafe { copy_option(value, length, &mut bytes) };
        return errno(given.and_then(|given| socket.set_name(name, given)));
    }
    // An option that is not known comes before a value that cannot be read.
    if !socket.has_option(level, name) {
        return ENOPROTOOPT.to_errno();
    }
    let mut number = 0;
    // SAFETY: `number` has room for an int; the value's address is checked.
    let read = unsafe { raw::nexus_read_option(value, length, level == SOL_IP, &mut number) };
    if read != 0 {
        return read;
    }
    errno(socket.set_option(sk, level, name, number))
}

/// Reads the value of an option about multicast groups.
///
/// # Safety
///
/// `value` must be what the generic code has passed to `setsockopt()`.
unsafe fn read_membership(
    level: c_int,
    name: c_int,
    value: bindings::sockptr_t,
    length: c_uint,
) -> Result<Membership> {
    let mut bytes = [0; membership::LARGEST];
    // SAFETY: As the caller promises.
    let given = unsafe { copy_option(value, length, &mut bytes) }?;
    Membership::read(level, name, given)
}

/// Copies as much of an option's value as there is room for.
///
/// # Safety
///
/// `value` must be what the generic code has passed to `setsockopt()`.
unsafe fn copy_option(
    value: bindings::sockptr_t,
    length: c_uint,
    room: &mut [u8],
) -> Result<&[u8]> {
    let given = room.len().min(length as usize);
    // SAFETY: There is room for as many; the value's address is checked.
    let read =
        unsafe { raw::nexus_copy_option(value, given as c_uint, room.as_mut_ptr().cast()) };
    kernel::error::to_result(read)?;
    Ok(room.get(..given).unwrap_or(&[]))
}

/// `proto.keepalive`: `SO_KEEPALIVE` was set.
///
/// # Safety
///
/// Called by the generic socket code only, which passes a valid sock, in a system call on its socket.
#[no_mangle]
unsafe extern "C" fn nexus_keepalive(sk: *mut bindings::sock, on: c_int) {
    // SAFETY: `sk` is ours, and lives as long as the call.
    let private = unsafe { raw::nexus_sk_private(sk) };
    // SAFETY: The private pointer is a `KBox<Socket>` that lives as long as `sk`; nobody borrows it mutably.
    let socket = unsafe { KBox::<Socket>::borrow(private) };
    socket.set_keep_alive(on != 0);
}

/// `proto_ops.getsockopt_iter`
///
/// # Safety
///
/// Called by the generic socket code only, which passes valid arguments.
#[no_mangle]
unsafe extern "C" fn nexus_getsockopt(
    sock: *mut bindings::socket,
    level: c_int,
    name: c_int,
    to: *mut bindings::sockopt_t,
) -> c_int {
    // SAFETY: The generic code passes a valid socket.
    let (_, socket) = unsafe { socket(sock) };
    // SAFETY: It passes a valid structure that is ours for the call.
    let to = unsafe { &mut *to };
    // SAFETY: `iter_out` is an iterator to write to, and nobody else uses it during the call.
    let target = unsafe { IovIterDest::from_raw(&mut to.iter_out) };
    let room = usize::try_from(to.optlen).unwrap_or(0);
    let mut put = |bytes: &[u8]| {
        let bytes = bytes.get(..room).unwrap_or(bytes);
        if target.copy_to_iter(bytes) < bytes.len() {
            return Err(EFAULT);
        }
        // At most the size of `struct tcp_info`.
        to.optlen = bytes.len() as c_int;
        Ok(())
    };
    errno(match socket.option(level, name) {
        Ok(Value::Number(number)) => put(&number.to_ne_bytes()),
        Ok(Value::Info(info)) => put(&info),
        Ok(Value::Name(name)) => put(&name),
        Ok(Value::Nothing) => put(&[]),
        Err(error) => Err(error),
    })
}

/// `proto_ops.sendmsg`
///
/// # Safety
///
/// Called by the generic socket code only, which passes valid arguments.
#[no_mangle]
unsafe extern "C" fn nexus_sendmsg(
    sock: *mut bindings::socket,
    message: *mut bindings::msghdr,
    _length: usize,
) -> c_int {
    // SAFETY: The generic code passes a valid socket.
    let (sk, socket) = unsafe { socket(sock) };
    // SAFETY: It passes a valid message that is ours for the call.
    let message = unsafe { Message::from_raw(message) };
    let result = socket.send(sk, message);
    let silent = message.flags() & bindings::MSG_NOSIGNAL != 0 || !socket.is_stream();
    if !silent && matches!(result, Err(error) if error == EPIPE) {
        // SAFETY: This is a system call of the task that is to get the signal.
        unsafe { raw::nexus_send_sigpipe() };
    }
    length_or_errno(result)
}

/// `proto_ops.recvmsg`
///
/// # Safety
///
/// Called by the generic socket code only, which passes valid arguments.
#[no_mangle]
unsafe extern "C" fn nexus_recvmsg(
    sock: *mut bindings::socket,
    message: *mut bindings::msghdr,
    length: usize,
    flags: c_int,
) -> c_int {
    // SAFETY: The generic code passes a valid socket.
    let (sk, socket) = unsafe { socket(sock) };
    // SAFETY: It passes a valid message that is ours for the call.
    let message = unsafe { Message::from_raw(message) };
    length_or_errno(socket.receive(sk, message, length, flags as u32))
}
