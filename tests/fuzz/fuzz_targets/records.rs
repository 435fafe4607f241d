// SPDX-License-Identifier: Apache-2.0
//! What either side may write into a datagram socket's ring.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nexus_proto::wire::Record;
use nexus_proto::wire::record::HEADER_SIZE;

fuzz_target!(|input: ([u8; HEADER_SIZE], u32)| {
    let (header, available) = input;
    if let Ok(record) = Record::decode(&header, available) {
        assert!(record.span() <= u64::from(available));
        assert_eq!(Record::decode(&record.encode(), available), Ok(record));
    }
});
