// SPDX-License-Identifier: Apache-2.0
//! What a guest may put on the request queue: decoding never panics, and what decodes means the same when encoded again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nexus_proto::wire::{Message, Request};

fuzz_target!(|message: Message| {
    if let Ok(request) = Request::decode(&message) {
        assert_eq!(Request::decode(&request.encode()), Ok(request));
        if let Request::Open { tx, rx, .. } = request {
            for ring in [tx, rx] {
                let position = u64::from_le_bytes(message[40..48].try_into().unwrap_or_default());
                let length = u32::from_le_bytes(message[48..52].try_into().unwrap_or_default());
                for (offset, run) in ring.runs(position, length) {
                    assert!(u64::from(offset) + u64::from(run) <= u64::from(ring.size()));
                }
            }
        }
    }
});
