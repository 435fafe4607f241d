// SPDX-License-Identifier: Apache-2.0
//! `/etc/services`: names of ports.

use core::ffi::CStr;

use crate::lines;
use crate::numeric::parse_decimal;

const PATH: &CStr = c"/etc/services";

/// For images without the file, which small ones often are.
const BUILT_IN: [&[u8]; 4] = [
    b"http 80/tcp",
    b"https 443/tcp",
    b"domain 53/tcp",
    b"domain 53/udp",
];

/// The port of a service under a protocol, `tcp` or `udp`.
pub(crate) fn lookup(service: &[u8], protocol: &[u8]) -> Option<u16> {
    let mut port = None;
    lines::for_each(PATH, |line| {
        port = match_line(line, service, protocol);
        port.is_none()
    });
    port.or_else(|| {
        BUILT_IN
            .iter()
            .find_map(|line| match_line(line, service, protocol))
    })
}

/// The port on a line `name port/protocol aliases`, if it is about the service and the protocol.
pub fn match_line(line: &[u8], service: &[u8], protocol: &[u8]) -> Option<u16> {
    let mut words = lines::words(line);
    let name = words.next()?;
    let mut halves = words.next()?.splitn(2, |byte| *byte == b'/');
    let port = u16::try_from(parse_decimal(halves.next()?)?).ok()?;
    let mut names = core::iter::once(name).chain(words);
    (halves.next()? == protocol && names.any(|word| word == service)).then_some(port)
}
