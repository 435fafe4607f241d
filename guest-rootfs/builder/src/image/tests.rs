// SPDX-License-Identifier: Apache-2.0
//! Digests and users.

use proptest::prelude::*;

use super::Digest;
use super::user::{User, resolve};
use crate::error::RootfsError;

const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/bash\n\nbroken line\napp:x:993:990::/home/app:/bin/sh\n1000:x:7:8::/seven:\n";
const GROUP: &[u8] =
    b"root:x:0:\napp:x:990:\nvideo:x:44:app,other\naudio:x:29:other,app\nbad:x:no:app\n";

fn user(uid: u32, gid: u32, groups: &[u32], home: &str) -> User {
    User {
        uid,
        gid,
        groups: groups.to_vec(),
        home: home.to_owned(),
    }
}

#[test]
fn users_by_name_and_number() {
    for (text, expected) in [
        ("", user(0, 0, &[], "/root")),
        ("app", user(993, 990, &[29, 44], "/home/app")),
        ("993", user(993, 990, &[29, 44], "/home/app")),
        ("app:video", user(993, 44, &[], "/home/app")),
        ("app:12", user(993, 12, &[], "/home/app")),
        ("app:", user(993, 990, &[29, 44], "/home/app")),
        ("555", user(555, 0, &[], "/")),
        ("555:666", user(555, 666, &[], "/")),
        ("1000", user(7, 8, &[], "/seven")),
    ] {
        assert_eq!(
            resolve(text, PASSWD, GROUP).expect(text),
            expected,
            "{text:?}"
        );
    }
}

#[test]
fn unknown_users_are_refused() {
    for text in ["nobody", "app:nogroup", "-1", "4294967296", "app:app:app"] {
        let result = resolve(text, PASSWD, GROUP);
        assert!(
            matches!(result, Err(RootfsError::User { .. })),
            "{text:?}: {result:?}"
        );
    }
}

#[test]
fn digests_are_read_strictly() {
    let text = format!("sha256:{}", "0123456789abcdef".repeat(4));
    assert_eq!(Digest::parse(&text).expect("a digest").to_string(), text);
    let upper = format!("sha256:{}", "A".repeat(64));
    for bad in ["", "sha256:", "sha512:00", &text[..70], upper.as_str()] {
        assert!(Digest::parse(bad).is_err(), "{bad:?}");
    }
    let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(Digest::of(b"").to_string(), empty);
}

proptest! {
    #[test]
    fn users_never_panic(text in "\\PC{0,20}", passwd in any::<Vec<u8>>(), group in any::<Vec<u8>>()) {
        drop(resolve(&text, &passwd, &group));
    }
}
