// SPDX-License-Identifier: Apache-2.0
//! System calls, made directly: libc's wrappers change `errno`, may be interposed on, and are cancellation points.

use core::arch::asm;
use core::ffi::CStr;

pub(crate) mod socket;

const READ: usize = 0;
const CLOSE: usize = 3;
const POLL: usize = 7;
const ACCESS: usize = 21;
const SOCKET: usize = 41;
const CONNECT: usize = 42;
const SENDTO: usize = 44;
const RECVFROM: usize = 45;
const OPENAT: usize = 257;

const AT_FDCWD: usize = (-100_isize).cast_unsigned();
const O_CLOEXEC: usize = 0o2_000_000;
const AF_INET: u16 = 2;
const SOCK_STREAM_CLOEXEC: usize = 1 | 0o2_000_000;
const MSG_NOSIGNAL: usize = 0x4000;
const POLLIN: i16 = 1;
const POLLOUT: i16 = 4;
const EINTR: isize = -4;
/// How long the server may take for an answer, in milliseconds: twice what resolvers commonly wait, as nexusd itself
/// may have to ask twice.
const PATIENCE: usize = 10_000;

/// Makes a system call of up to six arguments; returns what the kernel does, negative error numbers included.
///
/// # Safety
/// The arguments must be what the call expects; memory that they point to must be valid for what it does there.
unsafe fn call(number: usize, arguments: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the x86-64 calling convention of Linux; the caller answers for the arguments.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") arguments[0], in("rsi") arguments[1], in("rdx") arguments[2],
            in("r10") arguments[3], in("r8") arguments[4], in("r9") arguments[5],
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    };
    result
}

/// Makes a system call again until no signal interrupts it; `None` on errors.
///
/// # Safety
/// As [`call`].
unsafe fn call_patiently(number: usize, arguments: [usize; 6]) -> Option<usize> {
    loop {
        // SAFETY: passed on to the caller.
        match unsafe { call(number, arguments) } {
            EINTR => {}
            result => return usize::try_from(result).ok(),
        }
    }
}

/// Whether a file exists.
pub(crate) fn exists(path: &CStr) -> bool {
    // SAFETY: a C string, and the mode F_OK.
    unsafe { call(ACCESS, [path.as_ptr().expose_provenance(), 0, 0, 0, 0, 0]) == 0 }
}

/// An open descriptor.
#[derive(Debug)]
pub(crate) struct Descriptor(usize);

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours, and nobody uses it from here on.
        unsafe { call(CLOSE, [self.0, 0, 0, 0, 0, 0]) };
    }
}

/// A file, open for reading.
#[derive(Debug)]
pub(crate) struct File(Descriptor);

impl File {
    /// Opens a file; `None` if that is not possible.
    pub(crate) fn open(path: &CStr) -> Option<Self> {
        let arguments = [
            AT_FDCWD,
            path.as_ptr().expose_provenance(),
            O_CLOEXEC,
            0,
            0,
            0,
        ];
        // SAFETY: a C string, and flags for reading.
        let descriptor = unsafe { call_patiently(OPENAT, arguments) }?;
        Some(Self(Descriptor(descriptor)))
    }

    /// Reads some bytes; 0 at the end, `None` on errors.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> Option<usize> {
        let arguments = [
            self.0.0,
            buffer.as_mut_ptr().expose_provenance(),
            buffer.len(),
            0,
            0,
            0,
        ];
        // SAFETY: the buffer is valid for as many bytes, and ours alone.
        unsafe { call_patiently(READ, arguments) }
    }
}

/// A TCP connection.
#[derive(Debug)]
pub(crate) struct Connection(Descriptor);

#[repr(C)]
struct SockaddrIn {
    family: u16,
    port: [u8; 2],
    address: [u8; 4],
    zero: [u8; 8],
}

#[repr(C)]
struct PollFd {
    fd: i32,
    events: i16,
    revents: i16,
}

impl Connection {
    /// Connects; `None` if that is not possible.
    pub(crate) fn open(address: [u8; 4], port: u16) -> Option<Self> {
        let arguments = [AF_INET.into(), SOCK_STREAM_CLOEXEC, 0, 0, 0, 0];
        // SAFETY: takes numbers only.
        let connection = Self(Descriptor(unsafe { call_patiently(SOCKET, arguments) }?));
        let peer = SockaddrIn {
            family: AF_INET,
            port: port.to_be_bytes(),
            address,
            zero: [0; 8],
        };
        let arguments = [
            connection.0.0,
            (&raw const peer).expose_provenance(),
            size_of::<SockaddrIn>(),
            0,
            0,
            0,
        ];
        // SAFETY: `peer` is a socket address of the length given.
        match unsafe { call(CONNECT, arguments) } {
            0 => {}
            // The connection goes on by itself; asking for it again would be an error.
            EINTR => connection.wait(POLLOUT)?,
            _ => return None,
        }
        Some(connection)
    }

    /// Sends all bytes.
    pub(crate) fn send(&self, mut bytes: &[u8]) -> Option<()> {
        while !bytes.is_empty() {
            let arguments = [
                self.0.0,
                bytes.as_ptr().expose_provenance(),
                bytes.len(),
                MSG_NOSIGNAL,
                0,
                0,
            ];
            // SAFETY: the bytes are valid for reading.
            let sent = unsafe { call_patiently(SENDTO, arguments) }?;
            bytes = bytes.get(sent..)?;
        }
        Some(())
    }

    /// Receives as many bytes as the buffer has; `None` if the connection ends or rests too long.
    pub(crate) fn receive(&self, mut buffer: &mut [u8]) -> Option<()> {
        while !buffer.is_empty() {
            self.wait(POLLIN)?;
            let arguments = [
                self.0.0,
                buffer.as_mut_ptr().expose_provenance(),
                buffer.len(),
                0,
                0,
                0,
            ];
            // SAFETY: the buffer is valid for as many bytes, and ours alone.
            let count = unsafe { call_patiently(RECVFROM, arguments) }?;
            if count == 0 {
                return None;
            }
            buffer = buffer.get_mut(count..)?;
        }
        Some(())
    }

    fn wait(&self, events: i16) -> Option<()> {
        let mut poll = PollFd {
            fd: i32::try_from(self.0.0).ok()?,
            events,
            revents: 0,
        };
        let arguments = [(&raw mut poll).expose_provenance(), 1, PATIENCE, 0, 0, 0];
        // SAFETY: one structure of the kernel's layout, valid for reading and writing.
        let ready = unsafe { call_patiently(POLL, arguments) }?;
        (ready == 1).then_some(())
    }
}
