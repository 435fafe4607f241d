// SPDX-License-Identifier: Apache-2.0
//! Forms that let whoever has them upload an object (S3, "Browser-based uploads using POST"): signed here, as URLs are (`presign`).
//!
//! A request `POST /bucket/key` with the header `X-Nexus-Presign-Post`, whose value is for how many seconds the form is to be valid, has
//! a JSON array of conditions as its body. It is judged as a write of that key, or of all keys that begin like it if it ends in
//! `${filename}`. Its answer is lines: the URL, then the fields, each a name, a space and a value. The policy document is made here, of the
//! conditions as they were judged, and beside them always says which bucket and key it is for.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Response};
use serde::{Deserialize, Serialize};
use serde_json::ser::Formatter;

use super::audit::How;
use super::deferred::Judged;
use super::policy::{Access, Scope};
use super::refusal::Refusal;
use super::sign::{ALGORITHM, Regions};
use super::signer::scope;
use super::stamp::Stamp;
use super::upstream::{Body, full};
use super::{Gateway, Presign, presign, services};

const PRESIGN_POST: HeaderName = HeaderName::from_static("x-nexus-presign-post");

/// What S3 puts the name of an uploaded file in place of.
const FILE_NAME: &str = "${filename}";

/// Longest conditions, in bytes; S3 takes policies of 20 KB.
const CONDITIONS_MAX: usize = 20_000;

/// Fields of a form that decide who may read an object, or how long it stays, and by the starts of their names (`operation::check_headers`
/// for headers); those that the gateway itself gives.
const ADMINISTRATION: [&str; 2] = ["acl", "x-amz-acl"];
const ADMINISTRATION_STARTS: [&str; 3] = [
    "x-amz-grant-",
    "x-amz-object-lock-",
    "x-amz-bypass-governance-retention",
];
const SIGNATURE: [&str; 7] = [
    "policy",
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-signature",
    "awsaccesskeyid",
];

/// A condition of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Condition {
    /// `{"name": "value"}`
    Exact(Exact),
    /// `["eq", "$name", "value"]`, or `starts-with`.
    Matching(Operator, String, String),
    /// `["content-length-range", 1, 100]`
    Range(RangeName, u64, u64),
}

/// One name with its value; more than one would be read as many policies.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Exact(String, String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Operator {
    Eq,
    StartsWith,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RangeName {
    ContentLengthRange,
}

impl Serialize for Exact {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(&self.0, &self.1)])
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One;

        impl<'de> serde::de::Visitor<'de> for One {
            type Value = Exact;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object with one member")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Exact, A::Error> {
                let one = map.next_entry::<String, String>()?;
                match (one, map.next_entry::<String, String>()?) {
                    (Some((name, value)), None) => Ok(Exact(name, value)),
                    _ => Err(serde::de::Error::custom("a condition names one field")),
                }
            }
        }

        deserializer.deserialize_map(One)
    }
}

#[derive(Serialize)]
struct Policy {
    expiration: String,
    conditions: Vec<Condition>,
}

/// What a form is for.
struct Place<'a> {
    bucket: &'a str,
    /// The key, or what it begins with.
    key: &'a str,
    is_start: bool,
}

impl<'a> Place<'a> {
    fn new(bucket: &'a str, key: &'a str) -> Self {
        let start = key.strip_suffix(FILE_NAME);
        Self {
            bucket,
            key: start.unwrap_or(key),
            is_start: start.is_some(),
        }
    }

    /// Whether a condition for the key says no more than this.
    fn holds(&self, condition: &Condition) -> bool {
        match condition {
            Condition::Exact(Exact(_, key)) | Condition::Matching(Operator::Eq, _, key) => {
                key == self.key || (self.is_start && key.starts_with(self.key))
            }
            Condition::Matching(Operator::StartsWith, _, start) => {
                self.is_start && start.starts_with(self.key)
            }
            Condition::Range(..) => false,
        }
    }

    fn conditions(&self) -> [Condition; 2] {
        let key = if self.is_start {
            Condition::Matching(Operator::StartsWith, "$key".into(), self.key.into())
        } else {
            Condition::exact("key", self.key)
        };
        [Condition::exact("bucket", self.bucket), key]
    }
}

impl Condition {
    fn exact(name: &str, value: &str) -> Self {
        Self::Exact(Exact(name.to_owned(), value.to_owned()))
    }

    /// The field that it is about, and the value if there is one only.
    fn field(&self) -> Option<(String, Option<&str>)> {
        let (name, value) = match self {
            Self::Exact(Exact(name, value)) => (name.as_str(), Some(value.as_str())),
            Self::Matching(operator, name, value) => {
                let one = (*operator == Operator::Eq).then_some(value.as_str());
                (name.strip_prefix('$').unwrap_or(name), one)
            }
            Self::Range(..) => return None,
        };
        Some((
            name.trim().trim_start_matches('$').to_ascii_lowercase(),
            value,
        ))
    }

