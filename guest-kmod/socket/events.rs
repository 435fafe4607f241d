// SPDX-License-Identifier: GPL-2.0-only
//! Event bits of poll, select and epoll, from `include/uapi/linux/eventpoll.h`.

const IN: u32 = 0x1;
const PRI: u32 = 0x2;
const OUT: u32 = 0x4;
pub(crate) const ERR: u32 = 0x8;
pub(crate) const HUP: u32 = 0x10;
const RDNORM: u32 = 0x40;
const WRNORM: u32 = 0x100;
pub(crate) const RDHUP: u32 = 0x2000;
pub(crate) const READABLE: u32 = IN | RDNORM;
pub(crate) const WRITABLE: u32 = OUT | WRNORM;
pub(crate) const URGENT: u32 = PRI;
/// Bytes of priority can be written: Linux says so of datagram sockets, where it means nothing.
pub(crate) const WRITABLE_BAND: u32 = 0x200;
