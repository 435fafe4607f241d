// SPDX-License-Identifier: Apache-2.0
//! `gethostbyname` and its variants, the older interface.

use core::cell::UnsafeCell;
use core::ffi::{c_char, c_int, c_void};
use core::ptr;

use super::{bytes, export};
use crate::address::{Address, Family, Name};
use crate::libc::{AF_INET, AF_INET6, Hostent, set_h_errno};
use crate::lookup::{self, Found, LookupError};
use crate::numeric;

/// `h_errno` of `<netdb.h>`.
const HOST_NOT_FOUND: c_int = 1;
const TRY_AGAIN: c_int = 2;
const NO_RECOVERY: c_int = 3;
const NO_DATA: c_int = 4;
const NETDB_INTERNAL: c_int = -1;

const EAGAIN: c_int = 11;
const ERANGE: c_int = 34;
const EAFNOSUPPORT: c_int = 97;

export! {
    /// Looks up the IPv4 addresses of a name.
    fn gethostbyname(name: *const c_char) -> *mut Hostent, by_name, not_available()
}

export! {
    /// Looks up the addresses of a name, of one family.
    fn gethostbyname2(name: *const c_char, family: c_int) -> *mut Hostent, by_name2, not_available()
}

export! {
    /// Looks up the IPv4 addresses of a name, into memory of the caller.
    fn gethostbyname_r(
        name: *const c_char,
        place: *mut Hostent,
        buffer: *mut c_char,
        length: usize,
        result: *mut *mut Hostent,
        h_errno: *mut c_int
    ) -> c_int, by_name_r, EAGAIN
}

export! {
    /// Looks up the addresses of a name, of one family, into memory of the caller.
    fn gethostbyname2_r(
        name: *const c_char,
        family: c_int,
        place: *mut Hostent,
        buffer: *mut c_char,
        length: usize,
        result: *mut *mut Hostent,
        h_errno: *mut c_int
    ) -> c_int, by_name2_r, EAGAIN
}

/// What the variants without memory of the caller return, the next call overwrites: so POSIX has it.
struct Shared {
    entry: UnsafeCell<Hostent>,
    buffer: UnsafeCell<[u64; 512]>,
}

// SAFETY: the functions that use it are documented as unsafe for threads; a program that calls them from several has
// to serialize the calls.
unsafe impl Sync for Shared {}

static SHARED: Shared = Shared {
    entry: UnsafeCell::new(Hostent {
        name: ptr::null_mut(),
        aliases: ptr::null_mut(),
        addrtype: 0,
        length: 0,
        addr_list: ptr::null_mut(),
    }),
    buffer: UnsafeCell::new([0; 512]),
};

fn not_available() -> *mut Hostent {
    set_h_errno(NO_RECOVERY);
    ptr::null_mut()
}

/// # Safety
/// As `gethostbyname`.
unsafe fn by_name(name: *const c_char) -> *mut Hostent {
    // SAFETY: passed on to the caller.
    unsafe { by_name2(name, AF_INET) }
}

/// # Safety
/// As `gethostbyname2`.
unsafe fn by_name2(name: *const c_char, family: c_int) -> *mut Hostent {
    let mut result = ptr::null_mut();
    let mut error = 0;
    let buffer = SHARED.buffer.get();
    // SAFETY: the shared memory is valid, and the caller has it to itself; the name is passed on.
    unsafe {
        by_name2_r(
            name,
            family,
            SHARED.entry.get(),
            buffer.cast(),
            size_of_val(&SHARED.buffer),
            &raw mut result,
            &raw mut error,
        )
    };
    if result.is_null() {
        set_h_errno(error);
    }
    result
}

/// # Safety
/// As `gethostbyname_r`.
unsafe fn by_name_r(
    name: *const c_char,
    place: *mut Hostent,
    buffer: *mut c_char,
    length: usize,
    result: *mut *mut Hostent,
    h_errno: *mut c_int,
) -> c_int {
    // SAFETY: passed on to the caller.
    unsafe { by_name2_r(name, AF_INET, place, buffer, length, result, h_errno) }
}

