// SPDX-License-Identifier: Apache-2.0
//! Endpoint rules as a deployment writes them: parsing never panics, and a rule's text parses to the same text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nexus_backend::sockets::EndpointRule;

fuzz_target!(|text: &str| {
    if let Ok(rule) = text.parse::<EndpointRule>() {
        let shown = rule.to_string();
        let again = shown.parse::<EndpointRule>().expect("a rule's own text is a rule");
        assert_eq!(again.to_string(), shown);
    }
});
