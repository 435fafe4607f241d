// SPDX-License-Identifier: Apache-2.0
//! Services other than S3: which action a request is, and where it goes.
//!
//! Their requests are small and signed with a hash of the body, so a body is read whole before it is judged. What an action is
//! follows from the request itself, never from what the guest says it is.

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use percent_encoding::percent_decode_str;

use super::Gateway;
use super::refusal::Refusal;
use super::sign::{self, SignedFor};
use super::upstream::{Body, Endpoint};

/// Longest body of a request, in bytes: above what any of these services takes in one (Lambda's 6 MiB, Bedrock's 25 MB).
const BODY_MAX: usize = 32 * 1024 * 1024;

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");

/// Host names by signing name, where they are not the same (AWS General Reference, "Service endpoints").
const HOSTS: [(&str, &str); 3] = [
    ("bedrock", "bedrock-runtime"),
    ("cloudwatch", "monitoring"),
    ("ses", "email"),
];

/// Services without regions.
const GLOBAL: [&str; 4] = ["cloudfront", "iam", "organizations", "route53"];

/// Actions whose answer is a key: a guest has none, whatever a policy says.
const KEYS: [(&str, &str); 9] = [
    ("sts", "AssumeRole"),
    ("sts", "AssumeRoleWithSAML"),
    ("sts", "AssumeRoleWithWebIdentity"),
    ("sts", "AssumeRoot"),
    ("sts", "GetFederationToken"),
    ("sts", "GetSessionToken"),
    ("cognito-identity", "GetCredentialsForIdentity"),
    ("iam", "CreateAccessKey"),
    ("sso", "GetRoleCredentials"),
];

/// The action that a request is, by the protocols of AWS's services (Smithy, "AWS protocols"): JSON names it in a header, query in
/// the form, RPC in the path. Of the REST protocols only Lambda's Invoke is known.
fn action(service: &str, parts: &Parts, body: &[u8]) -> Option<String> {
    if let Some(target) = parts.headers.get(TARGET) {
        let target = target.to_str().ok()?;
        return target.rsplit('.').next().map(ToOwned::to_owned);
    }
    let form = |text: &str| {
        let pair = text
            .split('&')
            .find_map(|pair| pair.strip_prefix("Action="))?;
        Some(percent_decode_str(pair).decode_utf8().ok()?.into_owned())
    };
    let is_form = parts.headers.get(CONTENT_TYPE).is_some_and(|kind| {
        kind.as_bytes()
            .starts_with(b"application/x-www-form-urlencoded")
    });
    if is_form {
        return form(std::str::from_utf8(body).ok()?);
    }
    if let Some(action) = parts.uri.query().and_then(form) {
        return Some(action);
    }
    let path: Vec<&str> = parts.uri.path().split('/').skip(1).collect();
    match path[..] {
        ["service", _, "operation", action] => Some(action.to_owned()),
        ["2015-03-31", "functions", _, "invocations"]
            if service == "lambda" && parts.method == Method::POST =>
        {
            Some("Invoke".to_owned())
        }
        _ => None,
    }
}

/// AWS's own endpoint of a service.
fn amazon(service: &str, region: &str) -> Result<Endpoint, Refusal> {
    let host = HOSTS
        .iter()
        .find(|(name, _)| *name == service)
        .map_or(service, |(_, host)| host);
    let china = if region.starts_with("cn-") { ".cn" } else { "" };
    let name = if GLOBAL.contains(&service) {
        format!("{host}.amazonaws.com{china}")
    } else {
        format!("{host}.{region}.amazonaws.com{china}")
    };
    let authority = Authority::try_from(name)
        .map_err(|error| Refusal::bad_request("InvalidRequest", error.to_string()))?;
    Ok(Endpoint {
        scheme: Scheme::HTTPS,
        authority,
    })
}

/// Reads a body whole.
pub(super) async fn whole(mut body: Body) -> Result<Bytes, Refusal> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| Refusal::bad_request("IncompleteBody", error.to_string()))?;
        // Trailers are of no use to these services.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if read.len() + data.len() > BODY_MAX {
            let message = format!("The body of a request is at most {BODY_MAX} bytes long.");
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            return Err(Refusal::new(status, "RequestEntityTooLarge", message));
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