/// # Safety
/// As `gethostbyname2_r`.
unsafe fn by_name2_r(
    name: *const c_char,
    family: c_int,
    place: *mut Hostent,
    buffer: *mut c_char,
    length: usize,
    result: *mut *mut Hostent,
    h_errno: *mut c_int,
) -> c_int {
    let arena = Arena {
        start: buffer.cast(),
        length,
        used: 0,
    };
    // SAFETY: a C string, by the function's contract.
    let answer = find(unsafe { bytes(name) }.unwrap_or_default(), family);
    let answer = answer.and_then(|(found, family)| {
        arena
            .describe(&found, family)
            .ok_or((ERANGE, NETDB_INTERNAL))
    });
    let (entry, status, error) = match answer {
        Ok(entry) => {
            // SAFETY: the caller's place for the entry.
            unsafe { place.write(entry) };
            (place, 0, 0)
        }
        Err((status, error)) => (ptr::null_mut(), status, error),
    };
    // SAFETY: the caller's place for the result.
    unsafe { result.write(entry) };
    // SAFETY: the caller's place for the error.
    unsafe { h_errno.write(error) };
    status
}

/// Finds the addresses; the error is the function's result and `h_errno`.
fn find(name: &[u8], family: c_int) -> Result<(Found, Family), (c_int, c_int)> {
    let family = match family {
        AF_INET => Family::V4,
        AF_INET6 => Family::V6,
        _ => return Err((EAFNOSUPPORT, NETDB_INTERNAL)),
    };
    let parsed = Name::parse(name).ok_or((0, HOST_NOT_FOUND))?;
    if let Some(address) = numeric::parse(name) {
        let mut found = Found {
            canonical: parsed,
            ..Found::default()
        };
        let address = Some(address).filter(|address| address.family == family);
        found.addresses.push(address.ok_or((0, HOST_NOT_FOUND))?);
        return Ok((found, family));
    }
    let found = lookup::lookup(&parsed, &[family]).map_err(|error| match error {
        LookupError::NoName => (0, HOST_NOT_FOUND),
        LookupError::NoData => (0, NO_DATA),
        LookupError::TryAgain => (EAGAIN, TRY_AGAIN),
        LookupError::Refused => (EAGAIN, NO_RECOVERY),
    })?;
    Ok((found, family))
}

/// The caller's memory, used from its start.
struct Arena {
    start: *mut u8,
    length: usize,
    used: usize,
}

impl Arena {
    /// Writes what an entry points to, and the entry; `None` if the memory is too small.
    fn describe(mut self, found: &Found, family: Family) -> Option<Hostent> {
        let addresses = found.addresses.as_slice();
        let aliases = self.pointers(1)?;
        let addr_list = self.pointers(addresses.len() + 1)?;
        for (index, address) in addresses.iter().enumerate() {
            let copy = self.copy(address_bytes(address))?;
            // SAFETY: within the list, which has one pointer more than there are addresses.
            let place = unsafe { addr_list.add(index) };
            // SAFETY: aligned by `pointers`, and in the caller's memory.
            unsafe { place.write(copy) };
        }
        let name = self.copy(found.canonical.as_bytes())?;
        self.copy(&[0])?;
        Some(Hostent {
            name,
            aliases,
            addrtype: match family {
                Family::V4 => AF_INET,
                Family::V6 => AF_INET6,
            },
            length: c_int::try_from(family.size()).ok()?,
            addr_list,
        })
    }

    /// A list of null pointers.
    fn pointers(&mut self, count: usize) -> Option<*mut *mut c_char> {
        let list = self.take(count * size_of::<usize>(), align_of::<usize>())?;
        let list = list.cast::<*mut c_char>();
        // SAFETY: aligned and as large as asked for, in the caller's memory.
        unsafe { list.write_bytes(0, count) };
        Some(list)
    }

    fn copy(&mut self, bytes: &[u8]) -> Option<*mut c_char> {
        let copy = self.take(bytes.len(), 1)?.cast::<u8>();
        // SAFETY: as large as asked for, in the caller's memory, where our bytes are not.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), copy, bytes.len()) };
        Some(copy.cast())
    }

    fn take(&mut self, size: usize, align: usize) -> Option<*mut c_void> {
        let address = self.start.addr().checked_add(self.used)?;
        let padding = address.next_multiple_of(align) - address;
        let begin = self.used.checked_add(padding)?;
        self.used = begin.checked_add(size).filter(|end| *end <= self.length)?;
        // SAFETY: `begin` is within the caller's memory, as its end is.
        Some(unsafe { self.start.add(begin) }.cast())
    }
}

fn address_bytes(address: &Address) -> &[u8] {
    address
        .bytes
        .get(..address.family.size())
        .unwrap_or_default()
}
