// SPDX-License-Identifier: Apache-2.0
//! Sockets as local mode needs them. Error numbers are positive here, as in `errno`.

use core::ffi::c_int;

use super::{CONNECT, Descriptor, MSG_NOSIGNAL, O_CLOEXEC, SENDTO, SOCKET, call, call_patiently};

const RECVMSG: usize = 47;
const GETSOCKNAME: usize = 51;
const SETSOCKOPT: usize = 54;
const GETSOCKOPT: usize = 55;
const FCNTL: usize = 72;
const DUP3: usize = 292;

const AF_UNIX: u16 = 1;
const SOCK_SEQPACKET_CLOEXEC: usize = 5 | O_CLOEXEC;
const SOL_SOCKET: c_int = 1;
const SCM_RIGHTS: c_int = 1;
const MSG_CMSG_CLOEXEC: usize = 0x4000_0000;
const F_GETFD: usize = 1;
const F_GETFL: usize = 3;
const F_SETFL: usize = 4;
const FD_CLOEXEC: usize = 1;

/// Longest abstract name (`sockaddr_un` of unix(7), without the zero that such names begin with).
const NAME_MAX: usize = 107;

/// A socket address as programs give it.
pub(crate) type SockaddrBytes = [u8; 28];

#[repr(C)]
struct SockaddrUn {
    family: u16,
    zero: u8,
    name: [u8; NAME_MAX],
}

#[repr(C)]
struct Iovec {
    base: *mut u8,
    length: usize,
}

/// `struct msghdr` of `<sys/socket.h>`.
#[repr(C)]
struct Msghdr {
    name: *mut u8,
    name_length: u32,
    vectors: *mut Iovec,
    vector_count: usize,
    control: *mut Rights,
    control_length: usize,
    flags: c_int,
}

/// A control message with one descriptor (cmsg(3)).
#[repr(C, align(8))]
struct Rights {
    length: usize,
    level: c_int,
    kind: c_int,
    descriptor: c_int,
}

/// `CMSG_LEN` of one descriptor.
const RIGHTS_LENGTH: usize = 20;

/// What comes with a message.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) descriptor: Option<Descriptor>,
}

/// A connection to another process, message by message.
#[derive(Debug)]
pub(crate) struct Messages(Descriptor);

impl Messages {
    /// Connects to an abstract name; `None` if nobody listens there.
    pub(crate) fn open(name: &[u8]) -> Option<Self> {
        let mut address = SockaddrUn {
            family: AF_UNIX,
            zero: 0,
            name: [0; NAME_MAX],
        };
        address.name.get_mut(..name.len())?.copy_from_slice(name);
        let arguments = [AF_UNIX.into(), SOCK_SEQPACKET_CLOEXEC, 0, 0, 0, 0];
        // SAFETY: takes numbers only.
        let socket = Self(Descriptor(unsafe { call_patiently(SOCKET, arguments) }?));
        let start = (&raw const address).expose_provenance();
        let length = size_of::<u16>() + 1 + name.len();
        // SAFETY: `address` is a socket address of at least this length.
        unsafe { call_patiently(CONNECT, [socket.0.0, start, length, 0, 0, 0]) }?;
        Some(socket)
    }

    /// Sends a message.
    pub(crate) fn send(&self, message: &[u8]) -> Option<()> {
        let start = message.as_ptr().expose_provenance();
        let arguments = [self.0.0, start, message.len(), MSG_NOSIGNAL, 0, 0];
        // SAFETY: the bytes are valid for reading.
        let sent = unsafe { call_patiently(SENDTO, arguments) }?;
        (sent == message.len()).then_some(())
    }

    /// Receives a message that fills `message`; `None` if there is none.
    pub(crate) fn receive(&self, message: &mut [u8]) -> Option<Received> {
        let mut vector = Iovec {
            base: message.as_mut_ptr(),
            length: message.len(),
        };
        let mut rights = Rights {
            length: 0,
            level: 0,
            kind: 0,
            descriptor: -1,
        };
        let mut header = Msghdr {
            name: core::ptr::null_mut(),
            name_length: 0,
            vectors: &raw mut vector,
            vector_count: 1,
            control: &raw mut rights,
            control_length: size_of::<Rights>(),
            flags: 0,
        };
        let start = (&raw mut header).expose_provenance();
        // SAFETY: the header refers to the message, which is ours alone, and to the control data, each with its length.
        let received =
            unsafe { call_patiently(RECVMSG, [self.0.0, start, MSG_CMSG_CLOEXEC, 0, 0, 0]) }?;
        let carried = header.control_length >= RIGHTS_LENGTH
            && rights.length == RIGHTS_LENGTH
            && (rights.level, rights.kind) == (SOL_SOCKET, SCM_RIGHTS);
        let descriptor = carried.then(|| usize::try_from(rights.descriptor).ok());
        let received_whole = received == message.len();
        let descriptor = descriptor.flatten().map(Descriptor);
        received_whole.then_some(Received { descriptor })
    }
}