    /// Refuses conditions that a function's own writes may not be under, and those that are the gateway's to say.
    fn check(&self, of: &Place<'_>) -> Result<(), Refusal> {
        let Some((name, value)) = self.field() else {
            return Ok(());
        };
        let name = name.as_str();
        let is_own = match name {
            "bucket" => value != Some(of.bucket),
            "key" => !of.holds(self),
            _ => SIGNATURE.contains(&name),
        };
        if is_own {
            let message = format!("The condition for {name} follows from the request.");
            return Err(Refusal::access_denied(message));
        }
        let administers = ADMINISTRATION.contains(&name) && value != Some("private");
        let starts = |start: &&str| name.starts_with(*start);
        if administers || ADMINISTRATION_STARTS.iter().any(starts) {
            return Err(Refusal::access_denied(format!(
                "functions may not let others send {name}, which changes an object's permissions or locks it"
            )));
        }
        Ok(())
    }
}

/// How long a form for this request is to be valid; None if none is asked for.
pub(super) fn validity(
    method: &Method,
    headers: &mut HeaderMap,
) -> Result<Option<Duration>, Refusal> {
    let validity = presign::seconds(headers, &PRESIGN_POST)?;
    if validity.is_some() && *method != Method::POST {
        let message = "A form is for POST.";
        return Err(Refusal::bad_request("InvalidArgument", message));
    }
    Ok(validity)
}

impl Gateway {
    /// Answers with a form for a request that was judged as a write of its key.
    pub(super) async fn form(
        &self,
        judged: Judged,
        validity: Duration,
        body: Body,
    ) -> Result<Response<Body>, Refusal> {
        let invalid = |message: String| Refusal::bad_request("InvalidPolicyDocument", message);
        let Some((bucket, key)) = judged.object.clone() else {
            return Err(invalid("A form is for one key of a bucket.".to_owned()));
        };
        let place = Place::new(&bucket, &key);
        self.check_form(&place)?;
        let text = services::whole_within(body, CONDITIONS_MAX)
            .await
            .map_err(|refusal| {
                invalid(format!("The conditions are too long. {}", refusal.message))
            })?;
        let mut conditions: Vec<Condition> = serde_json::from_slice(&text)
            .map_err(|error| invalid(format!("The conditions cannot be read: {error}.")))?;
        conditions
            .iter()
            .try_for_each(|condition| condition.check(&place))?;
        conditions.extend(place.conditions());

        let mut head = judged.head();
        self.upstream.place(&mut head)?;
        let (credentials, time) = (
            self.upstream.key().await?,
            self.upstream.time_at(&head.parts),
        );
        let (now, end) = (Stamp::of(time), Stamp::of(time + validity));
        let Regions::One(region) = head.scope.regions() else {
            let message = "Forms are for buckets, not for access points.";
            return Err(Refusal::not_implemented(message));
        };
        let scope = scope(&now, region, "s3");
        let credential = [credentials.access_key_id(), "/", &scope].concat();
        let mut fields = vec![
            ("x-amz-algorithm", ALGORITHM.to_owned()),
            ("x-amz-credential", credential.clone()),
            ("x-amz-date", now.short().to_owned()),
        ];
        if let Some(token) = credentials.session_token() {
            fields.push(("x-amz-security-token", token.to_owned()));
        }
        conditions.extend(
            fields
                .iter()
                .map(|(name, value)| Condition::exact(name, value)),
        );
        let document = Policy {
            expiration: end.long(),
            conditions,
        }
        .text();
        let policy = BASE64_STANDARD.encode(document);
        let signer = &self.upstream.signer;
        let signature = signer.signature(&credential, &credentials, &policy);
        fields.extend([("policy", policy), ("x-amz-signature", signature)]);

        let site = self.upstream.site.as_ref();
        let in_host = site.is_some_and(|site| site.virtual_hosts);
        let mut answer = url(&head.parts.uri, (!in_host).then_some(&bucket));
        for (name, value) in fields {
            write!(answer, "\n{name} {value}").map_err(|error| invalid(error.to_string()))?;
        }
        let mut response = Response::new(full(Bytes::from(answer)));
        let kind = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response.extensions_mut().insert(How::Presigned);
        Ok(response)
    }