impl Gateway {
    /// Turns a request to a service other than S3 into the one that it gets, if the policy allows it.
    pub(super) async fn prepare_service(
        &self,
        parts: &mut Parts,
        signed_for: &SignedFor,
        body: Bytes,
    ) -> Result<Body, Refusal> {
        let service = signed_for.service.as_str();
        let action = action(service, parts, &body);
        self.judge(service, action.as_deref())?;
        let endpoint = match self.upstream.endpoints.get(service) {
            Some(endpoint) => endpoint.clone(),
            None => amazon(service, &signed_for.region)?,
        };
        let path = parts.uri.path_and_query().cloned();
        parts.uri = Uri::builder()
            .scheme(endpoint.scheme.clone())
            .authority(endpoint.authority.clone())
            .path_and_query(path.unwrap_or_else(|| PathAndQuery::from_static("/")))
            .build()
            .map_err(|error| Refusal::bad_request("InvalidURI", error.to_string()))?;
        super::prepare_headers(&mut parts.headers, &endpoint, None)?;
        parts.headers.remove(TRANSFER_ENCODING);
        if !body.is_empty() || parts.method == Method::POST || parts.method == Method::PUT {
            parts.headers.insert(CONTENT_LENGTH, body.len().into());
        }
        let credentials = self.credentials().await?;
        sign::sign_service(parts, credentials, signed_for, &body)?;
        Ok(Full::new(body)
            .map_err(|never| match never {})
            .boxed_unsync())
    }

    fn judge(&self, service: &str, action: Option<&str>) -> Result<(), Refusal> {
        let function = &self.name;
        let is_key = action.is_some_and(|action| KEYS.contains(&(service, action)));
        if is_key || service.starts_with("s3") {
            let what = action.unwrap_or("its requests");
            return Err(Refusal::access_denied(format!(
                "{service} {what}: a guest holds no keys, and the buckets that its policy names are reached as s3."
            )));
        }
        if self.policy.allows_action(service, action) {
            return Ok(());
        }
        let what = action.unwrap_or("this request, whose action the gateway does not know,");
        Err(Refusal::access_denied(format!(
            "The policy of the function {function} does not allow {what} of {service}."
        )))
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn of(service: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Option<String> {
        let mut request = Request::post(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        action(service, &parts, body.as_bytes())
    }

    #[test]
    fn actions_by_protocol() {
        let json = [("x-amz-target", "DynamoDB_20120810.GetItem")];
        assert_eq!(of("dynamodb", "/", &json, "{}").as_deref(), Some("GetItem"));
        let form = [(
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        )];
        let body = "Version=2011-06-15&Action=GetCallerIdentity";
        assert_eq!(
            of("sts", "/", &form, body).as_deref(),
            Some("GetCallerIdentity")
        );
        assert_eq!(
            of("sts", "/?Action=AssumeRole", &[], "").as_deref(),
            Some("AssumeRole")
        );
        let path = "/service/DynamoDB_20120810/operation/Query";
        assert_eq!(of("dynamodb", path, &[], "").as_deref(), Some("Query"));
        let path = "/2015-03-31/functions/f/invocations";
        assert_eq!(of("lambda", path, &[], "{}").as_deref(), Some("Invoke"));
        assert_eq!(of("other", path, &[], "{}"), None);
        assert_eq!(of("lambda", "/2015-03-31/functions", &[], ""), None);
    }

    #[test]
    fn what_hides_an_action_is_found() {
        // A form that a header calls a form is read as one, and no other place decides.
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let hidden = of(
            "sts",
            "/?Action=GetCallerIdentity",
            &form,
            "Action=AssumeRole",
        );
        assert_eq!(hidden.as_deref(), Some("AssumeRole"));
        let encoded = of("sts", "/", &form, "Action=Assume%52ole");
        assert_eq!(encoded.as_deref(), Some("AssumeRole"));
    }

    #[test]
    fn amazons_hosts() {
        let host = |service: &str, region: &str| {
            amazon(service, region)
                .expect("a host")
                .authority
                .to_string()
        };
        assert_eq!(
            host("dynamodb", "eu-west-1"),
            "dynamodb.eu-west-1.amazonaws.com"
        );
        assert_eq!(host("ses", "us-east-1"), "email.us-east-1.amazonaws.com");
        assert_eq!(host("iam", "us-east-1"), "iam.amazonaws.com");
        assert_eq!(host("sqs", "cn-north-1"), "sqs.cn-north-1.amazonaws.com.cn");
    }
}
