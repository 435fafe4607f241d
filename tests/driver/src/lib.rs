// SPDX-License-Identifier: GPL-2.0-only
//! The driver's state machine of a connection, the very file that nexus.ko is built from, outside the kernel: for property tests here,
//! and for fuzzing in `tests/fuzz`. What drives it is a device that may say anything, and a user who may do anything.

mod play;

pub use play::play;

/// As in the driver.
mod proto {
    pub(crate) use nexus_proto::wire::*;
}

/// What the state machine needs of the driver's `virtio` (`guest-kmod/virtio/member.rs`).
mod virtio {
    use crate::proto::{Request, SocketId};

    /// What a member has yet to tell the device.
    pub(crate) trait News {
        /// Whether there is something to tell.
        fn has_news(&self) -> bool;
        /// The next request, which counts as sent from here on.
        fn next_request(&mut self, id: SocketId) -> Option<Request>;
    }
}

#[allow(
    dead_code,
    clippy::all,
    clippy::pedantic,
    reason = "the driver's own file, linted with the driver"
)]
#[path = "../../../guest-kmod/socket/stream/conn/mod.rs"]
mod conn;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::play;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn nothing_that_device_and_user_do_breaks_a_connection(data in prop::collection::vec(any::<u8>(), 0..600)) {
            play(&data);
        }
    }
}
