// SPDX-License-Identifier: Apache-2.0
//! What this library takes from libc, and the structures that it shares with programs.

use core::ffi::{c_char, c_int, c_uint, c_void};
use core::ptr;

unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
    fn free(memory: *mut c_void);
    fn __errno_location() -> *mut c_int;
    fn __h_errno_location() -> *mut c_int;
    fn if_nametoindex(name: *const c_char) -> c_uint;
}

/// `AF_UNSPEC`, `AF_INET`, `AF_INET6`.
pub const AF_UNSPEC: c_int = 0;
/// See [`AF_UNSPEC`].
pub const AF_INET: c_int = 2;
/// See [`AF_UNSPEC`].
pub const AF_INET6: c_int = 10;

/// `struct addrinfo` of `<netdb.h>`.
#[derive(Debug)]
#[repr(C)]
pub struct Addrinfo {
    /// `AI_` flags.
    pub flags: c_int,
    /// Address family.
    pub family: c_int,
    /// Socket type.
    pub socktype: c_int,
    /// Protocol.
    pub protocol: c_int,
    /// Size of the socket address.
    pub addrlen: u32,
    /// The socket address.
    pub addr: *mut Sockaddr,
    /// Canonical name, in the first entry only.
    pub canonname: *mut c_char,
    /// The next entry.
    pub next: *mut Addrinfo,
}

/// `struct sockaddr_in` and `struct sockaddr_in6`, as bytes: 16 and 28 of them.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(4))]
pub struct Sockaddr(pub [u8; 28]);

/// `struct hostent` of `<netdb.h>`.
#[derive(Debug)]
#[repr(C)]
pub struct Hostent {
    /// Canonical name.
    pub name: *mut c_char,
    /// Other names, ended by a null pointer.
    pub aliases: *mut *mut c_char,
    /// Address family.
    pub addrtype: c_int,
    /// Size of an address.
    pub length: c_int,
    /// Addresses, ended by a null pointer.
    pub addr_list: *mut *mut c_char,
}

/// Allocates memory for a value and moves it there; null if there is none. It belongs to the caller, for `free`.
pub(crate) fn allocate<T>(value: T) -> *mut T {
    // SAFETY: malloc takes any size.
    let memory = unsafe { malloc(size_of::<T>()) }.cast::<T>();
    if !memory.is_null() {
        // SAFETY: the memory is fresh, large enough, and aligned for every type by malloc's contract.
        unsafe { memory.write(value) };
    }
    memory
}

/// Copies a string into memory of its own, with a zero behind it; null if there is none.
pub(crate) fn allocate_string(bytes: &[u8]) -> *mut c_char {
    // SAFETY: malloc takes any size.
    let memory = unsafe { malloc(bytes.len() + 1) }.cast::<u8>();
    if !memory.is_null() {
        // SAFETY: the memory is fresh and larger than the bytes.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), memory, bytes.len()) };
        // SAFETY: the last byte of the memory.
        let end = unsafe { memory.add(bytes.len()) };
        // SAFETY: likewise.
        unsafe { end.write(0) };
    }
    memory.cast()
}

/// Gives memory back.
///
/// # Safety
/// It is from [`allocate`], [`allocate_string`] or libc, or null, and nobody uses it any more.
pub(crate) unsafe fn release<T>(memory: *mut T) {
    // SAFETY: as the caller promises.
    unsafe { free(memory.cast()) };
}

/// Sets the thread's `errno`.
pub(crate) fn set_errno(value: c_int) {
    // SAFETY: takes nothing.
    let place = unsafe { __errno_location() };
    // SAFETY: libc returns the place of the thread's own variable.
    unsafe { place.write(value) };
}

/// Sets the thread's `h_errno`.
pub(crate) fn set_h_errno(value: c_int) {
    // SAFETY: takes nothing.
    let place = unsafe { __h_errno_location() };
    // SAFETY: libc returns the place of the thread's own variable.
    unsafe { place.write(value) };
}

/// Size of an interface's name with the zero behind it (`IF_NAMESIZE` of `<net/if.h>`).
const INTERFACE_NAME: usize = 16;

/// The number of the interface of a name; `None` if there is no such interface.
pub(crate) fn interface_index(name: &[u8]) -> Option<u32> {
    let mut text = [0_u8; INTERFACE_NAME];
    let (_end, places) = text.split_last_mut()?;
    places.get_mut(..name.len())?.copy_from_slice(name);
    // SAFETY: the text's last byte is a zero, and it lives until the call has returned.
    let index = unsafe { if_nametoindex(text.as_ptr().cast()) };
    (index != 0).then_some(index)
}

/// Bytes that are given back when dropped.
#[derive(Debug)]
pub(crate) struct Allocation {
    memory: *mut u8,
    size: usize,
}

impl Allocation {
    /// Zeroed memory; `None` if there is none.
    pub(crate) fn new(size: usize) -> Option<Self> {
        // SAFETY: malloc takes any size.
        let memory = unsafe { malloc(size) }.cast::<u8>();
        if memory.is_null() {
            return None;
        }
        // SAFETY: the memory is fresh and of this size.
        unsafe { memory.write_bytes(0, size) };
        Some(Self { memory, size })
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: the memory has this size, was zeroed, and is borrowed with `self`.
        unsafe { core::slice::from_raw_parts_mut(self.memory, self.size) }
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        // SAFETY: from malloc, and not used any more.
        unsafe { release(self.memory) };
    }
}
