// SPDX-License-Identifier: Apache-2.0
//! Calls to AWS-style services as an SDK shim makes them: HTTP's meaning in a form that costs a guest little to write and to
//! read (`docs/sdk.md` is normative).
//!
//! A connection carries one call after the other. Each side sends a fixed part of 16 bytes, little-endian; the head, whose
//! strings end with a zero byte each; and the body. A request's head is service, region, operation, method, path with query,
//! and then names and values of headers in turn. An answer's head is all names of headers, an empty string, and all values: the
//! names are the same for many answers in a row, so that a shim knows them at a glance.

use crate::wire::field::{Reader, Writer};

/// Size of the fixed part, in bytes.
pub const FIXED_SIZE: usize = 16;

/// Longest head, in bytes: somewhat more than the largest request head that S3 takes (8 KiB of headers, a key of 1 KiB with each
/// byte encoded).
pub const HEAD_MAX: u32 = 32 * 1024;

/// A body whose length is not known beforehand: chunks, each with its length as u32 before it, ended by one of length zero.
pub const IN_CHUNKS: u64 = u64::MAX;

/// The fixed part of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Bytes of the head.
    pub head: u32,
    /// Bytes of the body, or [`IN_CHUNKS`].
    pub body: u64,
}

/// The fixed part of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Bytes of the head.
    pub head: u32,
    /// HTTP's status.
    pub status: u16,
    /// How often the gateway tried again.
    pub retries: u16,
    /// Bytes of the body, or [`IN_CHUNKS`].
    pub body: u64,
}

/// A request's head, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// Signing name of the service, such as `s3`.
    pub service: &'a str,
    /// Region that the client is for.
    pub region: &'a str,
    /// The operation's name in the service's model, such as `GetObject`.
    pub operation: &'a str,
    /// HTTP's method.
    pub method: &'a str,
    /// Path and query, encoded as in a URI.
    pub path_and_query: &'a str,
    headers: &'a [u8],
}

/// Why a request cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Its head is longer than [`HEAD_MAX`].
    TooLong(u32),
    /// The head lacks a field, or ends within one.
    Incomplete,
    /// A string that has to be UTF-8 is not.
    NotUtf8,
    /// The field that has to be zero is not.
    Reserved(u32),
}

impl core::fmt::Display for Malformed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooLong(length) => write!(
                f,
                "its head has {length} bytes, at most {HEAD_MAX} are possible"
            ),
            Self::Incomplete => f.write_str("its head ends within a field"),
            Self::NotUtf8 => f.write_str("its head is not UTF-8"),
            Self::Reserved(value) => write!(f, "its reserved field is {value:#x}"),
        }
    }
}

impl core::error::Error for Malformed {}

impl Request {
    /// Reads the fixed part.
    ///
    /// # Errors
    /// If the head is too long or the reserved field is used.
    pub fn decode(bytes: &[u8; FIXED_SIZE]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let (head, reserved) = (reader.u32(), reader.u32());
        let body = reader.u64();
        if head > HEAD_MAX {
            return Err(Malformed::TooLong(head));
        }
        if reserved != 0 {
            return Err(Malformed::Reserved(reserved));
        }
        Ok(Self { head, body })
    }

    /// The fixed part as it is sent.
    pub fn encode(self) -> [u8; FIXED_SIZE] {
        let mut bytes = [0; FIXED_SIZE];
        let mut writer = Writer::new(&mut bytes);
        writer.u32(self.head);
        writer.u32(0);
        writer.u64(self.body);
        bytes
    }
}

impl Answer {
    /// The fixed part as it is sent.
    pub fn encode(self) -> [u8; FIXED_SIZE] {
        let mut bytes = [0; FIXED_SIZE];
        let mut writer = Writer::new(&mut bytes);
        writer.u32(self.head);
        writer.u16(self.status);
        writer.u16(self.retries);
        writer.u64(self.body);
        bytes
    }

    /// Reads the fixed part.
    pub fn decode(bytes: &[u8; FIXED_SIZE]) -> Self {
        let mut reader = Reader::new(bytes);
        Self {
            head: reader.u32(),
            status: reader.u16(),
            retries: reader.u16(),
            body: reader.u64(),
        }
    }
}

