// SPDX-License-Identifier: Apache-2.0
//! Queries and responses.

use crate::address::{Address, Addresses, Family, Name};

/// Longest query: header, name, type and class.
pub const MAX_QUERY: usize = HEADER + MAX_WIRE_NAME + 4;

const HEADER: usize = 12;
const MAX_WIRE_NAME: usize = 255;
const TYPE_A: u16 = 1;
const TYPE_CNAME: u16 = 5;
const TYPE_AAAA: u16 = 28;
const CLASS_IN: u16 = 1;
/// Header flags: recursion desired in queries; response and truncated in responses.
const FLAG_RD: u16 = 0x0100;
const FLAG_QR: u16 = 0x8000;
const FLAG_TC: u16 = 0x0200;
/// A name has at most 127 labels; more pointers than that go in circles.
const MAX_STEPS: usize = 128;
/// Longest chain of aliases that is followed, if its records come in the wrong order.
const MAX_PASSES: usize = 8;

/// What a response says, beside addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The name exists; it need not have addresses of the family.
    Exists,
    /// The name does not exist (NXDOMAIN).
    NoName,
    /// The server cannot say now (SERVFAIL).
    TryAgain,
    /// The server refuses to say.
    Refused,
}

fn record_type(family: Family) -> u16 {
    match family {
        Family::V4 => TYPE_A,
        Family::V6 => TYPE_AAAA,
    }
}

/// Writes a query for the addresses of one family; returns its length. `None` if it does not fit.
pub fn write_query(buffer: &mut [u8], id: u16, name: &Name, family: Family) -> Option<usize> {
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        let end = at + bytes.len();
        buffer.get_mut(at..end)?.copy_from_slice(bytes);
        at = end;
        Some(())
    };
    for field in [id, FLAG_RD, 1, 0, 0, 0] {
        put(&field.to_be_bytes())?;
    }
    for label in name.as_bytes().split(|byte| *byte == b'.') {
        put(&[u8::try_from(label.len())
            .ok()
            .filter(|length| *length < 64)?])?;
        put(label)?;
    }
    put(&[0])?;
    put(&record_type(family).to_be_bytes())?;
    put(&CLASS_IN.to_be_bytes())?;
    Some(at)
}

/// Reads a response to the query with this id; adds the addresses of the family, and sets `canonical` to the name at
/// the end of the chain of aliases. `None` if it is no such response.
pub fn read_response(
    message: &[u8],
    id: u16,
    name: &Name,
    family: Family,
    addresses: &mut Addresses,
    canonical: &mut Name,
) -> Option<Outcome> {
    let flags = u16_at(message, 2)?;
    if u16_at(message, 0)? != id || flags & FLAG_QR == 0 || flags & FLAG_TC != 0 {
        return None;
    }
    match flags & 0xf {
        0 => {}
        3 => return Some(Outcome::NoName),
        2 => return Some(Outcome::TryAgain),
        _ => return Some(Outcome::Refused),
    }
    let mut at = HEADER;
    for _ in 0..u16_at(message, 4)? {
        at = read_name(message, at)?.1.checked_add(4)?;
    }
    let answers = Answers {
        message,
        start: at,
        count: u16_at(message, 6)?,
    };
    *canonical = *name;
    for _ in 0..MAX_PASSES {
        if !answers.visit(family, addresses, canonical)? {
            break;
        }
    }
    Some(Outcome::Exists)
}

/// The answer section of a response.
struct Answers<'a> {
    message: &'a [u8],
    start: usize,
    count: u16,
}

impl Answers<'_> {
    /// Goes through the records once; returns whether an alias was followed.
    fn visit(&self, family: Family, addresses: &mut Addresses, current: &mut Name) -> Option<bool> {
        let message = self.message;
        let mut at = self.start;
        let mut followed = false;
        for _ in 0..self.count {
            let (owner, fields) = read_name(message, at)?;
            let data = fields.checked_add(10)?;
            let length = usize::from(u16_at(message, fields.checked_add(8)?)?);
            let end = data.checked_add(length)?;
            let bytes = message.get(data..end)?;
            at = end;
            if u16_at(message, fields.checked_add(2)?)? != CLASS_IN
                || !current.matches(owner.as_bytes())
            {
                continue;
            }
            let kind = u16_at(message, fields)?;
            if kind == TYPE_CNAME {
                *current = read_name(message, data)?.0;
                followed = true;
            } else if kind == record_type(family) {
                addresses.push(match family {
                    Family::V4 => Address::v4(bytes.try_into().ok()?),
                    Family::V6 => Address::v6(bytes.try_into().ok()?),
                });
            }
        }
        Some(followed)
    }
}

/// Reads a name at an offset, with compression; returns it and where what follows it begins.
fn read_name(message: &[u8], start: usize) -> Option<(Name, usize)> {
    let mut name = Name::default();
    let mut at = start;
    let mut end = None;
    for _ in 0..MAX_STEPS {
        let length = *message.get(at)?;
        match length {
            0 => return Some((name, end.unwrap_or(at + 1))),
            1..=63 => {
                let label = message.get(at + 1..at + 1 + usize::from(length))?;
                // Such a label has no text form that would lead back to it.
                if label.iter().any(|byte| matches!(byte, 0 | b'.')) {
                    return None;
                }
                if !name.as_bytes().is_empty() {
                    name.append(b".")?;
                }
                name.append(label)?;
                at += 1 + usize::from(length);
            }
            0xc0.. => {
                end = end.or(Some(at + 2));
                at = usize::from(u16_at(message, at)? & 0x3fff);
            }
            _ => return None,
        }
    }
    None
}

fn u16_at(message: &[u8], at: usize) -> Option<u16> {
    let bytes = message.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}
