// SPDX-License-Identifier: Apache-2.0
//! Addresses, names, and the tables in `/etc`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use nexus_preload::address::{Address, Name};
use nexus_preload::{hosts, numeric, services};
use proptest::prelude::*;

#[test]
fn ipv4_in_the_forms_of_inet_aton() {
    for (text, expected) in [
        ("1.2.3.4", Some([1, 2, 3, 4])),
        ("127.1", Some([127, 0, 0, 1])),
        ("1.2.3", Some([1, 2, 0, 3])),
        ("1.2.65535", Some([1, 2, 255, 255])),
        ("2130706433", Some([127, 0, 0, 1])),
        ("0x7f.0.0.0x1", Some([127, 0, 0, 1])),
        ("0177.0.0.01", Some([127, 0, 0, 1])),
        ("0", Some([0, 0, 0, 0])),
        ("4294967295", Some([255, 255, 255, 255])),
        ("4294967296", None),
        ("256.1.1.1", None),
        ("1.2.65536", None),
        ("1.2.3.4.5", None),
        ("1.2.3.", None),
        ("", None),
        ("0x", None),
        ("08", None),
        ("1.2.3.4 ", None),
        ("a.b", None),
    ] {
        assert_eq!(numeric::parse_v4(text.as_bytes()), expected, "{text:?}");
    }
}

#[test]
fn ipv6_with_scope() {
    let link_local = numeric::parse(b"fe80::1%7").unwrap();
    assert_eq!(link_local.scope, 7);
    assert_eq!(numeric::parse(b"2001:db8::1%7").unwrap().scope, 7);
    for text in ["fe80::1%lo", "ff02::1%lo", "ff12::1%lo"] {
        assert_eq!(numeric::parse(text.as_bytes()).unwrap().scope, 1, "{text}");
    }
    assert_eq!(
        numeric::parse(b"::ffff:1.2.3.4").unwrap().unmapped(),
        Some(Address::v4([1, 2, 3, 4]))
    );
    for text in [
        "2001:db8::1%lo",
        "ff05::1%lo",
        "fe80::1%",
        "fe80::1%no-such-one",
        "fe80::1%a-name-of-16-or-more-bytes",
        "fe80::1%-1",
        ":::",
        "1::2::3",
        "%1",
    ] {
        assert_eq!(numeric::parse(text.as_bytes()), None, "{text:?}");
    }
}

#[test]
fn names_within_their_limits() {
    let label = "a".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
    assert!(Name::parse(longest.as_bytes()).is_some());
    assert!(Name::parse(format!("{longest}.").as_bytes()).is_some());
    for bad in [
        format!("{longest}a"),
        "a".repeat(64),
        String::new(),
        ".".into(),
        "a..b".into(),
        ".a".into(),
        "a b".into(),
    ] {
        assert!(Name::parse(bad.as_bytes()).is_none(), "{bad:?}");
    }
    assert!(Name::parse("bücher.example".as_bytes()).is_some());
    assert!(Name::parse(b"x.LocalHost.").unwrap().is_localhost());
    assert!(!Name::parse(b"localhost.example").unwrap().is_localhost());
}

#[test]
fn lines_of_hosts() {
    let name = Name::parse(b"alias").unwrap();
    let (address, first) =
        hosts::match_line(b"10.0.0.1\tmain.example  ALIAS other", &name).unwrap();
    assert_eq!(address, Address::v4([10, 0, 0, 1]));
    assert_eq!(first, b"main.example");
    for line in ["", "10.0.0.1", "nonsense alias", "10.0.0.1 aliased"] {
        assert!(
            hosts::match_line(line.as_bytes(), &name).is_none(),
            "{line:?}"
        );
    }
}

#[test]
fn lines_of_services() {
    let line = b"http\t\t80/tcp\t\twww web";
    assert_eq!(services::match_line(line, b"http", b"tcp"), Some(80));
    assert_eq!(services::match_line(line, b"www", b"tcp"), Some(80));
    assert_eq!(services::match_line(line, b"http", b"udp"), None);
    assert_eq!(services::match_line(line, b"htt", b"tcp"), None);
    for line in ["", "x", "x 80", "x /tcp", "x 99999/tcp", "x -1/tcp"] {
        assert_eq!(
            services::match_line(line.as_bytes(), b"x", b"tcp"),
            None,
            "{line:?}"
        );
    }
}

proptest! {
    #[test]
    fn never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let name = Name::parse(&bytes);
        numeric::parse(&bytes);
        services::match_line(&bytes, b"http", b"tcp");
        hosts::match_line(&bytes, &name.unwrap_or_default());
    }

    #[test]
    fn text_of_addresses_is_read_back(bits in any::<u32>(), wide in any::<u128>()) {
        let v4 = std::net::Ipv4Addr::from(bits);
        prop_assert_eq!(numeric::parse_v4(v4.to_string().as_bytes()), Some(v4.octets()));
        let v6 = std::net::Ipv6Addr::from(wide);
        prop_assert_eq!(numeric::parse_v6(v6.to_string().as_bytes()), Some(v6.octets()));
    }
}
