// SPDX-License-Identifier: Apache-2.0
//! From a request that was judged to the service's answer: signed, sent, and sent again where only the gateway can know that it
//! has to be.
//!
//! That is so if the signature, which is the gateway's, was for another region, time or key than the service's; and if the
//! connection, which is the gateway's as well, had been kept and turns out to be closed. Each of these is done once. All else
//! that a second attempt may help against is the caller's matter: its SDK counts attempts, and the gateway does not multiply them.

use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::Credentials;
use bytes::Bytes;
use http::header::{HOST, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::Authority;
use http::{Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::Body as _;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::complaint::{Answered, Complaint};
use super::refusal::Refusal;
use super::s3::S3;
use super::sign::{Regions, SignedFor};
use super::upstream::{Body, Endpoint, Unanswered, Upstream, full};
use super::{regions, services};

/// Bodies up to this length are read before they are sent, so that they can be sent again, in bytes.
const HERE_MAX: u64 = 256 * 1024;

/// A request that is complete but for its signature.
#[derive(Debug)]
pub(super) struct Unsigned {
    pub(super) head: Head,
    pub(super) body: Sendable,
}

/// All of it but the body.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) parts: Parts,
    pub(super) scope: Scope,
}

/// What a request is signed for.
#[derive(Debug, Clone)]
pub(super) enum Scope {
    /// S3, in a region, and the bucket that the request is about.
    S3 {
        region: String,
        bucket: Option<String>,
    },
    /// S3 by a multi-region access point, wherever that leads.
    AccessPoint(SignedFor),
    /// Another service.
    Service(SignedFor),
}

impl Scope {
    /// Where the signature is to be good.
    pub(super) fn regions(&self) -> Regions<'_> {
        match self {
            Self::S3 { region, .. } => Regions::One(region),
            Self::AccessPoint(signed_for) | Self::Service(signed_for) => signed_for.regions(),
        }
    }
}

/// A request's body.
#[derive(Debug)]
pub(super) enum Sendable {
    /// It is here, and can be sent as often as needed.
    Here(Bytes),
    /// It comes as it is sent.
    Coming(Body),
}

/// How often a request was sent again, beside its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Again(pub(super) u16);

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// It cannot be asked, or what it says is not for the guest.
    Refused(Refusal),
    Unanswered(Unanswered),
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Why a request is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Region,
    Clock,
    Key,
    Connection,
}

/// Within what time a kept connection is found to have ended.
const SHOWS_WITHIN: Duration = Duration::from_secs(2);

/// The reasons to send again that there have been, each of which counts once.
#[derive(Debug, Default)]
struct Past {
    reasons: Vec<Reason>,
    times: u16,
}

impl Sendable {
    /// A body as it comes, or read, if it is small and there is room for it (in KiB).
    pub(super) async fn of(
        body: Body,
        room: &Semaphore,
    ) -> Result<(Self, Option<SemaphorePermit<'_>>), Refusal> {
        let length = body
            .size_hint()
            .exact()
            .filter(|length| *length <= HERE_MAX);
        let kibibytes = length.and_then(|length| u32::try_from(length / 1024 + 1).ok());
        let Some(taken) = kibibytes.and_then(|kibibytes| room.try_acquire_many(kibibytes).ok())
        else {
            return Ok((Self::Coming(body), None));
        };
        Ok((Self::Here(services::whole(body).await?), Some(taken)))
    }

    /// The body for one attempt; whether there can be another one.
    fn take(&mut self) -> (Body, bool) {
        match self {
            Self::Here(bytes) => (full(bytes.clone()), true),
            Self::Coming(body) => (std::mem::replace(body, full(Bytes::new())), false),
        }
    }
}

