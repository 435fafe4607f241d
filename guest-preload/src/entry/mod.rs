// SPDX-License-Identifier: Apache-2.0
//! The exported functions. `symbols.txt` lists them, and a test compares.
//!
//! `getnameinfo` and `gethostbyaddr` stay libc's own: their questions (PTR) are rare, and libc's resolver asks the same
//! server over TCP, as `/etc/resolv.conf` tells it to.

mod addrinfo;
mod connect;
mod hostent;
mod request;

use core::ffi::{CStr, c_char};

/// Exports a function under its own name: where nexusd answers for names it is `$here`; elsewhere it is libc's, or the value of
/// `$missing` if that cannot be found.
macro_rules! export {
    ($(#[$doc:meta])* fn $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?, $here:path, $missing:expr) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// As libc's function of this name.
        #[unsafe(no_mangle)]
        pub(super) unsafe extern "C" fn $name($($argument: $type),*) $(-> $result)? {
            type Next = unsafe extern "C" fn($($type),*) $(-> $result)?;
            const NAME: &core::ffi::CStr = match core::ffi::CStr::from_bytes_with_nul(
                concat!(stringify!($name), "\0").as_bytes(),
            ) {
                Ok(name) => name,
                Err(_) => c"",
            };
            if $crate::platform::has_names() {
                // SAFETY: passed on to the caller.
                return unsafe { $here($($argument),*) };
            }
            let Some(next) = $crate::next::find(NAME) else {
                return $missing;
            };
            // SAFETY: libc's function of this name has this type.
            let next: Next = unsafe { core::mem::transmute(next) };
            // SAFETY: passed on to the caller.
            unsafe { next($($argument),*) }
        }
    };
}
pub(crate) use export;

/// The bytes of a C string; `None` for a null pointer.
///
/// # Safety
/// The pointer is null or a C string that lives for `'a`.
unsafe fn bytes<'a>(text: *const c_char) -> Option<&'a [u8]> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not null, and a C string as the caller promises.
    Some(unsafe { CStr::from_ptr(text) }.to_bytes())
}
