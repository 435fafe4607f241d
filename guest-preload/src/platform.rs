// SPDX-License-Identifier: Apache-2.0
//! Whether the program runs in a Nexus guest.

use core::sync::atomic::{AtomicU8, Ordering};

use crate::sys;

const UNKNOWN: u8 = 0;
const GUEST: u8 = 1;
const ELSEWHERE: u8 = 2;

/// The builder puts it into every root, and nobody else has it.
const MARK: &core::ffi::CStr = c"/.nexus/image.json";

static PLACE: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Decided once: at the first call, before the program may have changed its root.
pub(crate) fn is_guest() -> bool {
    match PLACE.load(Ordering::Relaxed) {
        GUEST => true,
        ELSEWHERE => false,
        _ => {
            let found = sys::exists(MARK);
            PLACE.store(if found { GUEST } else { ELSEWHERE }, Ordering::Relaxed);
            found
        }
    }
}
