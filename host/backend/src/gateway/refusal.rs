// SPDX-License-Identifier: Apache-2.0
//! Errors that the gateway itself answers, in the words of the service that was asked.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::json;

use super::audit::How;
use super::upstream::Body;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// Why a request goes no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
}

/// How a service words its errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wording {
    /// S3's XML.
    S3,
    /// XML of the query protocol: SNS, STS, old SQS.
    Query,
    /// JSON of all others.
    Json,
}

impl Wording {
    /// The wording of a service, whose request may be a form.
    pub(super) fn of(service: &str, form: bool) -> Self {
        match service {
            "s3" => Self::S3,
            _ if form => Self::Query,
            _ => Self::Json,
        }
    }
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    pub(super) fn access_denied(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "AccessDenied", message)
    }

    pub(super) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(super) fn not_implemented(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message)
    }

    /// The answer to a request for `resource`. One to HEAD has no body.
    pub(super) fn reply(
        &self,
        wording: Wording,
        resource: &str,
        request_id: &str,
        head: bool,
    ) -> Response<Body> {
        let (code, message, resource) = (self.code, escaped(&self.message), escaped(resource));
        let (content_type, text) = match wording {
            Wording::S3 => (
                "application/xml",
                format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>\
                     <Resource>{resource}</Resource><RequestId>{request_id}</RequestId></Error>"
                ),
            ),
            Wording::Query => (
                "text/xml",
                format!(
                    "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
                     <RequestId>{request_id}</RequestId></ErrorResponse>"
                ),
            ),
            Wording::Json => {
                let message = &self.message;
                let body = json!({ "__type": format!("{code}Exception"), "message": message, "Message": message });
                ("application/x-amz-json-1.1", body.to_string())
            }
        };
        let text = if head {
            Bytes::new()
        } else {
            Bytes::from(text)
        };
        let mut reply = Response::new(
            Full::new(text)
                .map_err(|never| match never {})
                .boxed_unsync(),
        );
        *reply.status_mut() = self.status;
        reply.extensions_mut().insert(How::Refused);
        let headers = reply.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Ok(id) = HeaderValue::from_str(request_id) {
            headers.insert(REQUEST_ID, id);
        }
        if wording == Wording::Json
            && let Ok(code) = HeaderValue::from_str(&format!("{code}Exception"))
        {
            headers.insert(ERROR_TYPE, code);
        }
        reply
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
