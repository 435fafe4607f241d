// SPDX-License-Identifier: GPL-2.0-only
//! `struct msghdr`: what a send is given and a receive gives.
//!
//! C headers: [`include/linux/socket.h`](srctree/include/linux/socket.h).

use core::slice;
use kernel::{
    bindings,
    ffi::c_int,
    iov::{IovIterDest, IovIterSource},
    prelude::*,
    types::Opaque,
};

use super::raw;
use crate::field::field;

/// Room for a name in a `struct sockaddr_storage`, which every receive that wants one provides.
pub(crate) const NAME_SIZE: usize = 28;

/// `sizeof(struct cmsghdr)`
const CONTROL_HEADER: usize = 16;
/// `CMSG_ALIGN()`
const CONTROL_ALIGN: usize = 8;

/// A message that a system call sends or receives.
///
/// # Invariants
///
/// A valid `struct msghdr` of a system call that is under way, used by nobody else meanwhile. Its name, if there is one,
/// lies in kernel memory.
#[repr(transparent)]
pub(crate) struct Message(Opaque<bindings::msghdr>);

impl Message {
    /// Borrows a message.
    ///
    /// # Safety
    ///
    /// `message` must be a valid message of a system call that is under way for `'a`, and nobody else may use it.
    pub(crate) unsafe fn from_raw<'a>(message: *mut bindings::msghdr) -> &'a mut Self {
        // INVARIANT: As the caller promises.
        // SAFETY: `Message` is transparent, and the caller promises that it is valid for `'a`.
        unsafe { &mut *message.cast() }
    }

    pub(super) fn as_raw(&mut self) -> *mut bindings::msghdr {
        self.0.get()
    }

    /// `MSG_…` flags of a send.
    pub(crate) fn flags(&self) -> u32 {
        // SAFETY: The message is valid by the type invariants.
        unsafe { (*self.0.get()).msg_flags }
    }

    /// The address that a send is for, if it was given one.
    pub(crate) fn name(&self) -> Option<&[u8]> {
        // SAFETY: The message is valid by the type invariants.
        let (name, length) = unsafe { ((*self.0.get()).msg_name, (*self.0.get()).msg_namelen) };
        let length = usize::try_from(length).ok()?;
        if name.is_null() || length == 0 {
            return None;
        }
        // SAFETY: The generic code has copied that many bytes of address to kernel memory.
        Some(unsafe { slice::from_raw_parts(name.cast(), length) })
    }

    /// Calls `take` with level, type and data of each piece of control data of a send.
    ///
    /// # Errors
    ///
    /// `EINVAL` if a piece is not well-formed, and whatever `take` says.
    pub(crate) fn each_control(
        &self,
        mut take: impl FnMut(c_int, c_int, &[u8]) -> Result,
    ) -> Result {
        // SAFETY: The message is valid by the type invariants.
        let (start, length) = unsafe {
            (
                (*self.0.get()).__bindgen_anon_1.msg_control,
                (*self.0.get()).msg_controllen,
            )
        };
        if start.is_null() || length == 0 {
            return Ok(());
        }
        // SAFETY: The generic code has copied that many bytes of control data to kernel memory.
        let mut rest = unsafe { slice::from_raw_parts(start.cast::<u8>(), length) };
        // `CMSG_OK()`: whatever is too short for a header ends the walk.
        while rest.len() >= CONTROL_HEADER {
            let length = field(rest, 0).map(usize::from_ne_bytes).ok_or(EINVAL)?;
            let level = field(rest, 8).map(c_int::from_ne_bytes).ok_or(EINVAL)?;
            let kind = field(rest, 12).map(c_int::from_ne_bytes).ok_or(EINVAL)?;
            let data = rest.get(CONTROL_HEADER..length).ok_or(EINVAL)?;
            take(level, kind, data)?;
            rest = rest
                .get(length.next_multiple_of(CONTROL_ALIGN)..)
                .unwrap_or(&[]);
        }
        Ok(())
    }

    /// Says who sent what is received, if the user wants to know.
    pub(crate) fn set_name(&mut self, write: impl FnOnce(&mut [u8; NAME_SIZE]) -> usize) {
        // SAFETY: The message is valid by the type invariants.
        let name = unsafe { (*self.0.get()).msg_name };
        if name.is_null() {
            return;
        }
        // SAFETY: A receive that wants a name provides a `struct sockaddr_storage`, which is larger.
        let length = write(unsafe { &mut *name.cast::<[u8; NAME_SIZE]>() });
        // SAFETY: The message is valid by the type invariants.
        unsafe { (*self.0.get()).msg_namelen = length as c_int };
    }

    /// Sets `MSG_…` flags for the receiver to see.
    pub(crate) fn add_flags(&mut self, flags: u32) {
        // SAFETY: The message is valid by the type invariants.
        unsafe { (*self.0.get()).msg_flags |= flags };
    }

    /// Gives the receiver control data, as far as there is room.
    pub(crate) fn put_control(&mut self, level: c_int, kind: c_int, data: &[u8]) {
        // SAFETY: The message is valid by the type invariants, and `data` has that many bytes.
        unsafe {
            raw::put_cmsg(
                self.0.get(),
                level,
                kind,
                data.len() as c_int,
                data.as_ptr().cast_mut().cast(),
            )
        };
    }

    /// Where the bytes to send come from.
    pub(crate) fn source(&mut self) -> &mut IovIterSource<'_> {
        // SAFETY: A send's iterator is one to read from, and ours for as long as the message.
        unsafe { IovIterSource::from_raw(&raw mut (*self.0.get()).msg_iter) }
    }

    /// Where received bytes go.
    pub(crate) fn target(&mut self) -> &mut IovIterDest<'_> {
        // SAFETY: A receive's iterator is one to write to, and ours for as long as the message.
        unsafe { IovIterDest::from_raw(&raw mut (*self.0.get()).msg_iter) }
    }
}
