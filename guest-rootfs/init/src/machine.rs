// SPDX-License-Identifier: Apache-2.0
//! The machine: its driver, clock, name and end.

use std::arch::asm;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use nix::sys::reboot::{RebootMode, reboot};

use crate::error::InitError;

/// The VMM ends the VM when a byte is written to this port, and takes the byte for its exit code.
const EXIT_PORT: u16 = 0x501;

/// Loads the driver. With it come the socket families.
pub(crate) fn load_module(path: &Path) -> Result<(), InitError> {
    let failed = |source| InitError::Module {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    // SAFETY: finit_module(2) reads a file descriptor, which `file` keeps open, and a C string, which is a literal.
    let result =
        unsafe { libc::syscall(libc::SYS_finit_module, file.as_raw_fd(), c"".as_ptr(), 0) };
    match result {
        0 => Ok(()),
        _ => Err(failed(io::Error::last_os_error())),
    }
}

/// Brings the loopback interface of a kernel with a network stack of its own up.
pub(crate) fn bring_loopback_up() -> Result<(), InitError> {
    let failed = |source| InitError::Machine {
        what: "loopback interface",
        source,
    };
    let socket = std::net::UdpSocket::bind((std::net::Ipv4Addr::UNSPECIFIED, 0)).map_err(failed)?;
    // SAFETY: an ifreq is plain data, for which zeroes are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    // The flag is a small constant of libc.
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(libc::IFF_UP).unwrap_or_default();
    // SAFETY: SIOCSIFFLAGS takes an ifreq, which the pointer is to.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) } {
        0 => Ok(()),
        _ => Err(failed(io::Error::last_os_error())),
    }
}

/// How long the machine has been running.
pub(crate) fn time_since_boot() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place for the result.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Sets the wall clock to nanoseconds since 1970. The machine has no clock of its own that knows the date.
pub(crate) fn set_clock(nanoseconds: u64) -> Result<(), InitError> {
    let now = Duration::from_nanos(nanoseconds);
    let time = libc::timespec {
        // At most 2^64 ns, which are 585 years.
        tv_sec: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: now.subsec_nanos().into(),
    };
    // SAFETY: `time` is a valid timespec.
    match unsafe { libc::clock_settime(libc::CLOCK_REALTIME, &raw const time) } {
        0 => Ok(()),
        _ => Err(InitError::Machine {
            what: "clock",
            source: io::Error::last_os_error(),
        }),
    }
}

/// Sets the host name, unless it is empty.
pub(crate) fn set_hostname(name: &str) -> Result<(), InitError> {
    if name.is_empty() {
        return Ok(());
    }
    nix::unistd::sethostname(name).map_err(|source| InitError::Machine {
        what: "host name",
        source: source.into(),
    })
}

/// Ends the VM with an exit code.
pub(crate) fn end(code: u8) -> ! {
    nix::unistd::sync();
    // SAFETY: ioperm(2) takes numbers only.
    if unsafe { libc::ioperm(EXIT_PORT.into(), 1, 1) } == 0 {
        // SAFETY: the process may write to the port, as ioperm(2) just said; `out` touches no memory.
        unsafe { asm!("out dx, al", in("dx") EXIT_PORT, in("al") code, options(nomem, nostack)) };
    }
    // Only a VMM without that port gets here.
    loop {
        let Err(error) = reboot(RebootMode::RB_AUTOBOOT);
        eprintln!("nexus-init: cannot end the machine: {error}");
        std::thread::sleep(Duration::from_secs(1));
    }
}
