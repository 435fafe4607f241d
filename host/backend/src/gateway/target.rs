// SPDX-License-Identifier: Apache-2.0
//! What an S3 request is about: bucket, key, query, taken apart once and put together again for the store.
//!
//! The store gets a path and a query made from the parts that the policy judged, so that both read them alike.

use http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::refusal::Refusal;
use crate::service::hosts::ACCESS_POINTS;

/// What SigV4 encodes in a query.
pub(super) const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// What SigV4 encodes in a path.
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// A bucket, or what S3 takes for one: `alias.mrap`, a multi-region access point.
    pub(super) bucket: Option<String>,
    /// By its host's name it is such an access point.
    pub(super) is_access_point: bool,
    /// Only with a bucket, and never empty.
    pub(super) key: Option<String>,
    /// Each name once.
    pub(super) query: Vec<(String, String)>,
}

impl Target {
    /// Takes apart a request to `host`, in path style or, for Amazon's own host names, with the bucket in the name.
    pub(super) fn parse(uri: &Uri, host: &str) -> Result<Self, Refusal> {
        let Some(alias) = access_point_in_host(host) else {
            return Self::parse_in(uri, bucket_in_host(host)?);
        };
        Ok(Self {
            is_access_point: true,
            ..Self::parse_in(uri, Some(alias))?
        })
    }

    /// The same, with the bucket that the host's name holds, if it does.
    pub(super) fn parse_in(uri: &Uri, in_host: Option<&str>) -> Result<Self, Refusal> {
        let path = decoded(uri.path())?;
        let path = path.strip_prefix('/').unwrap_or(&path);
        let (bucket, key) = match in_host {
            Some(bucket) => (bucket, path),
            None => path.split_once('/').unwrap_or((path, "")),
        };
        let query = query(uri.query().unwrap_or_default())?;
        if bucket.is_empty() && key.is_empty() {
            return Ok(Self {
                bucket: None,
                is_access_point: false,
                key: None,
                query,
            });
        }
        check_bucket(bucket)?;
        check_key(key)?;
        Ok(Self {
            bucket: Some(bucket.to_owned()),
            is_access_point: false,
            key: Some(key.to_owned()).filter(|key| !key.is_empty()),
            query,
        })
    }

    /// The value of a query parameter; empty if it has none.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// Path and query for the store, in path style.
    pub(super) fn path_and_query(&self) -> String {
        let bucket = self.bucket.as_deref().unwrap_or_default();
        let slash = if self.key.is_some() { "/" } else { "" };
        format!("/{bucket}{slash}{}", self.key_and_query())
    }

    /// Path and query where the host's name says which bucket.
    pub(super) fn within_bucket(&self) -> String {
        format!("/{}", self.key_and_query())
    }

    fn key_and_query(&self) -> String {
        let mut text = String::new();
        if let Some(key) = &self.key {
            text.extend(utf8_percent_encode(key, PATH));
        }
        for (index, (name, value)) in self.query.iter().enumerate() {
            text.push(if index == 0 { '?' } else { '&' });
            text.extend(utf8_percent_encode(name, QUERY));
            if !value.is_empty() {
                text.push('=');
                text.extend(utf8_percent_encode(value, QUERY));
            }
        }
        text
    }
}

/// The object that a copy reads: the header's `[/]bucket/key[?versionId=id]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CopySource {
    pub(super) bucket: String,
    pub(super) key: String,
    version: Option<String>,
}

impl CopySource {
    pub(super) fn parse(header: &str) -> Result<Self, Refusal> {
        let invalid = || {
            Refusal::bad_request(
                "InvalidArgument",
                "x-amz-copy-source must be of the form bucket/key",
            )
        };
        let (path, query) = match header.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (header, None),
        };
        let version = match query {
            Some(query) => Some(decoded(
                query.strip_prefix("versionId=").ok_or_else(invalid)?,
            )?),
            None => None,
        };
        let path = decoded(path)?;
        let (bucket, key) = path
            .strip_prefix('/')
            .unwrap_or(&path)
            .split_once('/')
            .ok_or_else(invalid)?;
        check_bucket(bucket)?;
        check_key(key)?;
        if key.is_empty() {
            return Err(invalid());
        }
        Ok(Self {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            version,
        })
    }

    /// The header for the store.
    pub(super) fn header(&self) -> String {
        let mut text = format!("{}/{}", self.bucket, utf8_percent_encode(&self.key, PATH));
        if let Some(version) = &self.version {
            text.push_str("?versionId=");
            text.extend(utf8_percent_encode(version, QUERY));
        }
        text
    }
}

