// SPDX-License-Identifier: Apache-2.0
//! Which permission an S3 operation needs. An operation is allowed by name: what is not known here is refused.

use http::{HeaderMap, Method};

use super::policy::{Access, Scope};
use super::refusal::Refusal;
use super::target::{CopySource, Target};

/// Parameters that change nothing about what is touched.
const HARMLESS: &[&str] = &["x-id", "versionId", "encoding-type"];
const OBJECT_READS: &[&str] = &[
    "partNumber",
    "uploadId",
    "max-parts",
    "part-number-marker",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "acl",
    "attributes",
    "legal-hold",
    "retention",
    "tagging",
    "torrent",
];
const OBJECT_WRITES: &[&str] = &["partNumber", "uploadId", "uploads", "tagging"];
const SELECTS: &[&str] = &["select", "select-type"];
const LISTS: &[&str] = &[
    "list-type",
    "prefix",
    "delimiter",
    "max-keys",
    "marker",
    "continuation-token",
    "start-after",
    "fetch-owner",
    "versions",
    "key-marker",
    "version-id-marker",
    "uploads",
    "max-uploads",
    "upload-id-marker",
];
const BUCKET_READS: &[&str] = &[
    "acl",
    "cors",
    "encryption",
    "lifecycle",
    "object-lock",
    "ownershipControls",
    "tagging",
    "versioning",
];

/// Headers by which a write also decides who else may read, or how long nobody may delete.
const ADMINISTRATION: &[&str] = &[
    "x-amz-grant-",
    "x-amz-object-lock-",
    "x-amz-bypass-governance-retention",
];

/// What a request needs: on what, and which access.
pub(super) type Need = (Scope, Access);

/// The needs of a request. All of them must be allowed.
pub(super) fn needs(
    method: &Method,
    target: &Target,
    copy: Option<&CopySource>,
) -> Result<Vec<Need>, Refusal> {
    let mut needs = vec![match (&target.bucket, &target.key) {
        (Some(bucket), Some(key)) => on_object(method, target, bucket, key)?,
        (Some(bucket), None) => on_bucket(method, target, bucket)?,
        (None, _) => on_account(method, target)?,
    }];
    if let Some(copy) = copy {
        needs.push((
            Scope::Keys {
                bucket: copy.bucket.clone(),
                prefix: copy.key.clone(),
            },
            Access::Read,
        ));
    }
    Ok(needs)
}

/// Refuses headers that make a write more than a write: permission to write is not permission to publish or to lock.
pub(super) fn check_headers(headers: &HeaderMap) -> Result<(), Refusal> {
    let administers = |name: &str, value: &[u8]| match name {
        "x-amz-acl" => value != b"private",
        _ => ADMINISTRATION.iter().any(|start| name.starts_with(start)),
    };
    match headers
        .iter()
        .find(|(name, value)| administers(name.as_str(), value.as_bytes()))
    {
        Some((name, _)) => Err(Refusal::access_denied(format!(
            "functions may not send {name}, which changes an object's permissions or locks it"
        ))),
        None => Ok(()),
    }
}

fn on_object(method: &Method, target: &Target, bucket: &str, key: &str) -> Result<Need, Refusal> {
    let object = Scope::Keys {
        bucket: bucket.to_owned(),
        prefix: key.to_owned(),
    };
    match *method {
        Method::GET | Method::HEAD if only(target, OBJECT_READS) => Ok((object, Access::Read)),
        Method::POST if target.parameter("select").is_some() && only(target, SELECTS) => {
            Ok((object, Access::Read))
        }
        Method::PUT | Method::POST | Method::DELETE if only(target, OBJECT_WRITES) => {
            Ok((object, Access::Write))
        }
        _ => Err(unknown(method, target)),
    }
}

fn on_bucket(method: &Method, target: &Target, bucket: &str) -> Result<Need, Refusal> {
    let existence = Scope::Existence(bucket.to_owned());
    let under = |prefix: &str| Scope::Keys {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
    };
    match *method {
        Method::HEAD if only(target, &[]) => Ok((existence, Access::Read)),
        Method::GET if target.parameter("location").is_some() && only(target, &["location"]) => {
            Ok((existence, Access::Read))
        }
        Method::GET if only(target, LISTS) => Ok((
            under(target.parameter("prefix").unwrap_or_default()),
            Access::Read,
        )),
        Method::GET if only(target, BUCKET_READS) => Ok((under(""), Access::Read)),
        // The keys are in the body: whoever may delete all of them may delete these.
        Method::POST if target.parameter("delete").is_some() && only(target, &["delete"]) => {
            Ok((under(""), Access::Write))
        }
        Method::PUT | Method::DELETE if only(target, &[]) => Ok((under(""), Access::Write)),
        _ => Err(unknown(method, target)),
    }
}

fn on_account(method: &Method, target: &Target) -> Result<Need, Refusal> {
    match *method {
        Method::GET
            if only(
                target,
                &[
                    "prefix",
                    "max-buckets",
                    "continuation-token",
                    "bucket-region",
                ],
            ) =>
        {
            Ok((Scope::Everything, Access::Read))
        }
        _ => Err(unknown(method, target)),
    }
}