impl<'a> Head<'a> {
    /// Takes a request's head apart.
    ///
    /// # Errors
    /// If a field is missing or not UTF-8.
    pub fn parse(mut bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut field = || -> Result<&'a str, Malformed> {
            let field = next(&mut bytes).ok_or(Malformed::Incomplete)?;
            core::str::from_utf8(field).map_err(|_| Malformed::NotUtf8)
        };
        let head = Self {
            service: field()?,
            region: field()?,
            operation: field()?,
            method: field()?,
            path_and_query: field()?,
            headers: &[],
        };
        // Each string ends with a zero byte, so what stands behind the last one is empty.
        let mut strings = bytes.split(|byte| *byte == 0);
        let behind = strings.next_back();
        if behind.is_some_and(|rest| !rest.is_empty()) || strings.count() % 2 != 0 {
            return Err(Malformed::Incomplete);
        }
        Ok(Self {
            headers: bytes,
            ..head
        })
    }

    /// Names and values of the headers.
    pub fn headers(&self) -> Pairs<'a> {
        Pairs(self.headers)
    }
}

/// Names and values in turn, as they stand in a head.
#[derive(Clone, Debug)]
pub struct Pairs<'a>(&'a [u8]);

/// The names and values of an answer's head; a name without a value is left out.
pub fn answered(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut strings = head.split(|byte| *byte == 0);
    let names = strings.by_ref().take_while(|name| !name.is_empty()).count();
    let names = head.split(|byte| *byte == 0).take(names);
    names.zip(strings)
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        Some((next(&mut self.0)?, next(&mut self.0)?))
    }
}

/// Splits off what stands before the first zero byte.
fn next<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let (field, rest) = (bytes.get(..end)?, bytes.get(end + 1..)?);
    *bytes = rest;
    Some(field)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use proptest::prelude::*;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn a_head_is_taken_apart() {
        let bytes = b"s3\0eu-west-1\0GetObject\0GET\0/b/k?x=1\0range\0bytes=0-1\0x-a\0\0";
        let head = Head::parse(bytes).expect("well-formed");
        assert_eq!(
            (head.service, head.region, head.operation),
            ("s3", "eu-west-1", "GetObject")
        );
        assert_eq!((head.method, head.path_and_query), ("GET", "/b/k?x=1"));
        let headers: Vec<_> = head.headers().collect();
        assert_eq!(headers, [(&b"range"[..], &b"bytes=0-1"[..]), (b"x-a", b"")]);
    }

    #[test]
    fn an_answers_head_is_taken_apart() {
        let pairs: Vec<_> = answered(b"etag\0x-a\0\0tag\0\0").collect();
        assert_eq!(pairs, [(&b"etag"[..], &b"tag"[..]), (b"x-a", b"")]);
        assert_eq!(answered(b"\0").count(), 0);
    }

    #[test]
    fn malformed_requests_are_told_apart() {
        assert_eq!(Head::parse(b"s3\0r\0o\0GET\0"), Err(Malformed::Incomplete));
        assert_eq!(
            Head::parse(b"s3\0r\0o\0GET\0/\0name\0"),
            Err(Malformed::Incomplete)
        );
        assert_eq!(
            Head::parse(b"s3\0r\0o\0GET\0/\0name\0value"),
            Err(Malformed::Incomplete)
        );
        assert_eq!(
            Head::parse(b"\xff\0r\0o\0GET\0/\0"),
            Err(Malformed::NotUtf8)
        );
        let mut fixed = Request {
            head: HEAD_MAX + 1,
            body: 0,
        }
        .encode();
        assert_eq!(
            Request::decode(&fixed),
            Err(Malformed::TooLong(HEAD_MAX + 1))
        );
        fixed = Request { head: 5, body: 0 }.encode();
        fixed[4] = 1;
        assert_eq!(Request::decode(&fixed), Err(Malformed::Reserved(1)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(head) = Head::parse(&bytes) {
                let strings = [head.service, head.region, head.operation, head.method, head.path_and_query];
                let fields: usize = strings.iter().map(|field| field.len() + 1).sum();
                let headers: usize = head.headers().map(|(name, value)| name.len() + value.len() + 2).sum();
                prop_assert_eq!(fields + headers, bytes.len());
            }
        }

        #[test]
        fn fixed_parts_come_back(head in 0..=HEAD_MAX, status: u16, retries: u16, body: u64) {
            let request = Request { head, body };
            prop_assert_eq!(Request::decode(&request.encode()), Ok(request));
            let answer = Answer { head, status, retries, body };
            prop_assert_eq!(Answer::decode(&answer.encode()), answer);
        }
    }
}
