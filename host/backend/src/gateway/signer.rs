// SPDX-License-Identifier: Apache-2.0
//! Signature Version 4 in the headers of a request, as almost all requests are signed ("Create a signed AWS API request"
//! in AWS' reference of IAM).
//!
//! A signing key is good for a day, a region and a service, and kept; the canonical request is written once, from the headers where they
//! are. The library does neither, which was a third of what a small call costs nexusd in user space (docs/decisions/0013). It signs what is
//! not signed here (URLs, sets of regions, paths that a service wants encoded twice), and tests hold the one against the other.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use aws_credential_types::Credentials;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Uri};
use percent_encoding::{percent_decode_str, percent_encode};
use ring::digest::{SHA256, digest};
use ring::hmac;

use super::predict::hex;
use super::refusal::Refusal;
use super::sign::{self, ALGORITHM, CONTENT_SHA256, DATE, Regions, SECURITY_TOKEN, SignedFor};
use super::stamp::Stamp;
use super::target::QUERY;

/// Signing keys that are kept: more than the host's key has regions, services and days at once.
const KEYS_MAX: usize = 256;

/// Signs with the keys that it has made of the host's.
#[derive(Default)]
pub(super) struct Signer {
    /// By the field `Credential` of a signature: whose, of which day, for which region and service.
    keys: Mutex<HashMap<String, SigningKey>>,
}

struct SigningKey {
    /// What it was made of: a secret may be replaced under its id.
    secret: String,
    key: hmac::Key,
}

impl Signer {
    /// Signs a request to S3, whose URI is complete and encoded as SigV4 wants it. The header `x-amz-content-sha256` says what is known
    /// of the body and becomes part of the signature.
    pub(super) fn sign_s3<'a>(
        &self,
        parts: &mut Parts,
        credentials: &Credentials,
        regions: impl Into<Regions<'a>>,
        time: SystemTime,
    ) -> Result<(), Refusal> {
        let region = match regions.into() {
            Regions::One(region) => region,
            set @ Regions::Set(_) => {
                return sign::sign_s3(parts, credentials.clone(), set, time);
            }
        };
        let payload = parts.headers.remove(CONTENT_SHA256);
        let payload = payload.unwrap_or(HeaderValue::from_static("UNSIGNED-PAYLOAD"));
        // One, where the guest sent several.
        parts.headers.insert(CONTENT_SHA256, payload.clone());
        let payload = str::from_utf8(payload.as_bytes()).unwrap_or_default();
        self.sign(parts, credentials, (region, "s3"), payload, time)
    }

    /// Signs a request to a service other than S3, with its whole body.
    pub(super) fn sign_service(
        &self,
        parts: &mut Parts,
        credentials: &Credentials,
        signed_for: &SignedFor,
        body: &[u8],
        time: SystemTime,
    ) -> Result<(), Refusal> {
        let region = match signed_for.regions() {
            Regions::One(region) if is_plain(parts.uri.path()) => region,
            _ => return sign::sign_service(parts, credentials.clone(), signed_for, body, time),
        };
        // Of the guest's signature; these services take the hash from the signature itself.
        parts.headers.remove(CONTENT_SHA256);
        let payload = sha256(body);
        let scope = (region, signed_for.service.as_str());
        self.sign(parts, credentials, scope, &payload, time)
    }

    fn sign(
        &self,
        parts: &mut Parts,
        credentials: &Credentials,
        (region, service): (&str, &str),
        payload: &str,
        time: SystemTime,
    ) -> Result<(), Refusal> {
        let stamp = Stamp::of(time);
        put_on(&mut parts.headers, credentials, &stamp)?;
        let (request, names) = canonical(parts, payload)?;
        let scope = scope(&stamp, region, service);
        let hash = sha256(request.as_bytes());
        let text = [ALGORITHM, "\n", stamp.short(), "\n", &scope, "\n", &hash].concat();
        let credential = [credentials.access_key_id(), "/", &scope].concat();
        let signature = self.signature(&credential, credentials, &text);
        let value = [
            ALGORITHM,
            " Credential=",
            &credential,
            ", SignedHeaders=",
            &names,
            ", Signature=",
            &signature,
        ];
        let value = secret(&value.concat())?;
        parts.headers.insert(AUTHORIZATION, value);
        Ok(())
    }

    /// The signature of a text by a key, whose `credential` says for what: `id/day/region/service/aws4_request`.
    pub(super) fn signature(&self, credential: &str, key: &Credentials, text: &str) -> String {
        let secret = key.secret_access_key();
        let sign = |key: &hmac::Key| hex(hmac::sign(key, text.as_bytes()).as_ref());
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = keys.get(credential).filter(|known| known.secret == secret) {
            return sign(&known.key);
        }
        let key = derive(secret, credential);
        let signature = sign(&key);
        // What was made of another secret is over with that one.
        keys.retain(|_, known| known.secret == secret);
        if keys.len() >= KEYS_MAX {
            keys.clear();
        }
        let secret = secret.to_owned();
        keys.insert(credential.to_owned(), SigningKey { secret, key });
        signature
    }
}