/// connect(2), as often as it is called: a signal that interrupts it is the program's matter.
///
/// # Safety
/// The address has this length.
pub(crate) unsafe fn connect(fd: c_int, address: *const u8, length: u32) -> Result<(), c_int> {
    let arguments = [
        number(fd),
        address.expose_provenance(),
        length as usize,
        0,
        0,
        0,
    ];
    // SAFETY: passed on to the caller.
    outcome(unsafe { call(CONNECT, arguments) }).map(drop)
}

/// The port that a socket is bound to; zero if to none.
pub(crate) fn bound_port(fd: c_int) -> Option<u16> {
    let mut address: SockaddrBytes = [0; 28];
    let mut length = 28_u32;
    let arguments = [
        number(fd),
        address.as_mut_ptr().expose_provenance(),
        (&raw mut length).expose_provenance(),
        0,
        0,
        0,
    ];
    // SAFETY: the kernel writes at most as many bytes of the address as the length says, and the length.
    outcome(unsafe { call(GETSOCKNAME, arguments) }).ok()?;
    let [_, _, high, low, ..] = address;
    Some(u16::from_be_bytes([high, low]))
}

/// Reads an option into `value`; how many bytes it has.
pub(crate) fn option(fd: c_int, level: c_int, name: c_int, value: &mut [u8]) -> Option<usize> {
    let mut length = u32::try_from(value.len()).ok()?;
    let arguments = [
        number(fd),
        number(level),
        number(name),
        value.as_mut_ptr().expose_provenance(),
        (&raw mut length).expose_provenance(),
        0,
    ];
    // SAFETY: the kernel writes at most as many bytes of the value as the length says, and the length.
    outcome(unsafe { call(GETSOCKOPT, arguments) }).ok()?;
    Some(length as usize)
}

/// Sets an option.
pub(crate) fn set_option(fd: c_int, level: c_int, name: c_int, value: &[u8]) -> Option<()> {
    let start = value.as_ptr().expose_provenance();
    let arguments = [
        number(fd),
        number(level),
        number(name),
        start,
        value.len(),
        0,
    ];
    // SAFETY: the bytes are valid for reading.
    outcome(unsafe { call(SETSOCKOPT, arguments) })
        .ok()
        .map(drop)
}

/// Puts `new` in the place of `fd`, with the flags of the descriptor and of the file that were there.
pub(crate) fn replace(fd: c_int, new: &Descriptor) -> Option<()> {
    let of_file = control(number(fd), F_GETFL, 0)?;
    control(new.0, F_SETFL, of_file)?;
    let of_descriptor = control(number(fd), F_GETFD, 0)?;
    let flags = if of_descriptor & FD_CLOEXEC == 0 {
        0
    } else {
        O_CLOEXEC
    };
    // SAFETY: both are descriptors, and the program expects its own to be this socket.
    unsafe { call_patiently(DUP3, [new.0, number(fd), flags, 0, 0, 0]) }.map(drop)
}

fn control(fd: usize, command: usize, value: usize) -> Option<usize> {
    // SAFETY: the commands used here take numbers only.
    unsafe { call_patiently(FCNTL, [fd, command, value, 0, 0, 0]) }
}

fn outcome(result: isize) -> Result<usize, c_int> {
    usize::try_from(result).map_err(|_| c_int::try_from(-result).unwrap_or(c_int::MAX))
}

/// A number as a register holds it: of an `int`, the kernel looks at the lower half.
#[expect(clippy::cast_sign_loss, reason = "the bits are passed as they are")]
const fn number(value: c_int) -> usize {
    value as usize
}

impl Descriptor {
    /// The number.
    pub(crate) fn number(&self) -> Option<c_int> {
        c_int::try_from(self.0).ok()
    }
}
