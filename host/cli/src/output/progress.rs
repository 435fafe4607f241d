// SPDX-License-Identifier: Apache-2.0
//! The builder's progress as a bar on standard error, if that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};
use nexus_rootfs::Progress;

/// A bar.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new() -> Self {
        let style =
            ProgressStyle::with_template("{msg:15} {bar:40} {decimal_bytes}/{decimal_total_bytes}");
        Self(ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    /// Takes the bar off the screen.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl Progress for Bar {
    fn stage(&self, name: &str, total: u64) {
        self.0.reset();
        self.0.set_message(name.to_owned());
        self.0.set_length(total);
    }

    fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }
}
