// SPDX-License-Identifier: Apache-2.0
//! Where buckets are. S3 says so when it is asked in a wrong region; the gateway, which signs, remembers it and asks there.
//!
//! Which host that is follows from the region alone, by Amazon's scheme of names. A host that an answer names is never connected to:
//! of one only the region is read, if it is a host of S3.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::uri::{Authority, Scheme};
use tokio::time::Instant;

use super::complaint::Complaint;
use super::upstream::Endpoint;
use crate::service::hosts::{ACCESS_POINTS, is_region};

/// Buckets that are remembered, and for how long: one may be deleted, and made again elsewhere.
const BUCKETS_MAX: usize = 4096;
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

const BUCKET_REGION: &str = "x-amz-bucket-region";

/// Where buckets are, of one store.
#[derive(Debug, Default)]
pub(super) struct Regions(Mutex<HashMap<String, (String, Instant)>>);

impl Regions {
    /// The region of a bucket, if it has been told.
    pub(super) fn of(&self, bucket: &str) -> Option<String> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (region, told) = known.get(bucket)?;
        if told.elapsed() < REMEMBERED {
            return Some(region.clone());
        }
        known.remove(bucket);
        None
    }

    /// Remembers where a bucket is.
    pub(super) fn learn(&self, bucket: &str, region: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= BUCKETS_MAX && !known.contains_key(bucket) {
            known.retain(|_, (_, told)| told.elapsed() < REMEMBERED);
            if known.len() >= BUCKETS_MAX {
                known.clear();
            }
        }
        known.insert(bucket.to_owned(), (region.to_owned(), Instant::now()));
    }
}

/// Amazon's own endpoints of S3, one in each region of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Amazon {
    start: &'static str,
    suffix: &'static str,
}

/// Names before a region, of endpoints in path style (AWS General Reference, "Amazon S3 endpoints and quotas").
const STARTS: [&str; 4] = ["s3.dualstack.", "s3-fips.dualstack.", "s3-fips.", "s3."];

/// The suffixes of partitions, the longer one first.
const SUFFIXES: [&str; 2] = [".amazonaws.com.cn", ".amazonaws.com"];

impl Amazon {
    /// The scheme that an endpoint is of; None for any other store, and for endpoints that have no like in other regions.
    pub(super) fn of(endpoint: &Endpoint) -> Option<Self> {
        if endpoint.scheme != Scheme::HTTPS || endpoint.authority.port().is_some() {
            return None;
        }
        let host = endpoint.authority.host();
        if host == "s3.amazonaws.com" {
            return Some(Self {
                start: "s3.",
                suffix: ".amazonaws.com",
            });
        }
        let suffix = SUFFIXES.into_iter().find(|suffix| host.ends_with(suffix))?;
        let rest = host.strip_suffix(suffix)?;
        let start = STARTS
            .into_iter()
            .find(|start| rest.strip_prefix(start).is_some_and(is_region))?;
        Some(Self { start, suffix })
    }

    /// The endpoint of a multi-region access point (S3, "Making requests using a Multi-Region Access Point"), which only the partition
    /// `aws` has.
    pub(super) fn access_point(&self, alias: &str) -> Option<Endpoint> {
        if self.suffix != ".amazonaws.com" {
            return None;
        }
        let authority = format!("{alias}{ACCESS_POINTS}{}", self.suffix);
        Some(Endpoint {
            scheme: Scheme::HTTPS,
            authority: Authority::try_from(authority).ok()?,
        })
    }

    /// The endpoint in a region.
    pub(super) fn endpoint(&self, region: &str) -> Option<Endpoint> {
        if !is_region(region) {
            return None;
        }
        let authority = format!("{}{region}{}", self.start, self.suffix);
        Some(Endpoint {
            scheme: Scheme::HTTPS,
            authority: Authority::try_from(authority).ok()?,
        })
    }
}

/// Whether two regions are of one partition, in which a key is good.
pub(super) fn are_kin(one: &str, other: &str) -> bool {
    let partition = |region: &str| {
        ["cn-", "us-gov-", "us-iso", "eu-isoe-", "eusc-"]
            .iter()
            .position(|start| region.starts_with(start))
    };
    partition(one) == partition(other)
}

/// Whether S3 says that a bucket is elsewhere. `making` a bucket, one is where the caller says.
pub(super) fn is_elsewhere(complaint: &Complaint, making: bool) -> bool {
    let code = complaint.code();
    match complaint.parts.status.as_u16() {
        301 | 302 | 307 => true,
        // An answer to HEAD has no document, and may not say why.
        400 if code.is_empty() => true,
        400 => match code.as_str() {
            "AuthorizationHeaderMalformed" => true,
            "IllegalLocationConstraintException" => !making,
            _ => false,
        },
        _ => false,
    }
}

/// The region that an answer tells: in a header, an element, or as part of the name of a host of S3.
pub(super) fn told(complaint: &Complaint) -> Option<String> {
    let header = complaint.parts.headers.get(BUCKET_REGION);
    let region = header
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned)
        .or_else(|| complaint.element("Region"))
        .or_else(|| in_host(&complaint.element("Endpoint")?).map(str::to_owned))?;
    is_name(&region).then_some(region)
}

