// SPDX-License-Identifier: Apache-2.0
//! `getaddrinfo` and `freeaddrinfo`.

use core::ffi::{c_char, c_int};
use core::ptr;

use super::request::{AI_CANONNAME, Request, ResolveError, SocketKind};
use super::{bytes, export};
use crate::address::{Address, Family};
use crate::libc::{AF_INET, AF_INET6, Addrinfo, Sockaddr, allocate, allocate_string, release};
use crate::lookup::Found;

const EAI_FAIL: c_int = ResolveError::Fail as c_int;

export! {
    /// Translates a node and a service into socket addresses.
    fn getaddrinfo(
        node: *const c_char,
        service: *const c_char,
        hints: *const Addrinfo,
        result: *mut *mut Addrinfo
    ) -> c_int, resolve, EAI_FAIL
}

export! {
    /// Frees a list from `getaddrinfo`.
    fn freeaddrinfo(list: *mut Addrinfo), free_list, {
        // SAFETY: glibc's lists are made as ours are.
        unsafe { free_list(list) }
    }
}

/// # Safety
/// As `getaddrinfo`.
unsafe fn resolve(
    node: *const c_char,
    service: *const c_char,
    hints: *const Addrinfo,
    result: *mut *mut Addrinfo,
) -> c_int {
    // SAFETY: null or a C string, by the function's contract.
    let node = unsafe { bytes(node) };
    // SAFETY: likewise.
    let service = unsafe { bytes(service) };
    // SAFETY: null or a structure that the program has filled.
    let hints = unsafe { hints.as_ref() };
    let list = Request::new(node, service, hints)
        .and_then(|request| Ok((request.resolve()?, request)))
        .and_then(|(found, request)| List::new(&request, &found));
    match list {
        Ok(list) => {
            // SAFETY: the program's place for the result.
            unsafe { result.write(list.into_first()) };
            0
        }
        Err(error) => error as c_int,
    }
}

/// Frees a list as glibc does: a block for each entry with its address in it, and one for the canonical name.
///
/// # Safety
/// As `freeaddrinfo`.
unsafe fn free_list(mut list: *mut Addrinfo) {
    // SAFETY: null or an entry that nobody else uses.
    while let Some(entry) = unsafe { list.as_mut() } {
        let next = entry.next;
        // SAFETY: null or from `allocate_string`, or from libc's malloc.
        unsafe { release(entry.canonname) };
        // SAFETY: the entry is one block, and not used any more.
        unsafe { release(list) };
        list = next;
    }
}

/// An entry and its address in one block, so that freeing the entry frees both.
#[repr(C)]
struct Entry {
    info: Addrinfo,
    address: Sockaddr,
}

/// A list that is being made; dropped, it frees its entries.
struct List {
    first: *mut Addrinfo,
    last: *mut Addrinfo,
}

impl List {
    fn new(request: &Request<'_>, found: &Found) -> Result<Self, ResolveError> {
        let mut list = Self {
            first: ptr::null_mut(),
            last: ptr::null_mut(),
        };
        for address in found.addresses.as_slice() {
            for (kind, port) in request.endpoints() {
                list.push(request.flags, address, kind, port)?;
            }
        }
        if request.flags & AI_CANONNAME != 0 {
            list.set_canonical_name(found.canonical.as_bytes())?;
        }
        Ok(list)
    }

    fn push(
        &mut self,
        flags: c_int,
        address: &Address,
        kind: SocketKind,
        port: u16,
    ) -> Result<(), ResolveError> {
        let (family, addrlen) = match address.family {
            Family::V4 => (AF_INET, 16),
            Family::V6 => (AF_INET6, 28),
        };
        let entry = allocate(Entry {
            info: Addrinfo {
                flags,
                family,
                socktype: kind.socktype,
                protocol: kind.protocol,
                addrlen,
                addr: ptr::null_mut(),
                canonname: ptr::null_mut(),
                next: ptr::null_mut(),
            },
            address: socket_address(address, port),
        });
        // SAFETY: null or the entry that was just made, which nobody else knows.
        let Some(entry) = (unsafe { entry.as_mut() }) else {
            return Err(ResolveError::Memory);
        };
        entry.info.addr = &raw mut entry.address;
        let info = ptr::from_mut(entry).cast::<Addrinfo>();
        // SAFETY: null or the list's last entry, which only the list knows.
        match unsafe { self.last.as_mut() } {
            Some(last) => last.next = info,
            None => self.first = info,
        }
        self.last = info;
        Ok(())
    }

    fn set_canonical_name(&mut self, name: &[u8]) -> Result<(), ResolveError> {
        let copy = allocate_string(name);
        if copy.is_null() {
            return Err(ResolveError::Memory);
        }
        // SAFETY: null or the list's first entry, which only the list knows.
        match unsafe { self.first.as_mut() } {
            Some(first) => first.canonname = copy,
            // SAFETY: just made, and used by nobody.
            None => unsafe { release(copy) },
        }
        Ok(())
    }

    fn into_first(mut self) -> *mut Addrinfo {
        core::mem::replace(&mut self.first, ptr::null_mut())
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: null or the list's own entries.
        unsafe { free_list(self.first) };
    }
}

/// The fields of `struct sockaddr_in` or `struct sockaddr_in6`.
fn socket_address(address: &Address, port: u16) -> Sockaddr {
    let mut bytes = [0; 28];
    let mut field = |start: usize, value: &[u8]| {
        if let Some(place) = bytes.get_mut(start..start + value.len()) {
            place.copy_from_slice(value);
        }
    };
    field(2, &port.to_be_bytes());
    match address.family {
        Family::V4 => {
            field(0, &2_u16.to_ne_bytes());
            let [a, b, c, d, ..] = address.bytes;
            field(4, &[a, b, c, d]);
        }
        Family::V6 => {
            field(0, &10_u16.to_ne_bytes());
            field(8, &address.bytes);
            field(24, &address.scope.to_ne_bytes());
        }
    }
    Sockaddr(bytes)
}
