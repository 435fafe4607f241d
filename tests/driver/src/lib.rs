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

#[allow(
    dead_code,
    clippy::all,
    clippy::pedantic,
    reason = "the driver's own file, linted with the driver"
)]
#[path = "../../../guest-kmod/ring_size.rs"]
mod ring_size;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::play;
    use super::ring_size::fair;

    const MOST: u32 = 256 << 10;

    #[test]
    fn few_sockets_have_large_rings_and_many_leave_room() {
        let memory = 128 << 20;
        let (mut in_use, mut sizes) = (0, Vec::new());
        for _ in 0..256 {
            let size = fair(memory, in_use, MOST);
            sizes.push(size);
            in_use += u64::from(size);
        }
        assert_eq!(sizes[..2], [MOST; 2]);
        assert!(sizes.is_sorted_by(|before, after| before >= after));
        assert_eq!(sizes.last(), Some(&(16 << 10)));
        assert!(in_use < memory / 12, "{in_use}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn any_ring_is_a_power_of_two_within_bounds(memory: u64, in_use: u64, most in 4096_u32..=1 << 20) {
            let size = fair(memory, in_use, most);
            prop_assert!(size.is_power_of_two() && size <= most);
            prop_assert!(size >= most.min(16 << 10) / 2);
        }

        #[test]
        fn nothing_that_device_and_user_do_breaks_a_connection(data in prop::collection::vec(any::<u8>(), 0..600)) {
            play(&data);
        }
    }
}
