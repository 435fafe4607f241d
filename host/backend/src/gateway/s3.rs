// SPDX-License-Identifier: Apache-2.0
//! Requests to S3: each is taken apart and judged by the policy for buckets, then done or deferred.

use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Response, Uri};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;

use super::behind::Behind;
use super::deferred::{self, Judged};
use super::exchange::{Scope, Sendable};
use super::payload::Payload;
use super::refusal::Refusal;
use super::sign::SignedFor;
use super::target::{CopySource, Target};
use super::upstream::{Body, Endpoint};
use super::{Gateway, form, operation, presign};
use crate::writeback::Point;

/// The signing name of S3.
pub(super) const S3: &str = "s3";

pub(super) const COPY_SOURCE: HeaderName = HeaderName::from_static("x-amz-copy-source");

impl Gateway {
    /// Turns the guest's request into the one for the store, if the policy allows it. What is left is to sign it.
    pub(super) fn judge_s3(
        &self,
        mut parts: Parts,
        signed_for: &SignedFor,
    ) -> Result<(Judged, Payload), Refusal> {
        refuse_presigned(&parts.uri)?;
        let endpoint = self.store()?;
        let host = parts
            .headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default();
        let target = match &self.upstream.site {
            Some(site) => site.target(&parts.uri, host)?,
            None => Target::parse(&parts.uri, host)?,
        };
        let copy = copy_source(&parts.headers)?;
        for (scope, access) in operation::needs(&parts.method, &target, copy.as_ref())? {
            if !self.policy.buckets.allows(&scope, access) {
                let message = format!(
                    "The policy of the function {} does not allow {access} {scope}.",
                    self.name
                );
                return Err(Refusal::access_denied(message));
            }
        }
        operation::check_headers(&parts.headers)?;
        let payload = Payload::prepare(&mut parts.headers)?;
        let access_point = self.access_point(&target, signed_for)?;
        let (endpoint, path_and_query) = match &access_point {
            Some(own) => (own, target.within_bucket()),
            None => (endpoint, target.path_and_query()),
        };
        parts.uri = super::uri(endpoint, &path_and_query)?;
        super::prepare_headers(&mut parts.headers, endpoint, copy.as_ref())?;
        if access_point.is_some() {
            let judged = Judged {
                parts,
                scope: Scope::AccessPoint(signed_for.clone()),
                // Which bucket that is may change while it is read or written.
                object: None,
            };
            return Ok((judged, payload));
        }
        let scope = Scope::S3 {
            region: signed_for.region.clone(),
            bucket: target.bucket.clone(),
        };
        let object = match (target.bucket, target.key) {
            // `x-id` only names the operation.
            (Some(bucket), Some(key)) if target.query.iter().all(|(name, _)| name == "x-id") => {
                Some((bucket, key))
            }
            _ => None,
        };
        let judged = Judged {
            parts,
            scope,
            object,
        };
        Ok((judged, payload))
    }

    /// The endpoint of the multi-region access point that a request is for. Only these are signed for several regions.
    fn access_point(
        &self,
        target: &Target,
        signed_for: &SignedFor,
    ) -> Result<Option<Endpoint>, Refusal> {
        let alias = target.bucket.as_deref().filter(|_| target.is_access_point);
        match (alias, signed_for.is_set) {
            (None, false) => Ok(None),
            (Some(alias), true) => {
                let amazon = self.upstream.amazon.as_ref();
                let endpoint = amazon.and_then(|amazon| amazon.access_point(alias));
                let message = "The store that is configured has no multi-region access points.";
                endpoint
                    .map(Some)
                    .ok_or_else(|| Refusal::not_implemented(message))
            }
            (Some(_), false) => {
                let message = "Requests to multi-region access points must be signed with AWS4-ECDSA-P256-SHA256.";
                Err(Refusal::bad_request("InvalidRequest", message))
            }
            (None, true) => {
                let message = "AWS4-ECDSA-P256-SHA256 is for multi-region access points.";
                Err(Refusal::bad_request("InvalidRequest", message))
            }
        }
    }

    /// Does what was judged, or promises it. `point` is when the guest asked.
    pub(super) async fn do_s3(
        self: &Arc<Self>,
        mut judged: Judged,
        point: Point,
        body: Body,
    ) -> Result<Response<Body>, Refusal> {
        let Parts {
            method, headers, ..
        } = &mut judged.parts;
        if let Some(validity) = form::validity(method, headers)? {
            return self.form(judged, validity, body).await;
        }
        if let Some(wanted) = presign::Wanted::take(headers)? {
            return self.presign(judged, wanted).await;
        }
        if let Some(response) = self.prefetched(&judged).await {
            return Ok(response);
        }
        let may_defer = deferred::is_allowed(&mut judged.parts.headers)?;
        if may_defer && let Some(room) = self.room_for(&judged, body.size_hint().exact()) {
            return self.write(judged, room, body).await;
        }
        // What is yet to come of the body may follow from a write that the guest is told of meanwhile.
        let body = Behind::new(body, Arc::clone(&self.writeback)).boxed_unsync();
        let (body, _room) = Sendable::of(body, &self.bodies).await?;
        self.pass_on(judged, point, body).await
    }

    /// Sends a request to the store when all that came before it is durable.
    pub(super) async fn pass_on(
        &self,
        judged: Judged,
        point: Point,
        body: Sendable,
    ) -> Result<Response<Body>, Refusal> {
        self.settled(point).await?;
        self.forward(judged.unsigned(body)).await
    }

    /// Where S3 is.
    fn store(&self) -> Result<&Endpoint, Refusal> {
        self.upstream.endpoints.get(S3).ok_or_else(|| {
            let message = "No endpoint is configured for s3: name one in the gateway's endpoints of nexusd's configuration.";
            Refusal::access_denied(message)
        })
    }
}

/// Refuses signed URLs. The gateway answers what a function asks for itself: whoever makes it fetch a URL of his choice has no part in that
/// (`SignedFor::parse`).
pub(super) fn refuse_presigned(uri: &Uri) -> Result<(), Refusal> {
    let presigned = |part: &str| {
        ["X-Amz-Signature=", "X-Amz-Algorithm=", "Signature="]
            .iter()
            .any(|p| part.starts_with(p))
    };
    if uri
        .query()
        .is_some_and(|query| query.split('&').any(presigned))
    {
        return Err(Refusal::not_implemented(
            "The gateway answers no signed URLs. For one that others have signed, have the function's policy name its host (--endpoint HOST:443). One that the function signed itself is signed with a placeholder, which no store knows: have the gateway sign it (X-Nexus-Presign).",
        ));
    }
    Ok(())
}

fn copy_source(headers: &HeaderMap<HeaderValue>) -> Result<Option<CopySource>, Refusal> {
    let mut values = headers.get_all(COPY_SOURCE).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            CopySource::parse(&String::from_utf8_lossy(value.as_bytes())).map(Some)
        }
        _ => Err(Refusal::bad_request(
            "InvalidArgument",
            "x-amz-copy-source is given twice.",
        )),
    }
}
