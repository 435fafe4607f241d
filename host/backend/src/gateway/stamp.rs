// SPDX-License-Identifier: Apache-2.0
//! A time in the forms of signatures and policies (ISO 8601).

use std::time::SystemTime;

/// A second, as `20261127T060126Z`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp(String);

impl Stamp {
    /// Of a time from 1970 to 9999.
    pub(super) fn of(time: SystemTime) -> Self {
        const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
        const NUMBERS: &str = "010203040506070809101112";
        // `Thu, 26 Nov 2026 10:15:00 GMT`
        let text = httpdate::fmt_http_date(time);
        let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        let month = MONTHS.find(part(8, 11)).unwrap_or_default() / 3 * 2;
        let month = &NUMBERS[month..month + 2];
        let day = [part(12, 16), month, part(5, 7)];
        let clock = [part(17, 19), part(20, 22), part(23, 25)];
        Self([&day.concat(), "T", &clock.concat(), "Z"].concat())
    }

    /// The day, as `20261127`.
    pub(super) fn day(&self) -> &str {
        self.part(0, 8)
    }

    /// `20261127T060126Z`.
    pub(super) fn short(&self) -> &str {
        &self.0
    }

    /// `2026-11-27T06:01:26Z`.
    pub(super) fn long(&self) -> String {
        let part = |from: usize| self.part(from, from + 2);
        let day = [self.part(0, 4), part(4), part(6)].join("-");
        let clock = [part(9), part(11), part(13)].join(":");
        format!("{day}T{clock}Z")
    }

    fn part(&self, from: usize, to: usize) -> &str {
        self.0.get(from..to).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn both_forms() {
        for (seconds, short, long) in [
            (0, "19700101T000000Z", "1970-01-01T00:00:00Z"),
            (951_825_599, "20000229T115959Z", "2000-02-29T11:59:59Z"),
            (1_798_761_599, "20261231T235959Z", "2026-12-31T23:59:59Z"),
        ] {
            let stamp = Stamp::of(UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!((stamp.short(), stamp.day()), (short, &short[..8]));
            assert_eq!(stamp.long(), long);
        }
    }
}
