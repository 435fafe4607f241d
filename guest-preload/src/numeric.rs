// SPDX-License-Identifier: Apache-2.0
//! Addresses as text: IPv4 in all the forms of `inet_aton`, IPv6 with a scope.

use crate::address::Address;
use crate::libc::interface_index;

/// Reads an address; `None` if the text is none.
pub fn parse(text: &[u8]) -> Option<Address> {
    parse_v4(text)
        .map(Address::v4)
        .or_else(|| parse_v6_scoped(text))
}

/// `a.b.c.d`, `a.b.c`, `a.b` or `a`, each number decimal, octal or hexadecimal; the last one fills what is left.
pub fn parse_v4(text: &[u8]) -> Option<[u8; 4]> {
    let mut parts = [0_u32; 4];
    let mut count = 0;
    for part in text.split(|byte| *byte == b'.') {
        *parts.get_mut(count)? = parse_number(part)?;
        count += 1;
    }
    let (last, leading) = parts.get(..count)?.split_last()?;
    let mut address = [0; 4];
    for (byte, part) in address.iter_mut().zip(leading) {
        *byte = u8::try_from(*part).ok()?;
    }
    let left = 8 * (4 - u32::try_from(leading.len()).ok()?);
    if left < 32 && *last >> left != 0 {
        return None;
    }
    Some((u32::from_be_bytes(address) | last).to_be_bytes())
}

/// A C number: `0x` hexadecimal, `0` octal, else decimal.
fn parse_number(text: &[u8]) -> Option<u32> {
    let (digits, radix) = match text {
        [b'0', b'x' | b'X', digits @ ..] => (digits, 16),
        [b'0', digits @ ..] if !digits.is_empty() => (digits, 8),
        digits => (digits, 10),
    };
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u32, |number, digit| {
        let digit = char::from(*digit).to_digit(radix)?;
        number.checked_mul(radix)?.checked_add(digit)
    })
}

/// IPv6, with `%scope` behind it.
fn parse_v6_scoped(text: &[u8]) -> Option<Address> {
    let mut halves = text.splitn(2, |byte| *byte == b'%');
    let mut address = Address::v6(parse_v6(halves.next()?)?);
    if let Some(scope) = halves.next() {
        address.scope = parse_scope(&address, scope)?;
    }
    Some(address)
}

/// The scope of an address (RFC 4007, section 11): a number, or an interface's name if the address is link-local.
fn parse_scope(address: &Address, scope: &[u8]) -> Option<u32> {
    let link_local = match address.bytes {
        [0xfe, second, ..] => second & 0xc0 == 0x80,
        [0xff, second, ..] => second & 0x0f == 0x02,
        _ => false,
    };
    let named = link_local.then(|| interface_index(scope)).flatten();
    named.or_else(|| parse_decimal(scope))
}

/// A decimal number of digits only.
pub(crate) fn parse_decimal(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u32, |number, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// The text forms of RFC 4291, section 2.2.
pub fn parse_v6(text: &[u8]) -> Option<[u8; 16]> {
    core::str::from_utf8(text)
        .ok()?
        .parse::<core::net::Ipv6Addr>()
        .ok()
        .map(|address| address.octets())
}
