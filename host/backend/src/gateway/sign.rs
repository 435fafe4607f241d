// SPDX-License-Identifier: Apache-2.0
//! The guest's signature off, the real one on (AWS Signature Version 4, and 4A where one is good for several regions).

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningInstructions, SigningParams, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::{v4, v4a};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Uri};
use percent_encoding::{percent_encode, utf8_percent_encode};

use super::refusal::Refusal;
use super::target::QUERY;

pub(super) const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
/// The checksum of a body, by S3's own header.
pub(super) const CHECKSUM_CRC32: HeaderName = HeaderName::from_static("x-amz-checksum-crc32");
pub(super) const DATE: HeaderName = HeaderName::from_static("x-amz-date");
pub(super) const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
/// How signatures for one region are made.
pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const REGION_SET: HeaderName = HeaderName::from_static("x-amz-region-set");

/// Where a signature is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Regions<'a> {
    /// In one region.
    One(&'a str),
    /// In those of a set, such as `*` or `us-east-1,eu-west-*` (Signature Version 4A).
    Set(&'a str),
}

impl<'a> From<&'a str> for Regions<'a> {
    fn from(region: &'a str) -> Self {
        Self::One(region)
    }
}

/// What the guest signed for, by the credential scope of its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SignedFor {
    pub(super) region: String,
    pub(super) service: String,
    /// It is for several regions, and `region` is the set of them.
    pub(super) is_set: bool,
}

impl SignedFor {
    /// Reads the scope of `Authorization: AWS4-HMAC-SHA256 Credential=id/date/region/service/aws4_request, …`, or of
    /// `AWS4-ECDSA-P256-SHA256`, whose regions are in a header of their own.
    ///
    /// The signature proves nothing, since the key is a placeholder. But it must be there: somebody who makes a function
    /// fetch a URL of his choice cannot send headers of his choice.
    pub(super) fn parse(headers: &HeaderMap) -> Result<Self, Refusal> {
        let unsigned =
            || Refusal::access_denied("Requests to the gateway must be signed; any key will do.");
        let text = headers
            .get(AUTHORIZATION)
            .ok_or_else(unsigned)?
            .to_str()
            .map_err(|_| unsigned())?;
        let (of_one, of_set) = (ALGORITHM, "AWS4-ECDSA-P256-SHA256");
        let is_set = text.starts_with(of_set);
        let algorithm = if is_set { of_set } else { of_one };
        let Some(fields) = text.strip_prefix(algorithm) else {
            let message = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.";
            return Err(Refusal::bad_request("InvalidRequest", message));
        };
        let malformed = || {
            Refusal::bad_request(
                "AuthorizationHeaderMalformed",
                "The authorization header is malformed.",
            )
        };
        let credential = fields
            .split(',')
            .find_map(|field| field.trim().strip_prefix("Credential="))
            .ok_or_else(malformed)?;
        // From the end: an access key id may hold a slash.
        let mut scope = credential.rsplit('/');
        let (Some("aws4_request"), Some(service)) = (scope.next(), scope.next()) else {
            return Err(malformed());
        };
        if is_set {
            let set = headers.get(REGION_SET).and_then(|set| set.to_str().ok());
            return Self::of_set(set.unwrap_or_default(), service).ok_or_else(malformed);
        }
        let region = scope.next().ok_or_else(malformed)?;
        Self::new(region, service).ok_or_else(malformed)
    }

    /// A set of regions, and a service by its name.
    fn of_set(set: &str, service: &str) -> Option<Self> {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b',' | b'*');
        let is_one = (1..=256).contains(&set.len()) && set.bytes().all(allowed);
        let named = Self::new("us-east-1", service).filter(|_| is_one)?;
        Some(Self {
            region: set.to_owned(),
            is_set: true,
            ..named
        })
    }

    /// Where its signature is to be good.
    pub(super) fn regions(&self) -> Regions<'_> {
        if self.is_set {
            Regions::Set(&self.region)
        } else {
            Regions::One(&self.region)
        }
    }

    /// A region and a service by their names; None if they are no names, of which hosts are made.
    pub(super) fn new(region: &str, service: &str) -> Option<Self> {
        let is_name = |text: &str| {
            !text.is_empty()
                && text.len() <= 64
                && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
        };
        (is_name(service) && is_name(region)).then(|| Self {
            region: region.to_owned(),
            service: service.to_owned(),
            is_set: false,
        })
    }
}

