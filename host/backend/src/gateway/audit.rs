// SPDX-License-Identifier: Apache-2.0
//! A record of each call that a function makes: what of, and what came of it. Never a header's value or a byte of a body.

use std::fmt;
use std::sync::Arc;

use http::response::Parts;
use http::{Extensions, HeaderMap, Response, StatusCode};
use serde::Serialize;

use super::Gateway;
use super::deferred::Judged;
use super::s3::S3;

/// What was done for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// The service answered it.
    Done,
    /// It was answered before it was done. Another entry says what became of it.
    Deferred,
    /// The service said that what had been fetched before is still the same, or was not asked.
    Prefetched,
    /// It was made before the function asked, so that what it reads is here when it does.
    Fetched,
    /// A URL was signed for it.
    Presigned,
    /// No service answered it: it was refused, or none could be reached.
    Refused,
}

/// A call of a function.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// The function's name.
    pub function: String,
    /// The store's name, of one that the function named by its URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// The role in which it was made, if not by the host's own key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The service's signing name; empty if the call does not say.
    pub service: String,
    /// HTTP's method.
    pub method: String,
    /// The path, which names bucket and key of S3's.
    pub resource: String,
    /// The action, of services other than S3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// What was done.
    pub how: How,
    /// HTTP's status; 0 if there was no answer.
    pub status: u16,
    /// The service's id of the request, or the gateway's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Keeps entries.
pub trait Audit: Send + Sync + fmt::Debug {
    /// Takes in an entry. Must not wait.
    fn record(&self, entry: Entry);
}

/// The action that a request was judged to be, beside its answer.
#[derive(Debug, Clone)]
pub(super) struct Action(pub(super) String);

/// What is known of a call before its answer.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    service: String,
    method: String,
    resource: String,
}

impl Gateway {
    /// What is known of a call for the path `resource`, if anybody keeps a record of it.
    pub(super) fn asked(&self, method: &str, resource: &str, service: &str) -> Option<Asked> {
        self.upstream.audit.as_ref().map(|_| Asked {
            service: service.to_owned(),
            method: method.to_owned(),
            resource: resource.to_owned(),
        })
    }

    /// Writes down a call with its answer.
    pub(super) fn audit<B>(&self, asked: Option<Asked>, answer: &Response<B>) {
        let (status, headers) = (answer.status(), answer.headers());
        self.audit_parts(asked, status, headers, answer.extensions());
    }

    fn audit_parts(
        &self,
        asked: Option<Asked>,
        status: StatusCode,
        headers: &HeaderMap,
        said: &Extensions,
    ) {
        let Some(asked) = asked else {
            return;
        };
        self.write_down(Entry {
            action: said.get::<Action>().map(|action| action.0.clone()),
            how: said.get::<How>().copied().unwrap_or(How::Done),
            status: status.as_u16(),
            request_id: request_id(headers),
            ..self.unanswered(asked)
        });
    }

    /// The entry of a call that no service has answered.
    fn unanswered(&self, asked: Asked) -> Entry {
        Entry {
            function: self.name.clone(),
            store: self.upstream.site.as_ref().map(|site| site.name.clone()),
            role: self.upstream.role.as_ref().map(ToString::to_string),
            service: asked.service,
            method: asked.method,
            resource: asked.resource,
            action: None,
            how: How::Refused,
            status: 0,
            request_id: None,
        }
    }

    fn write_down(&self, entry: Entry) {
        if let Some(audit) = &self.upstream.audit {
            audit.record(entry);
        }
    }
}

/// A call that nobody waits for, which is written down in any case: as one that no service answered, if nothing else is said of it.
pub(super) struct Record {
    gateway: Arc<Gateway>,
    asked: Option<Asked>,
}

impl Record {
    /// For a call to S3 that is about to be made.
    pub(super) fn of(gateway: &Arc<Gateway>, judged: &Judged) -> Self {
        let Judged { parts, .. } = judged;
        Self {
            asked: gateway.asked(parts.method.as_str(), parts.uri.path(), S3),
            gateway: Arc::clone(gateway),
        }
    }

    /// It was answered.
    pub(super) fn answered(
        mut self,
        Parts {
            status,
            headers,
            extensions,
            ..
        }: &Parts,
    ) {
        let asked = self.asked.take();
        self.gateway
            .audit_parts(asked, *status, headers, extensions);
    }

    /// Another record is kept of it from now on.
    pub(super) fn begun(mut self) {
        self.asked = None;
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Some(asked) = self.asked.take() {
            self.gateway.write_down(self.gateway.unanswered(asked));
        }
    }
}

/// The id that a service gives a request.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = ["x-amz-request-id", "x-amzn-requestid"]
        .iter()
        .find_map(|name| headers.get(*name))?;
    id.to_str().ok().map(str::to_owned)
}
