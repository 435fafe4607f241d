// SPDX-License-Identifier: Apache-2.0
//! `/etc/hosts`: an address and its names on each line.

use core::ffi::CStr;

use crate::address::{Address, Addresses, Name};
use crate::lines;
use crate::numeric;

const PATH: &CStr = c"/etc/hosts";

/// Adds the addresses that the file has for a name; the first line's first name is the canonical one.
pub(crate) fn lookup(name: &Name, addresses: &mut Addresses, canonical: &mut Name) {
    lines::for_each(PATH, |line| {
        if let Some((address, first)) = match_line(line, name) {
            if addresses.is_empty()
                && let Some(first) = Name::parse(first)
            {
                *canonical = first;
            }
            addresses.push(address);
        }
        true
    });
}

/// The address of a line and its first name, if the line has the name.
pub fn match_line<'a>(line: &'a [u8], name: &Name) -> Option<(Address, &'a [u8])> {
    let mut words = lines::words(line);
    let address = numeric::parse(words.next()?)?;
    let first = words.next()?;
    let mut names = core::iter::once(first).chain(words);
    names
        .any(|word| name.matches(word))
        .then_some((address, first))
}
