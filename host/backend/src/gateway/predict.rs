// SPDX-License-Identifier: Apache-2.0
//! What a store will answer to a write, learned from what it answered before.
//!
//! A write can be answered before it is done only if the answer is known. Stores differ in what they say, and one store's
//! buckets do (versions, encryption by a key of KMS, life cycles). So the first write of a function to a bucket goes through, and
//! its answer shows how the next ones will be answered, or that nobody can tell: a header that is neither the same each time
//! nor follows from the request ends it. Each deferred write's real answer is held against what was said.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{CONTENT_LENGTH, DATE, ETAG, SERVER};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use md5::{Digest as _, Md5};
use uuid::Uuid;

use super::sign::CHECKSUM_CRC32;

/// Kinds of writes that are remembered, of all functions together.
const KINDS_MAX: usize = 4096;

/// Headers whose value differs each time without saying anything about the object.
const IDS: [&str; 2] = ["x-amz-request-id", "x-amz-id-2"];

/// Headers that say the same each time, by what S3's reference tells of them.
const CONSTANTS: [HeaderName; 4] = [
    CONTENT_LENGTH,
    SERVER,
    HeaderName::from_static("x-amz-checksum-type"),
    HeaderName::from_static("x-amz-server-side-encryption"),
];

/// Writes that are answered alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    pub(super) function: String,
    pub(super) bucket: String,
    pub(super) method: Method,
    /// Whether the request carries the checksum of its body.
    pub(super) summed: bool,
}

/// How a kind of writes is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manner {
    status: StatusCode,
    headers: Vec<(HeaderName, Form)>,
}

/// What a header's value is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Constant(HeaderValue),
    /// The MD5 of the body, as an entity tag.
    Tag,
    /// What the request has under this name.
    Echo,
    /// One that nobody saw before.
    Id,
    Now,
}

/// All that is known of how writes are answered.
#[derive(Debug, Default)]
pub(super) struct Manners(Mutex<HashMap<Kind, Option<Manner>>>);

impl Manners {
    /// The answer to a write, and what it was made from; None if nobody knows.
    pub(super) fn predict(
        &self,
        kind: &Kind,
        request: &HeaderMap,
        tag: &Tag,
    ) -> Option<(Parts, Manner)> {
        let manner = self.lock().get(kind).cloned().flatten()?;
        let mut headers = HeaderMap::with_capacity(manner.headers.len());
        for (name, form) in &manner.headers {
            let value = form.clone().value(name, request, tag)?;
            headers.append(name.clone(), value);
        }
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.status = manner.status;
        parts.headers = headers;
        Some((parts, manner))
    }

    /// Takes in a store's answer.
    pub(super) fn learn(&self, kind: Kind, request: &HeaderMap, tag: &Tag, answer: &Parts) {
        if answer.status.is_success() {
            let manner = Manner::of(request, tag, answer);
            let mut known = self.lock();
            if known.len() >= KINDS_MAX {
                known.clear();
            }
            // What is known stays: a store that once said something else is not trusted again.
            known.entry(kind).or_insert(manner);
        }
    }

    /// Holds a store's answer against what was predicted of it. False if they differ, after which nothing more is predicted.
    pub(super) fn confirm(
        &self,
        kind: &Kind,
        told: &Manner,
        request: &HeaderMap,
        tag: &Tag,
        answer: &Parts,
    ) -> bool {
        let same = Manner::of(request, tag, answer).as_ref() == Some(told);
        if !same {
            self.lock().insert(kind.clone(), None);
        }
        same
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Kind, Option<Manner>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Manner {
    /// What an answer shows; None if its like cannot be told beforehand.
    fn of(request: &HeaderMap, tag: &Tag, answer: &Parts) -> Option<Self> {
        let headers = answer
            .headers
            .iter()
            .map(|(name, value)| Some((name.clone(), Form::of(name, value, request, tag)?)))
            .collect::<Option<Vec<_>>>()?;
        Some(Self {
            status: answer.status,
            headers,
        })
    }
}

impl Form {
    fn of(name: &HeaderName, value: &HeaderValue, request: &HeaderMap, tag: &Tag) -> Option<Self> {
        let if_same = |wanted: Option<&HeaderValue>, form| (wanted == Some(value)).then_some(form);
        if IDS.contains(&name.as_str()) {
            Some(Self::Id)
        } else if *name == DATE {
            Some(Self::Now)
        } else if *name == ETAG {
            if_same(tag.value().as_ref(), Self::Tag)
        } else if *name == CHECKSUM_CRC32 {
            if_same(request.get(name), Self::Echo)
        } else {
            let constant = CONSTANTS.contains(name);
            constant.then(|| Self::Constant(value.clone()))
        }
    }

    fn value(self, name: &HeaderName, request: &HeaderMap, tag: &Tag) -> Option<HeaderValue> {
        match self {
            Self::Constant(value) => Some(value),
            Self::Tag => tag.value(),
            Self::Echo => request.get(name).cloned(),
            Self::Id => HeaderValue::from_str(&id(name)).ok(),
            Self::Now => HeaderValue::from_str(&httpdate::fmt_http_date(SystemTime::now())).ok(),
        }
    }
}

/// The MD5 of a body, which S3 gives as the entity tag of what was written whole and is not encrypted by a key of the caller's.
#[derive(Debug)]
pub(super) struct Tag([u8; 16]);

impl Tag {
    pub(super) fn of(body: &[u8]) -> Self {
        Self(Md5::digest(body).into())
    }

    /// As a header has it.
    pub(super) fn value(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&format!("\"{}\"", hex(&self.0))).ok()
    }
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(DIGITS[usize::from(digit)]));
        }
    }
    text
}

