// SPDX-License-Identifier: Apache-2.0
//! How far services' clocks are from this host's: a signature is good for minutes only, by the service's clock.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http::StatusCode;
use http::header::DATE;

use super::complaint::Complaint;

/// Hosts that are remembered.
const HOSTS_MAX: usize = 1024;

/// Codes that say, or may say, that a clock is wrong (Smithy's clock skew errors).
const CODES: [&str; 6] = [
    "AuthFailure",
    "InvalidSignatureException",
    "RequestExpired",
    "RequestInTheFuture",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
];

/// Clocks that agree better than this are not why a signature was refused: services allow five minutes and more.
const TOLERATED: Duration = Duration::from_secs(4 * 60);

/// Further apart than this, clocks are not followed: who can answer in a service's place would else choose on which day a signature
/// is good.
const FOLLOWED: Duration = Duration::from_secs(24 * 60 * 60);

/// Seconds that services' clocks are ahead of this host's, or behind, by host.
#[derive(Debug, Default)]
pub(super) struct Clocks(Mutex<HashMap<String, i64>>);

impl Clocks {
    /// The time at a host.
    pub(super) fn at(&self, host: &str) -> SystemTime {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shifted(SystemTime::now(), known.get(host).copied().unwrap_or(0))
    }

    /// Follows the clock of a host that refused a signature of the time `signed`; whether it is one to sign anew for.
    pub(super) fn follow(&self, host: &str, signed: SystemTime, complaint: &Complaint) -> bool {
        let code = complaint.code();
        // An answer to HEAD has no document; that the clocks are apart says enough.
        let is_head = code.is_empty() && complaint.parts.status == StatusCode::FORBIDDEN;
        if !CODES.contains(&code.as_str()) && !is_head {
            return false;
        }
        let date = complaint.parts.headers.get(DATE);
        let date = date.and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        let Some(date) = date else {
            return false;
        };
        let offset = seconds(SystemTime::now(), date);
        let apart = seconds(signed, date).unsigned_abs();
        if apart < TOLERATED.as_secs() {
            return false;
        }
        if offset.unsigned_abs() > FOLLOWED.as_secs() {
            tracing::error!(
                host,
                offset,
                "a service's clock is more than a day from this host's: set this host's"
            );
            return false;
        }
        tracing::warn!(
            host,
            offset,
            "a service's clock is not this host's; signing by its own"
        );
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= HOSTS_MAX && !known.contains_key(host) {
            known.clear();
        }
        known.insert(host.to_owned(), offset);
        true
    }
}

/// Seconds from one time to another.
fn seconds(from: SystemTime, to: SystemTime) -> i64 {
    let whole = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    match to.duration_since(from) {
        Ok(ahead) => whole(ahead),
        Err(behind) => -whole(behind.duration()),
    }
}

fn shifted(time: SystemTime, seconds: i64) -> SystemTime {
    let by = Duration::from_secs(seconds.unsigned_abs());
    let moved = if seconds < 0 {
        time.checked_sub(by)
    } else {
        time.checked_add(by)
    };
    moved.unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skewed(code: &str, by: i64) -> Complaint {
        let date = httpdate::fmt_http_date(shifted(SystemTime::now(), by));
        let text = format!("<Error><Code>{code}</Code></Error>");
        Complaint::of(403, &[("date", &date)], &text)
    }

    #[test]
    fn clocks_are_followed_within_a_day() {
        let clocks = Clocks::default();
        let now = SystemTime::now();
        assert!(!clocks.follow("h", now, &skewed("AccessDenied", 3600)));
        assert!(!clocks.follow("h", now, &skewed("SignatureDoesNotMatch", 60)));
        assert!(!clocks.follow("h", now, &skewed("RequestTimeTooSkewed", 2 * 86_400)));
        assert!(seconds(now, clocks.at("h")).abs() < 5);
        for by in [3600, -3600, 300] {
            assert!(clocks.follow("h", clocks.at("h"), &skewed("RequestTimeTooSkewed", by)));
            assert!((seconds(now, clocks.at("h")) - by).abs() < 5, "{by}");
        }
        assert!(seconds(now, clocks.at("other")).abs() < 5);
        // A second refusal of what was signed by the service's own clock is about something else.
        assert!(!clocks.follow("h", clocks.at("h"), &skewed("RequestTimeTooSkewed", 300)));
        let date = httpdate::fmt_http_date(shifted(SystemTime::now(), 1200));
        let head = Complaint::of(403, &[("date", &date)], "");
        assert!(clocks.follow("other", now, &head));
        let dateless = Complaint::of(403, &[], "<Code>RequestExpired</Code>");
        assert!(!clocks.follow("h", now, &dateless));
        for number in 0..2 * HOSTS_MAX {
            clocks.follow(&number.to_string(), now, &skewed("RequestExpired", 3600));
        }
        assert!(clocks.0.lock().unwrap().len() <= HOSTS_MAX);
    }
}