/// The alias in the host's name of a multi-region access point, with its ending.
fn access_point_in_host(host: &str) -> Option<&str> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let alias = name
        .strip_suffix(".amazonaws.com")?
        .strip_suffix(ACCESS_POINTS)?;
    let id = alias.strip_suffix(".mrap")?;
    (!id.is_empty() && !id.contains('.')).then_some(alias)
}

/// The bucket in one of Amazon's host names: `[bucket.]s3[.dualstack][.region].amazonaws.com`, also `s3-region`.
fn bucket_in_host(host: &str) -> Result<Option<&str>, Refusal> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let Some(name) = name
        .strip_suffix(".amazonaws.com")
        .or_else(|| name.strip_suffix(".amazonaws.com.cn"))
    else {
        return Ok(None);
    };
    let labels: Vec<&str> = name.split('.').collect();
    let Some(s3) = labels
        .iter()
        .rposition(|label| *label == "s3" || label.starts_with("s3-"))
    else {
        return Err(Refusal::access_denied(format!(
            "{host} is not a host of S3 that this gateway knows"
        )));
    };
    if [
        "s3-accesspoint",
        "s3-control",
        "s3-global",
        "s3-object-lambda",
        "s3-website",
    ]
    .iter()
    .any(|p| labels[s3].starts_with(p))
    {
        return Err(Refusal::not_implemented(format!(
            "{host}: this gateway serves buckets by their names only"
        )));
    }
    let length: usize = labels[..s3].iter().map(|label| label.len() + 1).sum();
    Ok(name
        .get(..length.saturating_sub(1))
        .filter(|bucket| !bucket.is_empty()))
}

fn check_bucket(bucket: &str) -> Result<(), Refusal> {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_');
    if bucket.is_empty()
        || bucket.len() > 255
        || !bucket.bytes().all(allowed)
        || matches!(bucket, "." | "..")
    {
        return Err(Refusal::bad_request(
            "InvalidBucketName",
            "The specified bucket is not valid.",
        ));
    }
    Ok(())
}

/// To S3, `.` and `..` are names like others, and a key may start with `/`. A store on a file system may resolve them, and
/// so leave the bucket.
fn check_key(key: &str) -> Result<(), Refusal> {
    if key.starts_with('/') {
        return Err(Refusal::bad_request(
            "InvalidURI",
            "A key that starts with \"/\" is not passed on.",
        ));
    }
    if key
        .split(['/', '\\'])
        .any(|segment| matches!(segment, "." | ".."))
        || key.contains('\0')
    {
        return Err(Refusal::bad_request(
            "InvalidURI",
            "A key with a segment \".\" or \"..\" is not passed on.",
        ));
    }
    Ok(())
}

fn query(text: &str) -> Result<Vec<(String, String)>, Refusal> {
    let mut parameters: Vec<(String, String)> = Vec::new();
    for part in text.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let (name, value) = (
            decoded(&name.replace('+', " "))?,
            decoded(&value.replace('+', " "))?,
        );
        if name.is_empty() {
            return Err(Refusal::bad_request(
                "InvalidArgument",
                "A parameter has no name.",
            ));
        }
        // Of two, the store might take the other one.
        if parameters.iter().any(|(other, _)| *other == name) {
            return Err(Refusal::bad_request(
                "InvalidArgument",
                format!("The parameter {name} is given twice."),
            ));
        }
        parameters.push((name, value));
    }
    Ok(parameters)
}

