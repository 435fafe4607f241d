// SPDX-License-Identifier: Apache-2.0
//! Services other than S3: which action a request is, and where it goes.
//!
//! Their requests are small and signed with a hash of the body, so a body is read whole before it is judged. What an action is
//! follows from the request itself, never from what the guest says it is.

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, StatusCode, Uri};
use http_body_util::BodyExt as _;
use percent_encoding::percent_decode_str;

use super::Gateway;
use super::exchange::{Head, Scope, Sendable, Unsigned};
use super::refusal::Refusal;
use super::sign::{self, SignedFor};
use super::upstream::Body;

/// Longest body of a request, in bytes: above what any of these services takes in one (Lambda's 6 MiB, Bedrock's 25 MB).
const BODY_MAX: usize = 32 * 1024 * 1024;

/// The content type of a form.
const FORM: &[u8] = b"x-www-form-urlencoded";

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");

/// Services whose protocol is JSON: an action is what `x-amz-target` says, and nothing else.
const JSON: [&str; 18] = [
    "athena",
    "cognito-idp",
    "dynamodb",
    "ecr",
    "ecs",
    "elasticmapreduce",
    "events",
    "firehose",
    "glue",
    "kinesis",
    "kms",
    "logs",
    "monitoring",
    "redshift-serverless",
    "secretsmanager",
    "sqs",
    "ssm",
    "states",
];

/// Services whose protocol is query: an action is what the form says. Two have both.
const QUERY: [&str; 10] = [
    "autoscaling",
    "cloudformation",
    "elasticache",
    "elasticloadbalancing",
    "monitoring",
    "rds",
    "redshift",
    "sns",
    "sqs",
    "sts",
];

/// Services that are there to hand out keys. A guest has none, whatever a policy says.
const KEY_SERVICES: [&str; 9] = [
    "codeartifact",
    "cognito-identity",
    "gamelift",
    "iam",
    "lakeformation",
    "lightsail",
    "rolesanywhere",
    "sso",
    "sso-oidc",
];

/// Of services that do so as well, the actions that do not.
const KEYLESS: [(&str, &[&str]); 1] = [(
    "sts",
    &[
        "DecodeAuthorizationMessage",
        "GetAccessKeyInfo",
        "GetCallerIdentity",
    ],
)];

/// Of others, the actions that do.
const KEY_ACTIONS: [(&str, &str); 5] = [
    ("ecr", "GetAuthorizationToken"),
    ("elasticmapreduce", "GetClusterSessionCredentials"),
    ("redshift", "GetClusterCredentials"),
    ("redshift", "GetClusterCredentialsWithIAM"),
    ("redshift-serverless", "GetCredentials"),
];

/// The action that a request is; none if it cannot be told, and an error if it names several: who does that wants one to be judged
/// and another done.
///
/// JSON names it in a header, query in the form or the URI, RPC in the path (Smithy, "AWS protocols"). What is not of a service's own
/// protocol it does not look at, so that decides nothing; but it makes a second action. Of the REST protocols only Lambda's
/// Invoke is known.
fn action(service: &str, parts: &Parts, body: &[u8]) -> Result<Option<String>, Vec<String>> {
    let (json, query) = (JSON.contains(&service), QUERY.contains(&service));
    let targets = parts.headers.get_all(TARGET).iter().map(|target| {
        let target = String::from_utf8_lossy(target.as_bytes());
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        // What is no name stays whole, and no rule has it.
        let name = target.trim().rsplit('.').next().unwrap_or_default();
        let whole = target.trim().chars().all(is_name);
        if whole {
            name.to_owned()
        } else {
            target.into_owned()
        }
    });
    let targets: Vec<String> = targets.collect();
    let mut forms: Vec<String> = in_form(parts.uri.query().unwrap_or_default()).collect();
    let is_form = parts.headers.get_all(CONTENT_TYPE).iter().any(|kind| {
        let kind = kind.as_bytes().to_ascii_lowercase();
        kind.windows(FORM.len()).any(|part| part == FORM)
    });
    // A JSON service does not read a form, and its documents may well look like one.
    if query || is_form {
        forms.extend(in_form(&String::from_utf8_lossy(body)));
    }
    let path: Vec<&str> = parts.uri.path().split('/').skip(1).collect();
    let mut by_path = Vec::new();
    match path[..] {
        ["service", _, "operation", action] => by_path.push(action.to_owned()),
        ["2015-03-31", "functions", _, "invocations"]
            if service == "lambda" && parts.method == Method::POST =>
        {
            by_path.push("Invoke".to_owned());
        }
        _ => {}
    }
    let all: Vec<String> = [&targets[..], &forms, &by_path].concat();
    let counts = (json && !targets.is_empty())
        || (query && !forms.is_empty())
        || ((json || query || service == "lambda") && !by_path.is_empty());
    match all.len() {
        0 => Ok(None),
        1 => Ok(all.into_iter().next().filter(|_| counts)),
        _ => Err(all),
    }
}

