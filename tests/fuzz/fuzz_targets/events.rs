// SPDX-License-Identifier: Apache-2.0
//! What a host may put on the event queue, and into the configuration space: the guest must not crash.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nexus_proto::wire::{Config, Event, Message};

fuzz_target!(|message: Message| {
    if let Ok(event) = Event::decode(&message) {
        assert_eq!(Event::decode(&event.encode()), Ok(event));
    }
    if let Ok(config) = Config::decode(&message) {
        assert_eq!(Config::decode(&config.encode()), Ok(config));
    }
});