fn decoded(text: &str) -> Result<String, Refusal> {
    match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(Refusal::bad_request(
            "InvalidURI",
            "Couldn't parse the specified URI: it is not UTF-8.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(path: &str, host: &str) -> Result<Target, Refusal> {
        Target::parse(&path.parse().unwrap(), host)
    }

    fn parts(target: &Target) -> (Option<&str>, Option<&str>) {
        (target.bucket.as_deref(), target.key.as_deref())
    }

    #[test]
    fn path_style_and_names() {
        let plain = |path| parse(path, "169.254.170.2").unwrap();
        assert_eq!(parts(&plain("/")), (None, None));
        assert_eq!(parts(&plain("/b")), (Some("b"), None));
        assert_eq!(parts(&plain("/b/")), (Some("b"), None));
        assert_eq!(parts(&plain("/b/k%20y//z/")), (Some("b"), Some("k y//z/")));
        assert_eq!(
            plain("/b/k%20(1)+?uploads&x=%2B+a").path_and_query(),
            "/b/k%20%281%29%2B?uploads&x=%2B%20a"
        );
        let amazon = |host| parse("/k/l", host).unwrap();
        assert_eq!(
            parts(&amazon("a.b.s3.eu-west-1.amazonaws.com")),
            (Some("a.b"), Some("k/l"))
        );
        assert_eq!(
            parts(&amazon("a.s3.dualstack.eu-west-1.amazonaws.com:80")),
            (Some("a"), Some("k/l"))
        );
        assert_eq!(
            parts(&amazon("a.s3-eu-west-1.amazonaws.com")),
            (Some("a"), Some("k/l"))
        );
        assert_eq!(parts(&amazon("s3.amazonaws.com")), (Some("k"), Some("l")));
        assert!(parse("/k", "dynamodb.eu-west-1.amazonaws.com").is_err());
        assert!(parse("/k", "x.s3-accesspoint.eu-west-1.amazonaws.com").is_err());
    }

    #[test]
    fn multi_region_access_points() {
        let host = "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com";
        let target = parse("/k%20l/m?versionId=1", host).unwrap();
        assert_eq!(parts(&target), (Some("mfzwi23gnjvgw.mrap"), Some("k l/m")));
        assert!(target.is_access_point);
        assert_eq!(target.within_bucket(), "/k%20l/m?versionId=1");
        let list = parse("/?list-type=2", &format!("{host}:443")).unwrap();
        assert_eq!(list.within_bucket(), "/?list-type=2");
        assert!(
            !parse("/mfzwi23gnjvgw.mrap/k", "169.254.170.2")
                .unwrap()
                .is_access_point
        );
        for other in [
            "a.b.mrap.accesspoint.s3-global.amazonaws.com",
            "a.accesspoint.s3-global.amazonaws.com",
            ".mrap.accesspoint.s3-global.amazonaws.com",
        ] {
            assert!(parse("/k", other).is_err(), "{other}");
        }
    }

    #[test]
    fn what_a_store_might_read_otherwise_is_refused() {
        for path in [
            "//b/k",
            "/../k",
            "/b/../c",
            "/b/x/%2e%2E/y",
            "/b/.",
            "/b/..%5Cx",
            "/b/%00",
            "/b/%ff",
            "/b//etc/passwd",
            "/b/%2Fetc/passwd",
        ] {
            let refused = match parse(path, "169.254.170.2") {
                Ok(target) => panic!("{path} became {target:?}"),
                Err(refusal) => refusal.status,
            };
            assert_eq!(refused, 400, "{path}");
        }
        assert_eq!(
            parts(&parse("/b%2Fk", "h").unwrap()),
            (Some("b"), Some("k"))
        );
        assert!(parse("/b?prefix=a&prefix=b", "h").is_err());
        assert!(parse("/b?prefix=a&pre%66ix=b", "h").is_err());
    }

    #[test]
    fn copy_sources() {
        let source = CopySource::parse("/b/k%20y+?versionId=a%2Fb").unwrap();
        assert_eq!((source.bucket.as_str(), source.key.as_str()), ("b", "k y+"));
        assert_eq!(source.header(), "b/k%20y%2B?versionId=a%2Fb");
        for bad in [
            "b",
            "/b/",
            "b/../c/k",
            "b//etc/passwd",
            "b/%2Fetc/passwd",
            "b/k?acl",
            "arn:aws:s3:eu-west-1:1:accesspoint/x/object/k",
        ] {
            assert!(CopySource::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn the_store_reads_what_was_judged(path in "/[a-z%0-9./+ -]{0,30}", q in "[a-z%0-9=&+]{0,20}") {
            let Ok(uri) = format!("{}?{q}", path.replace(' ', "%20")).parse::<Uri>() else { return Ok(()) };
            if let Ok(target) = Target::parse(&uri, "h") {
                let again = Target::parse(&target.path_and_query().parse().unwrap(), "h").unwrap();
                prop_assert_eq!(&again, &target);
            }
        }
    }
}