/// The values of all parameters of a form that are called Action.
fn in_form(text: &str) -> impl Iterator<Item = String> {
    text.split(['&', ';']).filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let is_action = decoded(name).trim().eq_ignore_ascii_case("action");
        is_action.then(|| decoded(value).trim().to_owned())
    })
}

fn decoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

/// Reads a body whole.
pub(super) async fn whole(body: Body) -> Result<Bytes, Refusal> {
    whole_within(body, BODY_MAX).await
}

/// The same of at most `limit` bytes.
pub(super) async fn whole_within(mut body: Body, limit: usize) -> Result<Bytes, Refusal> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| Refusal::bad_request("IncompleteBody", error.to_string()))?;
        // Trailers are of no use to these services.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if read.len() + data.len() > limit {
            return Err(too_long());
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

impl Gateway {
    /// Turns a request to a service other than S3 into the one that it gets, if the policy allows it; beside it, the action that it
    /// is.
    pub(super) fn prepare_service(
        &self,
        mut parts: Parts,
        signed_for: &SignedFor,
        body: Bytes,
    ) -> Result<(Unsigned, Option<String>), Refusal> {
        let service = signed_for.service.as_str();
        // First of all: what a guest names in Connection is taken off, and must not be what it was judged by.
        super::remove_hop_by_hop(&mut parts.headers);
        let action = self.judge(service, &parts, &body)?;
        let endpoint = self.upstream.endpoint_of(signed_for, &body)?;
        let path = parts.uri.path_and_query().cloned();
        parts.uri = Uri::builder()
            .scheme(endpoint.scheme.clone())
            .authority(endpoint.authority.clone())
            .path_and_query(path.unwrap_or_else(|| PathAndQuery::from_static("/")))
            .build()
            .map_err(|error| Refusal::bad_request("InvalidURI", error.to_string()))?;
        super::prepare_headers(&mut parts.headers, &endpoint, None)?;
        parts.headers.remove(TRANSFER_ENCODING);
        // The gateway has to read what an error says before the guest may.
        parts.headers.remove(ACCEPT_ENCODING);
        if !body.is_empty() || parts.method == Method::POST || parts.method == Method::PUT {
            parts.headers.insert(CONTENT_LENGTH, body.len().into());
        }
        let unsigned = Unsigned {
            head: Head {
                parts,
                scope: Scope::Service(signed_for.clone()),
            },
            body: Sendable::Here(body),
        };
        Ok((unsigned, action))
    }

    /// The action that a request is, if it is known and allowed.
    fn judge(&self, service: &str, parts: &Parts, body: &[u8]) -> Result<Option<String>, Refusal> {
        let function = &self.name;
        let action = action(service, parts, body).map_err(|names| {
            Refusal::access_denied(format!(
                "The request names its action more than once ({}).",
                names.join(", ")
            ))
        })?;
        let name = action.as_deref();
        let what = name.unwrap_or("this request, whose action the gateway does not know,");
        if gives_keys(service, name) {
            return Err(Refusal::access_denied(format!(
                "{service}: {what} may answer with a key, and guests hold none."
            )));
        }
        if self.policy.allows_action(service, name) {
            return Ok(action);
        }
        Err(Refusal::access_denied(format!(
            "The policy of the function {function} does not allow {what} of {service}."
        )))
    }

    /// Refuses what no rule can allow, before its body takes any memory.
    pub(super) fn admit(
        &self,
        signed_for: &SignedFor,
        headers: &HeaderMap,
        length: Option<u64>,
    ) -> Result<(), Refusal> {
        let service = signed_for.service.as_str();
        let named = self
            .policy
            .services
            .iter()
            .any(|rule| rule.service == service);
        if !named || service.starts_with("s3") || KEY_SERVICES.contains(&service) {
            let function = &self.name;
            return Err(Refusal::access_denied(format!(
                "The policy of the function {function} does not allow {service}, or no policy can."
            )));
        }
        if is_event_stream(headers) {
            let message = format!(
                "{service}: requests that are signed event by event are not supported; answers that are streams of events are."
            );
            return Err(Refusal::not_implemented(message));
        }
        if length.is_some_and(|length| length > BODY_MAX as u64) {
            return Err(too_long());
        }
        Ok(())
    }
}

/// Whether a body is a stream of events, each with a signature that follows from the one before it.
fn is_event_stream(headers: &HeaderMap) -> bool {
    let starts = |name: &HeaderName, start: &[u8]| {
        let values = headers.get_all(name);
        values
            .iter()
            .any(|value| value.as_bytes().starts_with(start))
    };
    starts(&CONTENT_TYPE, b"application/vnd.amazon.eventstream")
        || starts(&sign::CONTENT_SHA256, b"STREAMING-AWS4-HMAC-SHA256-EVENTS")
}

fn too_long() -> Refusal {
    let message = format!("The body of a request is at most {BODY_MAX} bytes long.");
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "RequestEntityTooLarge",
        message,
    )
}