/// An id in the form of S3's: 16 characters, and 76 of base64 for the second one.
fn id(name: &HeaderName) -> String {
    let bytes = Uuid::new_v4().into_bytes();
    if name.as_str() == IDS[0] {
        bytes[..8]
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect()
    } else {
        let more = [
            bytes,
            Uuid::new_v4().into_bytes(),
            Uuid::new_v4().into_bytes(),
        ]
        .concat();
        BASE64_STANDARD.encode([more.as_slice(), &bytes[..8]].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        };
        pairs.iter().map(pair).collect()
    }

    fn answer(status: u16, pairs: &[(&'static str, &str)]) -> Parts {
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.status = StatusCode::from_u16(status).unwrap();
        parts.headers = headers(pairs);
        parts
    }

    fn kind() -> Kind {
        Kind {
            function: "f".into(),
            bucket: "b".into(),
            method: Method::PUT,
            summed: true,
        }
    }

    /// RFC 1321, A.5.
    const ABC: &str = "\"900150983cd24fb0d6963f7d28e17f72\"";

    #[test]
    fn what_follows_from_the_request_is_predicted() {
        let manners = Manners::default();
        let request = headers(&[("x-amz-checksum-crc32", "AAAAAA==")]);
        let tag = Tag::of(b"abc");
        assert!(manners.predict(&kind(), &request, &tag).is_none());
        let first = answer(
            200,
            &[
                ("x-amz-id-2", "MzRISOwyjmnup"),
                ("x-amz-request-id", "5B30E9DC3A6B4E5A"),
                ("date", "Thu, 01 Dec 1994 16:00:00 GMT"),
                ("x-amz-server-side-encryption", "AES256"),
                ("etag", ABC),
                ("x-amz-checksum-crc32", "AAAAAA=="),
                ("x-amz-checksum-type", "FULL_OBJECT"),
                ("content-length", "0"),
                ("server", "AmazonS3"),
            ],
        );
        manners.learn(kind(), &request, &tag, &first);

        let next = headers(&[("x-amz-checksum-crc32", "BBBBBB==")]);
        let (told, manner) = manners.predict(&kind(), &next, &Tag::of(b"")).unwrap();
        assert_eq!(told.status, 200);
        let names = |parts: &Parts| parts.headers.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&told), names(&first));
        assert_eq!(told.headers["etag"], "\"d41d8cd98f00b204e9800998ecf8427e\"");
        assert_eq!(told.headers["x-amz-checksum-crc32"], "BBBBBB==");
        assert_eq!(told.headers["x-amz-server-side-encryption"], "AES256");
        assert_eq!(told.headers["x-amz-request-id"].len(), 16);
        assert_eq!(told.headers["x-amz-id-2"].len(), 76);
        assert_ne!(told.headers["date"], first.headers["date"]);
        assert!(manners.confirm(&kind(), &manner, &request, &tag, &first));
        // Of another kind nothing is known.
        let other = Kind {
            summed: false,
            ..kind()
        };
        assert!(manners.predict(&other, &next, &tag).is_none());
    }

    #[test]
    fn what_only_the_store_knows_is_not() {
        let (request, tag) = (headers(&[]), Tag::of(b"abc"));
        for unknown in [
            ("x-amz-version-id", "3HL4kqtJvjVBH40Nrjfkd"),
            (
                "x-amz-expiration",
                "expiry-date=\"Fri, 23 Dec 2012 00:00:00 GMT\", rule-id=\"1\"",
            ),
            // Encrypted by a key of KMS, or by the caller's.
            ("etag", "\"d41d8cd98f00b204e9800998ecf8427e\""),
            // The checksum of something else.
            ("x-amz-checksum-crc32", "AAAAAA=="),
        ] {
            let manners = Manners::default();
            manners.learn(kind(), &request, &tag, &answer(200, &[unknown]));
            assert!(
                manners.predict(&kind(), &request, &tag).is_none(),
                "{unknown:?}"
            );
        }
        // A failure shows nothing.
        let manners = Manners::default();
        manners.learn(kind(), &request, &tag, &answer(403, &[]));
        assert!(manners.predict(&kind(), &request, &tag).is_none());
    }

    #[test]
    fn a_store_that_changes_its_mind_is_not_trusted_again() {
        let manners = Manners::default();
        let (request, tag) = (headers(&[]), Tag::of(b"abc"));
        let plain = answer(200, &[("etag", ABC)]);
        manners.learn(kind(), &request, &tag, &plain);
        let (_, manner) = manners.predict(&kind(), &request, &tag).unwrap();
        let versioned = answer(200, &[("etag", ABC), ("x-amz-version-id", "1")]);
        assert!(!manners.confirm(&kind(), &manner, &request, &tag, &versioned));
        assert!(manners.predict(&kind(), &request, &tag).is_none());
    }
}
