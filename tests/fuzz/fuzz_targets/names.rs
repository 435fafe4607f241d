// SPDX-License-Identifier: Apache-2.0
//! What a name server, or whoever answers in its place, may send to the preload library.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nexus_preload::address::{Addresses, Family, Name};
use nexus_preload::dns::message::read_response;

fuzz_target!(|input: (bool, &[u8])| {
    let (v6, response) = input;
    let family = if v6 { Family::V6 } else { Family::V4 };
    let Some(asked) = Name::parse(b"a.test") else {
        return;
    };
    let id = response.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
    let (mut addresses, mut canonical) = (Addresses::default(), Name::default());
    let _outcome = read_response(response, id, &asked, family, &mut addresses, &mut canonical);
});
