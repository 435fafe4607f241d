// SPDX-License-Identifier: Apache-2.0
//! The DNS message parser: what it reads, and that nothing makes it panic or hang.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use nexus_preload::address::{Address, Addresses, Family, Name};
use nexus_preload::dns::message::{MAX_QUERY, Outcome, read_response, write_query};
use proptest::prelude::*;

const ID: u16 = 1;

fn name(text: &str) -> Name {
    Name::parse(text.as_bytes()).unwrap()
}

fn query(text: &str) -> Vec<u8> {
    let mut buffer = [0; MAX_QUERY];
    let length = write_query(&mut buffer, ID, &name(text), Family::V4).unwrap();
    buffer[..length].to_vec()
}

/// A response to a query for `text`, with these records in their wire form.
fn response(text: &str, flags: u16, records: &[Vec<u8>]) -> Vec<u8> {
    let mut message = query(text);
    message[2..4].copy_from_slice(&flags.to_be_bytes());
    message[6..8].copy_from_slice(&u16::try_from(records.len()).unwrap().to_be_bytes());
    message.extend(records.concat());
    message
}

fn record(owner: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = owner.to_vec();
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0, 1, 0, 0, 0, 9]);
    bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    bytes.extend(data);
    bytes
}

fn read(message: &[u8]) -> (Option<Outcome>, Vec<Address>, Vec<u8>) {
    let mut addresses = Addresses::default();
    let mut canonical = Name::default();
    let asked = name("a.test");
    let outcome = read_response(
        message,
        ID,
        &asked,
        Family::V4,
        &mut addresses,
        &mut canonical,
    );
    (
        outcome,
        addresses.as_slice().to_vec(),
        canonical.as_bytes().to_vec(),
    )
}

const OWNER: &[u8] = &[0xc0, 12];

#[test]
fn a_query_is_as_rfc_1035_has_it() {
    let expected = b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x01a\x04test\0\0\x01\0\x01";
    assert_eq!(query("a.test."), expected);
}

#[test]
fn addresses_are_read() {
    let records = [
        record(OWNER, 1, &[1, 2, 3, 4]),
        record(OWNER, 1, &[5, 6, 7, 8]),
    ];
    let (outcome, addresses, _) = read(&response("a.test", 0x8180, &records));
    assert_eq!(outcome, Some(Outcome::Exists));
    assert_eq!(
        addresses,
        [Address::v4([1, 2, 3, 4]), Address::v4([5, 6, 7, 8])]
    );
}

#[test]
fn aliases_are_followed_in_any_order_and_strangers_ignored() {
    let records = [
        record(b"\x01c\x04test\0", 1, &[3, 3, 3, 3]),
        record(b"\x01b\x04TEST\0", 5, b"\x01c\x04test\0"),
        record(OWNER, 5, b"\x01b\x04test\0"),
        record(b"\x05other\x04test\0", 1, &[6, 6, 6, 6]),
    ];
    let (outcome, addresses, canonical) = read(&response("a.test", 0x8180, &records));
    assert_eq!(outcome, Some(Outcome::Exists));
    assert_eq!(addresses, [Address::v4([3, 3, 3, 3])]);
    assert_eq!(canonical, b"c.test");
}

#[test]
fn an_alias_to_itself_ends() {
    let records = [record(OWNER, 5, b"\x01a\x04test\0")];
    let (outcome, addresses, _) = read(&response("a.test", 0x8180, &records));
    assert_eq!(outcome, Some(Outcome::Exists));
    assert!(addresses.is_empty());
}

#[test]
fn response_codes() {
    for (code, outcome) in [
        (0, Outcome::Exists),
        (2, Outcome::TryAgain),
        (3, Outcome::NoName),
        (5, Outcome::Refused),
    ] {
        assert_eq!(
            read(&response("a.test", 0x8180 | code, &[])).0,
            Some(outcome)
        );
    }
}

#[test]
fn what_is_no_response_is_refused() {
    let good = response("a.test", 0x8180, &[record(OWNER, 1, &[1, 2, 3, 4])]);
    for length in 0..good.len() {
        assert_eq!(read(&good[..length]).0, None, "{length} bytes");
    }
    let mut other_id = good.clone();
    other_id[1] = 9;
    assert_eq!(read(&other_id).0, None);
    assert_eq!(read(&query("a.test")).0, None, "a query");
    assert_eq!(read(&response("a.test", 0x8380, &[])).0, None, "truncated");
    let wrong_size = response("a.test", 0x8180, &[record(OWNER, 1, &[1, 2, 3])]);
    assert_eq!(read(&wrong_size).0, None);
    let circle = response("a.test", 0x8180, &[record(&[0xc0, 24], 1, &[1, 2, 3, 4])]);
    assert_eq!(read(&circle).0, None, "a pointer to itself");
}

proptest! {
    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        read(&bytes);
    }

    #[test]
    fn never_panics_behind_a_good_header(bytes in proptest::collection::vec(any::<u8>(), 0..300), count in 0_u16..9) {
        let mut message = response("a.test", 0x8180, &[]);
        message[6..8].copy_from_slice(&count.to_be_bytes());
        message.extend(&bytes);
        let (_, addresses, canonical) = read(&message);
        prop_assert!(addresses.iter().all(|address| address.family == Family::V4));
        prop_assert!(canonical.len() <= 253);
    }

    #[test]
    fn a_flipped_byte_never_panics(at in 0_usize..200, value in any::<u8>()) {
        let records = [record(OWNER, 5, b"\x01b\xc0\x0e"), record(b"\x01b\xc0\x0e", 1, &[1, 2, 3, 4])];
        let mut message = response("a.test", 0x8180, &records);
        let at = at % message.len();
        message[at] = value;
        read(&message);
    }

    #[test]
    fn queries_fit_every_name(text in "[ -~]{0,300}") {
        if let Some(name) = Name::parse(text.as_bytes()) {
            let mut buffer = [0; MAX_QUERY];
            prop_assert!(write_query(&mut buffer, ID, &name, Family::V6).is_some());
        }
    }
}