/// What a signature is good for, of the form `day/region/service/aws4_request`.
pub(super) fn scope(stamp: &Stamp, region: &str, service: &str) -> String {
    [stamp.day(), "/", region, "/", service, "/aws4_request"].concat()
}

/// The hash of bytes, as signatures and `x-amz-content-sha256` have it.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// A signing key: the secret's HMAC of the day, that one's of the region, and so on for each part of the credential behind the id, which
/// may hold a slash itself.
fn derive(secret: &str, credential: &str) -> hmac::Key {
    let mut parts: Vec<_> = credential.rsplitn(5, '/').take(4).collect();
    parts.reverse();
    let first = hmac::Key::new(hmac::HMAC_SHA256, ["AWS4", secret].concat().as_bytes());
    parts.iter().fold(first, |key, part| {
        let next = hmac::sign(&key, part.as_bytes());
        hmac::Key::new(hmac::HMAC_SHA256, next.as_ref())
    })
}

/// Puts on what a signature covers of itself.
fn put_on(
    headers: &mut HeaderMap,
    credentials: &Credentials,
    stamp: &Stamp,
) -> Result<(), Refusal> {
    let date = HeaderValue::from_str(stamp.short()).map_err(|e| sign::cannot_sign(&e))?;
    headers.insert(DATE, date);
    if let Some(token) = credentials.session_token() {
        headers.insert(SECURITY_TOKEN, secret(token)?);
    }
    Ok(())
}

/// A header's value that nobody shows.
fn secret(value: &str) -> Result<HeaderValue, Refusal> {
    let mut value = HeaderValue::from_str(value).map_err(|e| sign::cannot_sign(&e))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A request in the form that is signed, and the names of the headers in it.
fn canonical(parts: &Parts, payload: &str) -> Result<(String, String), Refusal> {
    let mut headers = sign::headers_where(&parts.headers, sign::must_be_signed)?;
    // Of one name in their order.
    headers.sort_by_key(|(name, _)| *name);
    let mut text = String::with_capacity(1024);
    let mut names = String::with_capacity(256);
    let method = parts.method.as_str();
    for part in [method, "\n", parts.uri.path(), "\n"] {
        text.push_str(part);
    }
    write_query(&mut text, &parts.uri);
    let mut last = None;
    for (name, value) in headers {
        if last == Some(name) {
            text.push(',');
        } else {
            text.push('\n');
            text.push_str(name);
            text.push(':');
            if last.is_some() {
                names.push(';');
            }
            names.push_str(name);
        }
        write_value(&mut text, value);
        last = Some(name);
    }
    for part in ["\n\n", &names, "\n", payload] {
        text.push_str(part);
    }
    Ok((text, names))
}

/// Writes a header's value: no spaces around it, and one in place of several.
fn write_value(text: &mut String, value: &str) {
    let value = value.trim_matches(' ');
    if !value.contains("  ") {
        return text.push_str(value);
    }
    for (index, word) in value.split(' ').filter(|word| !word.is_empty()).enumerate() {
        if index > 0 {
            text.push(' ');
        }
        text.push_str(word);
    }
}

/// Writes a query's parameters, encoded anew and in the order of what that gives.
fn write_query(text: &mut String, uri: &Uri) {
    let query = uri.query().unwrap_or_default();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(String, String)> = pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (encoded(name), encoded(value))
        })
        .collect();
    pairs.sort();
    for (index, (name, value)) in pairs.iter().enumerate() {
        let separator = if index > 0 { "&" } else { "" };
        text.extend([separator, name, "=", value]);
    }
}

/// A name or value of a query, which may be encoded otherwise or not at all, as a signature has it.
fn encoded(part: &str) -> String {
    let spaced = part.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8_lossy();
    percent_encode(decoded.as_bytes(), QUERY).to_string()
}