/// Removes all that the guest signed with.
pub(super) fn strip(headers: &mut HeaderMap) {
    let date = http::header::DATE;
    for name in [AUTHORIZATION, DATE, SECURITY_TOKEN, REGION_SET, date] {
        headers.remove(name);
    }
}

/// Signs a request to S3, whose URI is complete and encoded as SigV4 wants it. The header `x-amz-content-sha256` says what
/// is known of the body and becomes part of the signature.
pub(super) fn sign_s3<'a>(
    parts: &mut Parts,
    credentials: Credentials,
    regions: impl Into<Regions<'a>>,
    time: SystemTime,
) -> Result<(), Refusal> {
    let payload = match parts.headers.remove(CONTENT_SHA256) {
        Some(hash) => str::from_utf8(hash.as_bytes())
            .unwrap_or_default()
            .to_owned(),
        None => "UNSIGNED-PAYLOAD".to_owned(),
    };
    let mut settings = s3_settings();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let body = SignableBody::Precomputed(payload);
    let scope = (regions.into(), "s3");
    put_on(parts, credentials, scope, time, settings, body)
}

/// Puts the signature of a request to S3 into its URI, valid for a time. All headers that it has become part of it.
pub(super) fn presign(
    parts: &mut Parts,
    credentials: Credentials,
    regions: Regions<'_>,
    time: SystemTime,
    validity: Duration,
) -> Result<(), Refusal> {
    let mut settings = s3_settings();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(validity);
    let body = SignableBody::UnsignedPayload;
    let scope = (regions, "s3");
    let headers = headers_where(&parts.headers, |_| true)?;
    let instructions = instructions(parts, headers, credentials, scope, time, settings, body)?;
    let params = instructions.params().iter();
    let params = params.map(|(name, value)| (*name, value.as_bytes()));
    add_parameters(&mut parts.uri, params)
}

/// Adds parameters at the end of a query.
pub(super) fn add_parameters<'a>(
    uri: &mut Uri,
    parameters: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<(), Refusal> {
    let query = uri.query().unwrap_or_default().split('&');
    let mut query: Vec<_> = query
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect();
    for (name, value) in parameters {
        let name = utf8_percent_encode(name, QUERY);
        query.push(format!("{name}={}", percent_encode(value, QUERY)));
    }
    let target = format!("{}?{}", uri.path(), query.join("&"));
    let mut changed = std::mem::take(uri).into_parts();
    changed.path_and_query = Some(target.parse().map_err(|e| cannot_sign(&e))?);
    *uri = Uri::from_parts(changed).map_err(|e| cannot_sign(&e))?;
    Ok(())
}

/// How S3 wants a URI signed: as it is.
fn s3_settings() -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings
}

/// Signs a request to a service other than S3, with its whole body.
pub(super) fn sign_service(
    parts: &mut Parts,
    credentials: Credentials,
    signed_for: &SignedFor,
    body: &[u8],
    time: SystemTime,
) -> Result<(), Refusal> {
    // Of the guest's signature; these services take the hash from the signature itself.
    parts.headers.remove(CONTENT_SHA256);
    let scope = (signed_for.regions(), signed_for.service.as_str());
    let body = SignableBody::Bytes(body);
    let settings = SigningSettings::default();
    put_on(parts, credentials, scope, time, settings, body)
}

/// Puts the signature on, for regions and a service.
fn put_on(
    parts: &mut Parts,
    credentials: Credentials,
    scope: (Regions<'_>, &str),
    time: SystemTime,
    settings: SigningSettings,
    body: SignableBody<'_>,
) -> Result<(), Refusal> {
    let headers = headers_where(&parts.headers, must_be_signed)?;
    let instructions = instructions(parts, headers, credentials, scope, time, settings, body)?;
    for (name, value) in instructions.headers() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|e| cannot_sign(&e))?;
        let mut value = HeaderValue::from_str(value).map_err(|e| cannot_sign(&e))?;
        value.set_sensitive(name == AUTHORIZATION || name == SECURITY_TOKEN);
        parts.headers.insert(name, value);
    }
    Ok(())
}

