// SPDX-License-Identifier: Apache-2.0
//! What a guest may send to the gateway as a call.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nexus_proto::call::{Head, Request, answered};

fuzz_target!(|input: &[u8]| {
    let Some((fixed, head)) = input.split_first_chunk() else {
        return;
    };
    if let Ok(request) = Request::decode(fixed) {
        assert_eq!(Request::decode(&request.encode()), Ok(request));
    }
    if let Ok(head) = Head::parse(head) {
        for (name, value) in head.headers() {
            assert!(!name.contains(&0) && !value.contains(&0));
        }
    }
    assert!(answered(head).count() <= head.len());
});
