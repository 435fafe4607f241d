// SPDX-License-Identifier: Apache-2.0
//! What a client of the Invoke API says, checked: the path, the query, the headers, the event.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use nexus_backend::prefetch::Object;
use percent_encoding::percent_decode_str;
use serde::de::IgnoredAny;

use super::error::InvokeError;

/// Longest client context, in bytes of base64 (Lambda's API model).
const CLIENT_CONTEXT_MAX: usize = 3583;

/// How a client wants the function invoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvocationType {
    /// Wait for the result.
    RequestResponse,
    /// Run it later.
    Event,
    /// Only check the request.
    DryRun,
}

/// The headers of an Invoke request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// `X-Amz-Invocation-Type`
    pub invocation_type: InvocationType,
    /// `X-Amz-Log-Type: Tail`
    pub log_tail: bool,
    /// `X-Amz-Client-Context`, decoded: JSON.
    pub client_context: Option<String>,
    /// `X-Amzn-Trace-Id`
    pub trace_id: Option<String>,
    /// Objects that the function will read, by the caller's word.
    pub objects: Vec<Object>,
}

impl Options {
    /// Reads them.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, InvokeError> {
        let invocation_type = match text(headers, "x-amz-invocation-type")? {
            None | Some("RequestResponse") => InvocationType::RequestResponse,
            Some("Event") => InvocationType::Event,
            Some("DryRun") => InvocationType::DryRun,
            Some(other) => {
                let problem =
                    format!("InvocationType {other:?} is not RequestResponse, Event or DryRun");
                return Err(InvokeError::Parameter(problem));
            }
        };
        let log_tail = match text(headers, "x-amz-log-type")? {
            None | Some("None") => false,
            Some("Tail") => true,
            Some(other) => {
                return Err(InvokeError::Parameter(format!(
                    "LogType {other:?} is not None or Tail"
                )));
            }
        };
        Ok(Self {
            invocation_type,
            log_tail,
            client_context: text(headers, "x-amz-client-context")?
                .map(client_context)
                .transpose()?,
            trace_id: text(headers, "x-amzn-trace-id")?.map(str::to_owned),
            objects: objects(headers)?,
        })
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, InvokeError> {
    let value = headers.get(name).map(http::HeaderValue::to_str).transpose();
    value.map_err(|_| InvokeError::Parameter(format!("the header {name} is not ASCII text")))
}

/// `X-Nexus-Prefetch: s3://BUCKET/KEY, …`, keys percent-encoded where they hold a comma or more than ASCII.
fn objects(headers: &HeaderMap) -> Result<Vec<Object>, InvokeError> {
    let Some(list) = text(headers, "x-nexus-prefetch")? else {
        return Ok(Vec::new());
    };
    let wrong = |one: &str| {
        InvokeError::Parameter(format!("x-nexus-prefetch: {one:?} is not s3://BUCKET/KEY"))
    };
    let object = |one: &str| {
        let (bucket, key) = one.strip_prefix("s3://")?.split_once('/')?;
        let key = percent_decode_str(key).decode_utf8().ok()?;
        let empty = bucket.is_empty() || key.is_empty();
        (!empty).then(|| Object {
            bucket: bucket.to_owned(),
            key: key.into_owned(),
            range: None,
        })
    };
    let list = list.split(',').map(str::trim).filter(|one| !one.is_empty());
    list.map(|one| object(one).ok_or_else(|| wrong(one)))
        .collect()
}

fn client_context(encoded: &str) -> Result<String, InvokeError> {
    let wrong = || {
        InvokeError::Content("Client context must be a valid Base64-encoded JSON object.".into())
    };
    if encoded.len() > CLIENT_CONTEXT_MAX {
        return Err(InvokeError::Parameter(format!(
            "the client context is longer than {CLIENT_CONTEXT_MAX} bytes"
        )));
    }
    let decoded = STANDARD.decode(encoded).map_err(|_| wrong())?;
    let json: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&decoded).map_err(|_| wrong())?;
    // Written anew, on one line: it becomes a header of the runtime API.
    serde_json::to_string(&json).map_err(|_| wrong())
}

/// The function that a path names, if it is one of the Invoke operation.
pub fn function_of(path: &str) -> Option<Result<String, InvokeError>> {
    let name = path
        .strip_prefix("/2015-03-31/functions/")?
        .strip_suffix("/invocations")?;
    if name.is_empty() || name.contains('/') {
        return None;
    }
    Some(decode(name))
}

/// The qualifier that a query names.
pub fn qualifier_of(query: Option<&str>) -> Result<Option<String>, InvokeError> {
    let pairs = query.unwrap_or_default().split('&');
    pairs
        .filter_map(|pair| pair.strip_prefix("Qualifier="))
        .next_back()
        .map(decode)
        .transpose()
}

fn decode(text: &str) -> Result<String, InvokeError> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(Into::into)
        .map_err(|_| InvokeError::Parameter(format!("{text:?} is not UTF-8")))
}

