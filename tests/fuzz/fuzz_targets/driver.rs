// SPDX-License-Identifier: Apache-2.0
//! What a device may report about a connection while its user does anything: the driver's state machine must hold.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| nexus_driver_tests::play(data));