    /// Whether forms for keys that begin so are allowed.
    fn check_form(&self, place: &Place<'_>) -> Result<(), Refusal> {
        let scope = Scope::Keys {
            bucket: place.bucket.to_owned(),
            prefix: place.key.to_owned(),
        };
        if self.policy.presign == Presign::All && self.policy.buckets.allows(&scope, Access::Write)
        {
            return Ok(());
        }
        let function = &self.name;
        Err(Refusal::access_denied(format!(
            "The policy of the function {function} does not allow forms for {scope}."
        )))
    }
}

/// Where a form is sent: the URL of an object's bucket, which is in the path or else in the host's name.
fn url(object: &http::Uri, in_path: Option<&String>) -> String {
    let scheme = object.scheme_str().unwrap_or("https");
    let authority = object
        .authority()
        .map_or("", |authority| authority.as_str());
    let path = in_path.map_or("", String::as_str);
    format!("{scheme}://{authority}/{path}")
}

impl Policy {
    /// The document as Python's `json.dumps` writes it, so that it is the one that botocore would have made.
    fn text(&self) -> String {
        let mut bytes = Vec::new();
        let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Spaced);
        // Strings and numbers in memory: neither can fail.
        self.serialize(&mut serializer).ok();
        let text = String::from_utf8_lossy(&bytes);
        let mut ascii = String::with_capacity(text.len());
        for c in text.chars() {
            if matches!(c, ' '..='~') {
                ascii.push(c);
                continue;
            }
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(ascii, "\\u{unit:04x}").ok();
            }
        }
        ascii
    }
}

/// JSON with a space after each comma and colon.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<Condition>, String> {
        let conditions: Vec<Condition> =
            serde_json::from_str(text).map_err(|error| error.to_string())?;
        let place = Place::new("b", "k");
        let checked = conditions
            .iter()
            .try_for_each(|condition| condition.check(&place));
        checked.map_err(|refusal| refusal.message)?;
        Ok(conditions)
    }

    #[test]
    fn documents_are_as_python_writes_them() {
        let conditions = r#"[{"Content-Type":"image/é"},["starts-with","$x-amz-meta-a","\u007f😀\n\"\\"],["content-length-range",1,100],["eq","$success_action_status","201"]]"#;
        let policy = Policy {
            expiration: Stamp::of(std::time::UNIX_EPOCH + Duration::from_secs(1_795_688_100))
                .long(),
            conditions: parse(conditions).expect("valid"),
        };
        assert_eq!(
            policy.text(),
            r#"{"expiration": "2026-11-26T10:15:00Z", "conditions": [{"Content-Type": "image/\u00e9"}, ["starts-with", "$x-amz-meta-a", "\u007f\ud83d\ude00\n\"\\"], ["content-length-range", 1, 100], ["eq", "$success_action_status", "201"]]}"#
        );
    }

    #[test]
    fn conditions_that_say_more_than_a_write_are_refused() {
        for good in [
            "[]",
            r#"[{"acl":"private"}]"#,
            r#"[["eq","$acl","private"]]"#,
            r#"[["starts-with","$Content-Type","image/"]]"#,
            r#"[{"bucket":"b"},{"key":"k"}]"#,
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in [
            "{}",
            "[1]",
            r#"["bucket"]"#,
            r"[{}]",
            r#"[{"a":"b","c":"d"}]"#,
            r#"[{"acl":"private","acl":"public-read"}]"#,
            r#"[{"a":1}]"#,
            r#"[["eq","$a"]]"#,
            r#"[["eq","$a","b","c"]]"#,
            r#"[["ne","$a","b"]]"#,
            r#"[["content-length-range","1","2"]]"#,
            r#"[{"bucket":"c"}]"#,
            r#"[["starts-with","$bucket","b"]]"#,
            r#"[{"KEY":"b"}]"#,
            r#"[["starts-with","$key",""]]"#,
            r#"[["starts-with"," $$key",""]]"#,
            r#"[{"acl":"public-read"}]"#,
            r#"[["starts-with","$acl","private"]]"#,
            r#"[{"x-amz-grant-read":"x"}]"#,
            r#"[{"X-Amz-Object-Lock-Mode":"COMPLIANCE"}]"#,
            r#"[["starts-with","$x-amz-credential",""]]"#,
            r#"[{"policy":"x"}]"#,
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_may_be_narrowed() {
        let place = Place::new("b", "in/${filename}");
        let holds = |text: &str| place.holds(&serde_json::from_str(text).expect("a condition"));
        for good in [
            r#"{"key":"in/a"}"#,
            r#"["starts-with","$key","in/a"]"#,
            r#"["eq","$key","in/"]"#,
        ] {
            assert!(holds(good), "{good}");
        }
        for bad in [r#"{"key":"out"}"#, r#"["starts-with","$key","i"]"#] {
            assert!(!holds(bad), "{bad}");
        }
    }
}