/// What a signature of headers, for regions and a service, adds to a request.
fn instructions(
    parts: &Parts,
    headers: Vec<(&str, &str)>,
    credentials: Credentials,
    (regions, service): (Regions<'_>, &str),
    time: SystemTime,
    settings: SigningSettings,
    body: SignableBody<'_>,
) -> Result<SigningInstructions, Refusal> {
    let identity = credentials.into();
    let params: SigningParams<'_> = match regions {
        Regions::One(region) => v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(service)
            .time(time)
            .settings(settings)
            .build()
            .map_err(|e| cannot_sign(&e))?
            .into(),
        Regions::Set(set) => v4a::SigningParams::builder()
            .identity(&identity)
            .region_set(set)
            .name(service)
            .time(time)
            .settings(settings)
            .build()
            .map_err(|e| cannot_sign(&e))?
            .into(),
    };
    let uri = parts.uri.to_string();
    let request = SignableRequest::new(parts.method.as_str(), uri, headers.into_iter(), body)
        .map_err(|e| cannot_sign(&e))?;
    let signed = sign(request, &params).map_err(|e| cannot_sign(&e))?;
    Ok(signed.into_parts().0)
}

/// Host and all `x-amz-` headers must be signed; others that a proxy might change should not.
pub(super) fn must_be_signed(name: &HeaderName) -> bool {
    name.as_str().starts_with("x-amz-")
        || matches!(*name, http::header::HOST | CONTENT_TYPE)
        || name == "content-md5"
}

/// The headers with such names.
pub(super) fn headers_where(
    headers: &HeaderMap,
    is_one: impl Fn(&HeaderName) -> bool,
) -> Result<Vec<(&str, &str)>, Refusal> {
    headers
        .iter()
        .filter(|(name, _)| is_one(name))
        .map(
            |(name, value)| match std::str::from_utf8(value.as_bytes()) {
                Ok(value) => Ok((name.as_str(), value)),
                Err(_) => Err(Refusal::bad_request(
                    "InvalidArgument",
                    format!("The header {name} is not UTF-8."),
                )),
            },
        )
        .collect()
}

pub(super) fn cannot_sign(error: &dyn std::error::Error) -> Refusal {
    Refusal::bad_request(
        "InvalidRequest",
        format!("The request cannot be signed: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &'static str) -> Result<SignedFor, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static(text));
        SignedFor::parse(&headers)
    }

    #[test]
    fn the_scope_is_read_from_its_end() {
        let signed_for = parse(
            "AWS4-HMAC-SHA256 Credential=a/b/20261123/eu-west-1/s3/aws4_request, SignedHeaders=host, Signature=0",
        );
        assert_eq!(
            signed_for,
            Ok(SignedFor {
                region: "eu-west-1".to_owned(),
                service: "s3".to_owned(),
                is_set: false,
            })
        );
        let mut headers = HeaderMap::new();
        let text = "AWS4-ECDSA-P256-SHA256 Credential=a/b/20261123/s3/aws4_request, SignedHeaders=host, Signature=0";
        headers.insert(AUTHORIZATION, HeaderValue::from_static(text));
        assert!(SignedFor::parse(&headers).is_err(), "no regions");
        for (set, is_one) in [
            ("*", true),
            ("us-east-1,eu-west-*", true),
            ("", false),
            ("a b", false),
        ] {
            headers.insert(REGION_SET, HeaderValue::from_static(set));
            let signed_for = SignedFor::parse(&headers);
            let regions = signed_for.as_ref().map(SignedFor::regions).ok();
            assert_eq!(regions, is_one.then_some(Regions::Set(set)), "{set}");
        }
    }

    #[test]
    fn other_authorization_is_refused() {
        assert_eq!(
            SignedFor::parse(&HeaderMap::new()).unwrap_err().code,
            "AccessDenied"
        );
        assert_eq!(parse("AWS AKID:sig").unwrap_err().code, "InvalidRequest");
        for text in [
            "AWS4-HMAC-SHA256 Signature=0",
            "AWS4-HMAC-SHA256 Credential=s3/aws4_request",
            "AWS4-HMAC-SHA256 Credential=a/d/evil.host%2F/s3/aws4_request",
            "AWS4-HMAC-SHA256 Credential=a/d//s3/aws4_request",
        ] {
            assert_eq!(
                parse(text).unwrap_err().code,
                "AuthorizationHeaderMalformed",
                "{text}"
            );
        }
    }
}
