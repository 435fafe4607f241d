// SPDX-License-Identifier: Apache-2.0
//! Whether the program runs in a Nexus guest, or in local mode.

use core::sync::atomic::{AtomicU8, Ordering};

use crate::{local, sys};

const UNKNOWN: u8 = 0;
const GUEST: u8 = 1;
const LOCAL: u8 = 2;
const ELSEWHERE: u8 = 3;

/// The builder puts it into every root, and nobody else has it.
const MARK: &core::ffi::CStr = c"/.nexus/image.json";

static PLACE: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Whether nexusd answers for names.
pub(crate) fn has_names() -> bool {
    matches!(place(), GUEST | LOCAL)
}

/// Whether nexusd is asked for what the network namespace does not reach.
pub(crate) fn is_local() -> bool {
    place() == LOCAL
}

/// Decided once: at the first call, before the program may have changed its root.
fn place() -> u8 {
    let known = PLACE.load(Ordering::Relaxed);
    if known != UNKNOWN {
        return known;
    }
    let found = if sys::exists(MARK) {
        GUEST
    } else if local::is_served() {
        LOCAL
    } else {
        ELSEWHERE
    };
    PLACE.store(found, Ordering::Relaxed);
    found
}