/// Whether the answer may hold a key; so may that of an action which is not known, where a service has such actions.
fn gives_keys(service: &str, action: Option<&str>) -> bool {
    if let Some((_, keyless)) = KEYLESS.iter().find(|(of, _)| *of == service) {
        return !action.is_some_and(|action| keyless.contains(&action));
    }
    let mut names = KEY_ACTIONS.iter().filter(|(of, _)| *of == service);
    names.any(|(_, name)| action.is_none_or(|action| action == *name))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(path: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::post(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    fn of(service: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Option<String> {
        action(service, &parts(path, headers), body.as_bytes()).expect("one action at most")
    }

    const FORM: (&str, &str) = (
        "content-type",
        "application/x-www-form-urlencoded; charset=utf-8",
    );

    #[test]
    fn actions_by_protocol() {
        let some = |name: &str| Some(name.to_owned());
        let json = [("x-amz-target", "DynamoDB_20120810.GetItem")];
        let body = r#"{"text": "&Action=Other&"}"#;
        assert_eq!(of("dynamodb", "/", &json, body), some("GetItem"));
        let body = "Version=2011-06-15&Action=GetCallerIdentity";
        assert_eq!(of("sts", "/", &[FORM], body), some("GetCallerIdentity"));
        assert_eq!(
            of("sqs", "/?Action=ListQueues", &[], ""),
            some("ListQueues")
        );
        let path = "/service/DynamoDB_20120810/operation/Query";
        assert_eq!(of("dynamodb", path, &[], ""), some("Query"));
        let path = "/2015-03-31/functions/f/invocations";
        assert_eq!(of("lambda", path, &[], "{}"), some("Invoke"));
        assert_eq!(of("other", path, &[], "{}"), None);
        assert_eq!(of("lambda", "/2015-03-31/functions", &[], ""), None);
    }

    #[test]
    fn what_a_service_does_not_look_at_decides_nothing() {
        let target = ("x-amz-target", "x.Invoke");
        let path = "/2015-03-31/functions/f";
        assert_eq!(of("lambda", path, &[target], ""), None);
        assert_eq!(
            of("lambda", "/2015-03-31/functions/f?Action=Invoke", &[], ""),
            None
        );
        assert_eq!(of("lambda", path, &[FORM], "Action=Invoke"), None);
        assert_eq!(
            of("sts", "/", &[("x-amz-target", "a.GetCallerIdentity")], ""),
            None
        );
        assert_eq!(of("dynamodb", "/?Action=GetItem", &[], "{}"), None);
        assert_eq!(of("unheard-of", "/", &[target], ""), None);
        let joined = ("x-amz-target", "D.DeleteTable,x.GetItem");
        assert_eq!(
            of("dynamodb", "/", &[joined], "{}").as_deref(),
            Some(joined.1)
        );
    }

    #[test]
    fn a_second_action_is_found_wherever_it_hides() {
        let target = ("x-amz-target", "A.Get");
        for (service, path, headers, body) in [
            ("sns", "/?Action=Get", &[FORM][..], "Action=Put"),
            ("sns", "/?Action=Get", &[], "Action=Put"),
            ("sns", "/", &[FORM, target], "Action=Put"),
            ("sns", "/", &[target], "{\"x\": \"&Action=Put&\"}"),
            ("dynamodb", "/", &[target, ("x-amz-target", "A.Put")], "{}"),
            ("dynamodb", "/", &[target, FORM], "Action=Put"),
            ("dynamodb", "/service/x/operation/Put", &[target], "{}"),
            ("sns", "/", &[FORM], "Action=Get&Action=Put"),
            ("sns", "/", &[FORM], "Action=Get;Action=Put"),
            ("sns", "/", &[FORM], "Action=Get&%41ction=P%75t"),
            ("sns", "/", &[FORM], "Action=Get&action=Put"),
            (
                "lambda",
                "/2015-03-31/functions/f/invocations",
                &[target],
                "{}",
            ),
        ] {
            let found = action(service, &parts(path, headers), body.as_bytes());
            assert!(
                found.is_err(),
                "{service} {path} {headers:?} {body}: {found:?}"
            );
        }
        let type_of_many = ("content-type", "APPLICATION/X-WWW-Form-Urlencoded");
        let found = action(
            "dynamodb",
            &parts("/", &[target, type_of_many]),
            b"Action=Put",
        );
        assert!(found.is_err(), "{found:?}");
    }

    #[test]
    fn keys_are_not_for_guests() {
        assert!(gives_keys("sts", Some("AssumeRole")) && gives_keys("sts", None));
        assert!(gives_keys("sts", Some("GetCallerIdentity ")));
        assert!(!gives_keys("sts", Some("GetCallerIdentity")));
        assert!(gives_keys("ecr", Some("GetAuthorizationToken")) && gives_keys("ecr", None));
        assert!(!gives_keys("ecr", Some("DescribeImages")));
        assert!(!gives_keys("dynamodb", None));
    }
}