impl Upstream {
    /// Signs a request, sends it, and answers with what the service says.
    pub(super) async fn exchange(&self, unsigned: Unsigned) -> Result<Response<Body>, Failed> {
        let Unsigned { mut head, mut body } = unsigned;
        self.place(&mut head)?;
        if matches!(body, Sendable::Coming(_)) {
            self.look_first(&mut head).await?;
        }
        let mut past = Past::default();
        let mut credentials = self.key().await?;
        loop {
            let time = self.time_at(&head.parts);
            let parts = self.signed(&head, &body, &credentials, time)?;
            let (sent, may_again) = body.take();
            let begun = Instant::now();
            let answer = self.send(Request::from_parts(parts, sent), &head.scope);
            let answer = match answer.await {
                Ok(answer) => answer,
                Err(lost) if may_again && past.may_repeat(&lost, &head.parts, begun) => continue,
                Err(lost) => return Err(Failed::Unanswered(lost)),
            };
            let complaint = match Complaint::read(answer).await? {
                Answered::Other(answer) => return Ok(past.finish(answer)),
                Answered::Complaint(complaint) => complaint,
            };
            let used = credentials.clone();
            let corrected =
                self.correct(&mut head, &mut credentials, (time, &complaint), &mut past);
            if !corrected.await || !may_again {
                return Ok(past.finish(complaint.shown(&used)?));
            }
            past.times += 1;
        }
    }

    /// Changes what a service's complaint is about; whether anything is other than it was.
    async fn correct(
        &self,
        head: &mut Head,
        credentials: &mut Credentials,
        (signed, complaint): (SystemTime, &Complaint),
        past: &mut Past,
    ) -> bool {
        let mut reasons = Vec::new();
        if self.clocks.follow(host(&head.parts), signed, complaint) {
            reasons.push(Reason::Clock);
        }
        if !past.reasons.contains(&Reason::Region)
            && self.move_to(head, credentials, complaint).await
        {
            reasons.push(Reason::Region);
        }
        // Signed at a wrong time, a good key's signature is a wrong one.
        if !reasons.contains(&Reason::Clock)
            && !past.reasons.contains(&Reason::Key)
            && let Some(other) = self.renewed(credentials, complaint).await
        {
            *credentials = other;
            reasons.push(Reason::Key);
        }
        reasons.retain(|reason| !past.reasons.contains(reason));
        past.reasons.extend(&reasons);
        !reasons.is_empty()
    }

    /// The head as it is sent, with a signature.
    fn signed(
        &self,
        head: &Head,
        body: &Sendable,
        credentials: &Credentials,
        time: SystemTime,
    ) -> Result<Parts, Refusal> {
        let mut parts = head.parts.clone();
        match (&head.scope, body) {
            (Scope::S3 { .. } | Scope::AccessPoint(_), _) => {
                self.signer
                    .sign_s3(&mut parts, credentials, head.scope.regions(), time)?;
            }
            (Scope::Service(signed_for), Sendable::Here(body)) => {
                self.signer
                    .sign_service(&mut parts, credentials, signed_for, body, time)?;
            }
            (Scope::Service(_), Sendable::Coming(_)) => {
                let message = "A request to this service is signed with its whole body.";
                return Err(Refusal::not_implemented(message));
            }
        }
        Ok(parts)
    }

