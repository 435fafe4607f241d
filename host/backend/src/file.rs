// SPDX-License-Identifier: Apache-2.0
//! What holds for every open file, whatever it is.

use std::io;
use std::os::fd::AsFd;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// Has no call wait for the file: `O_NONBLOCK` (fcntl(2)), for all who share it.
pub(crate) fn set_nonblocking(file: &impl AsFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(file, FcntlArg::F_GETFL)?);
    fcntl(file, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}