/// Whether all parameters are known ones, or for the store's log only: S3 ignores what begins with `x-` (S3, "Custom access log
/// information").
fn only(target: &Target, known: &[&str]) -> bool {
    // Not every store that is asked reads names of parameters as Amazon's does: one for S3 is one however it is written.
    let is_for_log =
        |name: &str| name.starts_with("x-") && !name.to_ascii_lowercase().starts_with("x-amz-");
    let mut names = target.query.iter().map(|(name, _)| name.as_str());
    names.all(|name| known.contains(&name) || HARMLESS.contains(&name) || is_for_log(name))
}

fn unknown(method: &Method, target: &Target) -> Refusal {
    let names: Vec<&str> = target.query.iter().map(|(name, _)| name.as_str()).collect();
    let of = match (&target.bucket, &target.key) {
        (Some(_), Some(_)) => "an object",
        (Some(_), None) => "a bucket",
        (None, _) => "the account",
    };
    Refusal::access_denied(format!(
        "functions may not {method} {of} with the parameters [{}]",
        names.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(method: &Method, path: &str) -> Result<Need, Refusal> {
        let target = Target::parse(&path.parse().unwrap(), "h").unwrap();
        needs(method, &target, None).map(|needs| needs[0].clone())
    }

    fn keys(prefix: &str) -> Scope {
        Scope::Keys {
            bucket: "b".to_owned(),
            prefix: prefix.to_owned(),
        }
    }

    #[test]
    fn objects() {
        for path in [
            "/b/k",
            "/b/k?versionId=1&x-id=GetObject",
            "/b/k?partNumber=1",
            "/b/k?tagging",
            "/b/k?x-user=me",
        ] {
            assert_eq!(
                need(&Method::GET, path),
                Ok((keys("k"), Access::Read)),
                "{path}"
            );
        }
        assert_eq!(
            need(&Method::POST, "/b/k?select&select-type=2"),
            Ok((keys("k"), Access::Read))
        );
        for path in ["/b/k", "/b/k?partNumber=1&uploadId=u", "/b/k?tagging"] {
            assert_eq!(
                need(&Method::PUT, path),
                Ok((keys("k"), Access::Write)),
                "{path}"
            );
        }
        assert_eq!(
            need(&Method::POST, "/b/k?uploads"),
            Ok((keys("k"), Access::Write))
        );
        assert_eq!(
            need(&Method::DELETE, "/b/k?uploadId=u"),
            Ok((keys("k"), Access::Write))
        );
    }

    #[test]
    fn buckets() {
        assert_eq!(
            need(&Method::GET, "/b?list-type=2&prefix=a/"),
            Ok((keys("a/"), Access::Read))
        );
        assert_eq!(
            need(&Method::GET, "/b?uploads&prefix=a/"),
            Ok((keys("a/"), Access::Read))
        );
        assert_eq!(need(&Method::GET, "/b"), Ok((keys(""), Access::Read)));
        assert_eq!(
            need(&Method::GET, "/b?versioning"),
            Ok((keys(""), Access::Read))
        );
        assert_eq!(
            need(&Method::HEAD, "/b"),
            Ok((Scope::Existence("b".to_owned()), Access::Read))
        );
        assert_eq!(
            need(&Method::GET, "/b?location"),
            Ok((Scope::Existence("b".to_owned()), Access::Read))
        );
        assert_eq!(
            need(&Method::POST, "/b?delete"),
            Ok((keys(""), Access::Write))
        );
        assert_eq!(need(&Method::PUT, "/b"), Ok((keys(""), Access::Write)));
        assert_eq!(
            need(&Method::GET, "/"),
            Ok((Scope::Everything, Access::Read))
        );
    }

    #[test]
    fn administration_and_the_unknown_are_refused() {
        for (method, path) in [
            (Method::PUT, "/b?policy"),
            (Method::PUT, "/b?acl"),
            (Method::PUT, "/b/k?acl"),
            (Method::PUT, "/b/k?x-amz-acl=public-read"),
            (Method::PUT, "/b/k?x-Amz-Acl=public-read"),
            (Method::GET, "/b?session"),
            (Method::GET, "/b?policy"),
            (Method::PUT, "/b/k?renameObject"),
            (Method::POST, "/b"),
            (Method::PATCH, "/b/k"),
            (Method::PUT, "/"),
            (Method::GET, "/b?location&policy"),
            (Method::POST, "/b/k?restore"),
        ] {
            assert_eq!(
                need(&method, path).unwrap_err().status,
                403,
                "{method} {path}"
            );
        }
    }

    #[test]
    fn a_copy_reads_its_source() {
        let target = Target::parse(&"/b/k".parse().unwrap(), "h").unwrap();
        let source = CopySource::parse("other/key").unwrap();
        let needs = needs(&Method::PUT, &target, Some(&source)).unwrap();
        let other = Scope::Keys {
            bucket: "other".to_owned(),
            prefix: "key".to_owned(),
        };
        assert_eq!(needs, [(keys("k"), Access::Write), (other, Access::Read)]);
    }
}