    /// The key to sign with.
    pub(super) async fn key(&self) -> Result<Credentials, Refusal> {
        self.credentials.get().await.map_err(|reason| {
            tracing::error!(%reason, "no credentials to sign with");
            let message = match &self.role {
                None => "The host has no credentials for the store: see the log of nexusd.".into(),
                Some(role) => format!("The host cannot assume {role}: see the log of nexusd."),
            };
            Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "ServiceUnavailable",
                message,
            )
        })
    }

    /// The time at the host that a request goes to.
    pub(super) fn time_at(&self, parts: &Parts) -> SystemTime {
        self.clocks.at(host(parts))
    }

    /// Has a request go to where its bucket is, as far as that is known, and be signed for there.
    pub(super) fn place(&self, head: &mut Head) -> Result<(), Refusal> {
        let Scope::S3 { region, bucket } = &mut head.scope else {
            return Ok(());
        };
        if let Some(known) = bucket.as_ref().and_then(|bucket| self.regions.of(bucket)) {
            *region = known;
        } else if let Some(own) = self.own_region(region) {
            *region = own;
        }
        let amazon = self.amazon.as_ref();
        if let Some(endpoint) = amazon.and_then(|amazon| amazon.endpoint(region)) {
            direct(&mut head.parts, &endpoint)?;
        }
        match (&self.site, bucket) {
            (Some(site), Some(bucket)) if site.virtual_hosts => {
                let own = self.endpoints.get(S3);
                into_host(&mut head.parts, bucket, own.map(|own| &own.authority))
            }
            _ => Ok(()),
        }
    }

    /// Asks where a bucket is before a body is sent there that cannot be sent twice. Stores that are not Amazon's are in one place.
    async fn look_first(&self, head: &mut Head) -> Result<(), Failed> {
        let Scope::S3 {
            region,
            bucket: Some(bucket),
        } = &head.scope
        else {
            return Ok(());
        };
        if self.amazon.is_none() || self.regions.of(bucket).is_some() {
            return Ok(());
        }
        let credentials = self.key().await?;
        let (bucket, told) = (
            bucket.clone(),
            self.head(head, bucket, region, &credentials).await,
        );
        if let Some(told) = told {
            self.regions.learn(&bucket, &told);
            self.place(head)?;
        }
        Ok(())
    }

    /// Learns from a complaint where a bucket is; whether the request is now for another place.
    async fn move_to(&self, head: &mut Head, key: &Credentials, complaint: &Complaint) -> bool {
        let Scope::S3 {
            region,
            bucket: Some(bucket),
        } = &head.scope
        else {
            return false;
        };
        let about_bucket = head.parts.uri.path().trim_matches('/') == bucket;
        let making =
            about_bucket && head.parts.method == Method::PUT && head.parts.uri.query().is_none();
        if !regions::is_elsewhere(complaint, making) {
            return false;
        }
        let told = match regions::told(complaint) {
            Some(told) => Some(told),
            None => self.head(head, bucket, region, key).await,
        };
        let Some(told) = told.filter(|told| told != region && self.may_be_in(told)) else {
            return false;
        };
        tracing::info!(
            bucket,
            was = region,
            region = told,
            "a bucket is in another region"
        );
        self.regions.learn(bucket, &told);
        self.place(head).is_ok()
    }

    /// Asks where a bucket is (HeadBucket, which says so even when it refuses).
    async fn head(
        &self,
        head: &Head,
        bucket: &str,
        region: &str,
        key: &Credentials,
    ) -> Option<String> {
        let (scheme, authority) = (head.parts.uri.scheme()?, head.parts.uri.authority()?);
        let in_host = self.site.as_ref().is_some_and(|site| site.virtual_hosts);
        let path = format!("/{bucket}");
        let uri = Uri::builder()
            .scheme(scheme.clone())
            .authority(authority.clone())
            .path_and_query(if in_host { "/" } else { &path });
        let request = Request::head(uri.build().ok()?).header(HOST, authority.as_str());
        let (mut parts, body) = request.body(full(Bytes::new())).ok()?.into_parts();
        let time = self.clocks.at(authority.as_str());
        self.signer.sign_s3(&mut parts, key, region, time).ok()?;
        let answer = self
            .send(Request::from_parts(parts, body), &head.scope)
            .await;
        let told = regions::of_head(answer.ok()?.headers());
        told.filter(|told| self.may_be_in(told))
    }

    /// Another key, if a complaint says that this one is over, none, or not the one that signed, and there is one.
    async fn renewed(&self, used: &Credentials, complaint: &Complaint) -> Option<Credentials> {
        if !complaint.is_about_key() {
            return None;
        }
        self.credentials.replace(used).await
    }
}

