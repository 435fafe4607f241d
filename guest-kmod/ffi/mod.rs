// SPDX-License-Identifier: GPL-2.0-only
//! Safe wrappers around what the kernel crate does not wrap.

mod message;
pub(crate) mod raw;
mod sock;

pub(crate) use message::{Message, NAME_SIZE};
pub(crate) use sock::{Shares, Sock, Waker};