/// The region in an answer to HeadBucket.
pub(super) fn of_head(headers: &http::HeaderMap) -> Option<String> {
    let region = headers.get(BUCKET_REGION)?.to_str().ok()?;
    is_name(region).then(|| region.to_owned())
}

/// The region in the name of a host of S3, with or without a bucket before it.
fn in_host(host: &str) -> Option<&str> {
    let name = SUFFIXES
        .iter()
        .find_map(|suffix| host.strip_suffix(suffix))?;
    let last = name.rsplit('.').next()?;
    let region = last.strip_prefix("s3-").unwrap_or(last);
    let s3 = name
        .split('.')
        .any(|label| label == "s3" || label.starts_with("s3-"));
    (s3 && is_region(region)).then_some(region)
}

/// Stores that are not Amazon's have regions of their own making.
fn is_name(region: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    (1..=64).contains(&region.len()) && region.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> Endpoint {
        let parts = url.parse::<http::Uri>().unwrap().into_parts();
        Endpoint {
            scheme: parts.scheme.unwrap(),
            authority: parts.authority.unwrap(),
        }
    }

    #[test]
    fn amazons_endpoints_follow_from_the_region() {
        let there = |url: &str| {
            let amazon = Amazon::of(&endpoint(url))?;
            let there = amazon.endpoint("eu-central-1")?;
            Some(there.authority.to_string())
        };
        for (url, expected) in [
            (
                "https://s3.us-east-1.amazonaws.com",
                "s3.eu-central-1.amazonaws.com",
            ),
            ("https://s3.amazonaws.com", "s3.eu-central-1.amazonaws.com"),
            (
                "https://s3.dualstack.us-west-2.amazonaws.com",
                "s3.dualstack.eu-central-1.amazonaws.com",
            ),
            (
                "https://s3-fips.us-east-1.amazonaws.com",
                "s3-fips.eu-central-1.amazonaws.com",
            ),
            (
                "https://s3.cn-north-1.amazonaws.com.cn",
                "s3.eu-central-1.amazonaws.com.cn",
            ),
        ] {
            assert_eq!(there(url).as_deref(), Some(expected), "{url}");
        }
        for url in [
            "http://s3.us-east-1.amazonaws.com",
            "https://s3.us-east-1.amazonaws.com:8443",
            "https://bucket.vpce-1.s3.us-east-1.vpce.amazonaws.com",
            "https://s3.example.com",
            "https://s3.evil.amazonaws.com",
            "https://127.0.0.1",
        ] {
            assert_eq!(there(url), None, "{url}");
        }
        let amazon = Amazon::of(&endpoint("https://s3.amazonaws.com")).unwrap();
        for region in [
            "evil.com/",
            "x",
            "",
            "eu-central-1.evil.com#",
            "169.254.169.254",
        ] {
            assert!(amazon.endpoint(region).is_none(), "{region}");
        }
    }

    #[test]
    fn what_answers_tell() {
        let of =
            |headers: &[(&'static str, &str)], text: &str| told(&Complaint::of(301, headers, text));
        let some = |region: &str| Some(region.to_owned());
        assert_eq!(
            of(&[(BUCKET_REGION, "eu-west-1")], "<Region>x</Region>"),
            some("eu-west-1")
        );
        assert_eq!(of(&[], "<Region>eu-west-3</Region>"), some("eu-west-3"));
        for (host, region) in [
            ("b.s3-us-west-2.amazonaws.com", Some("us-west-2")),
            ("a.b.s3.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("s3.dualstack.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("s3.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("s3.amazonaws.com", None),
            ("s3.eu-west-1.amazonaws.com.evil.com", None),
            ("evil.com", None),
            ("169.254.169.254", None),
        ] {
            let text =
                format!("<Error><Code>TemporaryRedirect</Code><Endpoint>{host}</Endpoint></Error>");
            assert_eq!(of(&[], &text).as_deref(), region, "{host}");
        }
        for region in ["a/b", "a b", "a.b", "", "evil.com#"] {
            assert_eq!(of(&[(BUCKET_REGION, region)], ""), None, "{region}");
        }
    }

    #[test]
    fn who_is_elsewhere() {
        let code = |status, code: &str, making| {
            let text = format!("<Error><Code>{code}</Code></Error>");
            is_elsewhere(&Complaint::of(status, &[], &text), making)
        };
        assert!(code(301, "PermanentRedirect", false) && code(307, "TemporaryRedirect", false));
        assert!(code(400, "AuthorizationHeaderMalformed", true));
        assert!(code(400, "IllegalLocationConstraintException", false));
        assert!(!code(400, "IllegalLocationConstraintException", true));
        assert!(!code(400, "InvalidArgument", false) && !code(403, "AccessDenied", false));
        let head = |status| is_elsewhere(&Complaint::of(status, &[], ""), false);
        assert!(head(400) && head(301) && !head(403));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_is_bounded_and_grows_old() {
        let regions = Regions::default();
        regions.learn("b", "eu-west-1");
        assert_eq!(regions.of("b").as_deref(), Some("eu-west-1"));
        tokio::time::advance(REMEMBERED).await;
        assert_eq!(regions.of("b"), None);
        for number in 0..3 * BUCKETS_MAX {
            regions.learn(&number.to_string(), "eu-west-1");
        }
        assert!(regions.0.lock().unwrap().len() <= BUCKETS_MAX);
    }
}