/// Whether a write done twice is answered otherwise the second time.
fn is_conditional(parts: &Parts) -> bool {
    let mut names = parts.headers.keys().map(HeaderName::as_str);
    names.any(|name| name.starts_with("if-") || name == "x-amz-write-offset-bytes")
}

impl Past {
    /// Whether a request that got no answer, and was sent at `begun`, is to be sent again.
    fn may_repeat(&mut self, lost: &Unanswered, parts: &Parts, begun: Instant) -> bool {
        // POST may have been done. A connection that had never answered tells of the service, and that is for the caller to know.
        let known = self.reasons.contains(&Reason::Connection);
        if !lost.kept || !parts.method.is_idempotent() || known {
            return false;
        }
        // One that had ended meanwhile shows at once. Later the service may have done it, and its caller may have gone on.
        if begun.elapsed() > SHOWS_WITHIN || (!parts.method.is_safe() && is_conditional(parts)) {
            return false;
        }
        self.reasons.push(Reason::Connection);
        self.times += 1;
        true
    }

    fn finish(&self, mut answer: Response<Body>) -> Response<Body> {
        answer.extensions_mut().insert(Again(self.times));
        // A version is between two neighbours, too.
        *answer.version_mut() = Version::HTTP_11;
        super::remove_hop_by_hop(answer.headers_mut());
        answer
    }
}

fn host(parts: &Parts) -> &str {
    parts
        .uri
        .authority()
        .map_or("", |authority| authority.as_str())
}

/// Has a request go to an endpoint.
fn direct(parts: &mut Parts, endpoint: &Endpoint) -> Result<(), Refusal> {
    let target = parts
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    parts.uri = super::uri(endpoint, target)?;
    let invalid = |error: http::header::InvalidHeaderValue| {
        Refusal::bad_request("InvalidURI", error.to_string())
    };
    let host = HeaderValue::from_str(endpoint.authority.as_str()).map_err(invalid)?;
    parts.headers.insert(HOST, host);
    Ok(())
}

/// Takes a bucket from the path into the host's name, if that is still the store's `own`.
fn into_host(parts: &mut Parts, bucket: &str, own: Option<&Authority>) -> Result<(), Refusal> {
    let (Some(scheme), Some(authority)) = (parts.uri.scheme(), parts.uri.authority()) else {
        return Ok(());
    };
    let target = parts
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let rest = target
        .strip_prefix('/')
        .and_then(|target| target.strip_prefix(bucket));
    let name = format!("{bucket}.{authority}");
    let invalid =
        |error: http::uri::InvalidUri| Refusal::bad_request("InvalidURI", error.to_string());
    let (Some(rest), true) = (rest, own == Some(authority)) else {
        return Ok(());
    };
    let target = format!("/{}", rest.trim_start_matches('/'));
    let endpoint = Endpoint {
        scheme: scheme.clone(),
        authority: name.parse().map_err(invalid)?,
    };
    parts.uri = super::uri(&endpoint, &target)?;
    direct(parts, &endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_moves_into_the_hosts_name_once() {
        let own = Authority::from_static("b.store:9000");
        for (path, expected) in [
            (
                "/b/k%20x?versionId=1",
                "http://b.b.store:9000/k%20x?versionId=1",
            ),
            ("/b", "http://b.b.store:9000/"),
            ("/b?list-type=2", "http://b.b.store:9000/?list-type=2"),
            ("/b/b/k", "http://b.b.store:9000/b/k"),
        ] {
            let request = Request::get(format!("http://{own}{path}")).body(());
            let (mut parts, ()) = request.expect("a request").into_parts();
            for _ in 0..2 {
                into_host(&mut parts, "b", Some(&own)).expect("a URI");
                assert_eq!(parts.uri.to_string(), expected);
                assert_eq!(parts.headers[HOST], "b.b.store:9000");
            }
        }
    }
}