/// Checks that an event is JSON. No event at all stands for an empty object.
pub fn event(body: bytes::Bytes) -> Result<bytes::Bytes, InvokeError> {
    if body.is_empty() {
        return Ok(bytes::Bytes::from_static(b"{}"));
    }
    match serde_json::from_slice::<IgnoredAny>(&body) {
        Ok(_) => Ok(body),
        Err(error) => Err(InvokeError::Content(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::{InvocationType, Options, event, function_of, qualifier_of};

    fn options(pairs: &[(&'static str, &str)]) -> Result<Options, String> {
        let headers = pairs.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).expect("a header value"),
            )
        });
        Options::from_headers(&headers.collect::<HeaderMap>())
            .map_err(|error| error.code().to_owned())
    }

    #[test]
    fn headers_of_the_sdks() {
        let plain = options(&[]).expect("valid");
        assert_eq!(plain.invocation_type, InvocationType::RequestResponse);
        assert!(!plain.log_tail);
        let full = options(&[
            ("x-amz-invocation-type", "Event"),
            ("x-amz-log-type", "Tail"),
            ("x-amz-client-context", "eyJjdXN0b20iOiB7ImEiOiAxfX0="),
        ])
        .expect("valid");
        assert_eq!(full.invocation_type, InvocationType::Event);
        assert!(full.log_tail);
        assert_eq!(
            full.client_context.as_deref(),
            Some(r#"{"custom":{"a":1}}"#)
        );
    }

    #[test]
    fn headers_that_make_no_sense() {
        let parameter = Err("InvalidParameterValueException".to_owned());
        let content = Err("InvalidRequestContentException".to_owned());
        assert_eq!(options(&[("x-amz-invocation-type", "Later")]), parameter);
        assert_eq!(options(&[("x-amz-log-type", "Head")]), parameter);
        assert_eq!(options(&[("x-amz-client-context", "{}")]), content);
        assert_eq!(
            options(&[("x-amz-client-context", "WzFd")]),
            content,
            "a list"
        );
        assert_eq!(
            options(&[("x-amz-client-context", &"e".repeat(4000))]),
            parameter
        );
    }

    #[test]
    fn objects_to_fetch() {
        let objects = |list: &str| {
            let objects = options(&[("x-nexus-prefetch", list)])?.objects;
            let names = objects
                .into_iter()
                .map(|object| (object.bucket, object.key));
            Ok::<_, String>(names.collect::<Vec<_>>())
        };
        let named = |bucket: &str, key: &str| (bucket.to_owned(), key.to_owned());
        assert_eq!(objects(""), Ok(Vec::new()));
        assert_eq!(
            objects("s3://b/a/b , s3://c/%C3%BC%2C,"),
            Ok(vec![named("b", "a/b"), named("c", "ü,")])
        );
        for wrong in [
            "b/k",
            "https://b/k",
            "s3://b",
            "s3://b/",
            "s3:///k",
            "s3://b/%ff",
        ] {
            let parameter = Err("InvalidParameterValueException".to_owned());
            assert_eq!(objects(wrong), parameter, "{wrong}");
        }
    }

    #[test]
    fn paths() {
        let name = |path| function_of(path).map(|name| name.expect("UTF-8"));
        assert_eq!(
            name("/2015-03-31/functions/f/invocations").as_deref(),
            Some("f")
        );
        let arn = "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af/invocations";
        assert_eq!(
            name(arn).as_deref(),
            Some("arn:aws:lambda:us-east-1:123456789012:function:f")
        );
        assert_eq!(name("/2015-03-31/functions//invocations"), None);
        assert_eq!(name("/2015-03-31/functions/a/b/invocations"), None);
        assert_eq!(name("/2015-03-31/functions/f"), None);
        assert!(
            function_of("/2015-03-31/functions/%ff/invocations")
                .expect("this operation")
                .is_err()
        );
        assert_eq!(
            qualifier_of(Some("Qualifier=%24LATEST"))
                .expect("UTF-8")
                .as_deref(),
            Some("$LATEST")
        );
        assert_eq!(qualifier_of(None).expect("none"), None);
    }

    #[test]
    fn events_are_json() {
        assert_eq!(event("".into()).expect("an empty event"), "{}");
        assert_eq!(event("[1, 2]".into()).expect("JSON"), "[1, 2]");
        for wrong in ["{", "{\"a\":1} x", "nul", "\u{feff}{}"] {
            assert_eq!(
                event(wrong.into()).expect_err("no JSON").code(),
                "InvalidRequestContentException"
            );
        }
    }

    proptest! {
        #[test]
        fn nothing_a_client_sends_panics(path in ".{0,60}", query in ".{0,40}", body in proptest::collection::vec(any::<u8>(), 0..60)) {
            let named = function_of(&format!("/2015-03-31/functions/{path}/invocations"));
            prop_assert!(path.contains('/') || path.is_empty() || named.is_some());
            prop_assert!(qualifier_of(Some(&query)).is_ok() || query.contains('%'));
            prop_assert_eq!(event(body.clone().into()).is_ok(), body.is_empty() || serde_json::from_slice::<serde_json::Value>(&body).is_ok());
        }
    }
}