/// Whether a service's path is signed as it is: it is encoded twice otherwise, and `.` and `..` are resolved.
fn is_plain(path: &str) -> bool {
    let is_plain =
        |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'~' | b'.' | b'/');
    path.bytes().all(is_plain) && !path.contains("//") && !path.contains("/.")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use http::Request;
    use http::header::HOST;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 7] = [
        "content-type",
        "content-md5",
        "range",
        "x-amz-meta-a",
        "x-amz-meta-a-b",
        "x-amz-acl",
        "x-amz-content-sha256",
    ];

    fn requests() -> impl Strategy<Value = Parts> {
        let path = "(/[a-zA-Z0-9._~-]{0,6}(%2F|%C3%A9|%25|//|/\\.\\.)?){0,4}";
        let query = "([a-c]{0,2}(=([a-z/~+ -]|%[0-9A-F]{2}){0,4})?&{1,2}){0,4}";
        let headers = vec((0..NAMES.len(), "[ a-zé,]{0,12}"), 0..8);
        let methods = prop_oneof!["GET", "PUT", "HEAD", "DELETE"];
        (methods, path, query, headers).prop_map(|(method, path, query, headers)| {
            let query = query.replace(' ', "%20");
            let mut request = Request::builder()
                .method(method.as_str())
                .uri(format!("https://b.s3.amazonaws.com{path}?{query}"))
                .header(HOST, "b.s3.amazonaws.com:8443");
            for (name, mut value) in headers {
                if NAMES[name] == "x-amz-content-sha256" {
                    // Of this one the library would sign the spaces.
                    value.retain(|c| c != ' ');
                }
                request = request.header(NAMES[name], value);
            }
            request.body(()).unwrap().into_parts().0
        })
    }

    fn keys() -> impl Strategy<Value = Credentials> {
        ("[A-Z/]{1,3}", "[a-b]{1,2}", any::<bool>()).prop_map(|(id, secret, has_token)| {
            let token = has_token.then(|| "a/token=".to_owned());
            Credentials::new(id, secret, token, None, "test")
        })
    }

    proptest! {
        #[test]
        fn signs_as_the_library_does(
            requests in vec((requests(), keys(), 0..3_u64), 1..8),
            region in "eu-west-[12]",
            body in vec(any::<u8>(), 0..100),
            service in "(s3|sqs|lambda)",
        ) {
            let signer = Signer::default();
            let signed_for = SignedFor::new(&region, &service).unwrap();
            for (mut parts, key, days) in requests {
                let time = UNIX_EPOCH + Duration::from_secs(1_795_759_286 + days * 40_000);
                let mut expected = parts.clone();
                let (mine, reference) = if service == "s3" {
                    (
                        signer.sign_s3(&mut parts, &key, region.as_str(), time),
                        sign::sign_s3(&mut expected, key, region.as_str(), time),
                    )
                } else {
                    (
                        signer.sign_service(&mut parts, &key, &signed_for, &body, time),
                        sign::sign_service(&mut expected, key, &signed_for, &body, time),
                    )
                };
                prop_assert_eq!(&mine, &reference);
                if mine.is_ok() {
                    prop_assert_eq!(&parts.headers, &expected.headers);
                    prop_assert!(parts.headers[AUTHORIZATION].is_sensitive());
                }
            }
        }
    }

    #[test]
    fn keys_of_a_secret_that_was_replaced_are_not_kept() {
        let signer = Signer::default();
        for (id, secret) in [("old", "a"), ("old", "b"), ("new", "c")] {
            let key = Credentials::new(id, secret, None, None, "test");
            for region in ["eu-west-1", "eu-west-2"] {
                signer.signature(&format!("{id}/20261127/{region}/s3/aws4_request"), &key, "");
            }
            let keys = signer.keys.lock().unwrap();
            assert_eq!(keys.len(), 2);
            assert!(keys.values().all(|key| key.secret == secret));
        }
    }

    #[test]
    fn no_more_keys_are_kept_than_allowed() {
        let signer = Signer::default();
        let key = Credentials::new("id", "secret", None, None, "test");
        for day in 0..2 * KEYS_MAX {
            let credential = format!("id/{day}/eu-west-1/s3/aws4_request");
            signer.signature(&credential, &key, "");
            assert!(signer.keys.lock().unwrap().len() <= KEYS_MAX);
        }
    }
}
