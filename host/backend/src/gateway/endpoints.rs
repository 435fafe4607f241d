// SPDX-License-Identifier: Apache-2.0
//! Where services other than S3 are, as long as nobody configures it.

use http::uri::{Authority, Scheme};

use super::refusal::Refusal;
use super::regions::are_kin;
use super::sign::SignedFor;
use super::upstream::{Endpoint, Upstream};
use crate::service::hosts::is_region;

/// Host names by signing name, where they are not the same (AWS General Reference, "Service endpoints").
const HOSTS: [(&str, &str); 2] = [("bedrock", "bedrock-runtime"), ("ses", "email")];

impl Upstream {
    /// Where a request to a service goes: to the endpoint that is configured for it, or else to AWS's own.
    pub(super) fn endpoint_of(
        &self,
        signed_for: &SignedFor,
        body: &[u8],
    ) -> Result<Endpoint, Refusal> {
        match self.endpoints.get(&signed_for.service) {
            Some(endpoint) => Ok(endpoint.clone()),
            None => of(signed_for, &self.region, body),
        }
    }
}

/// AWS's own endpoint for a request.
fn of(signed_for: &SignedFor, own: &str, body: &[u8]) -> Result<Endpoint, Refusal> {
    if signed_for.is_set {
        return global(&signed_for.service, body);
    }
    regional(&signed_for.service, &signed_for.region, own)
}

/// A service's endpoint in a region, which has to be one of the same partition as the host's.
fn regional(service: &str, region: &str, own: &str) -> Result<Endpoint, Refusal> {
    if !is_region(region) || !are_kin(region, own) {
        let message = format!("{region} is no region that this host's keys are for.");
        return Err(Refusal::access_denied(message));
    }
    let host = HOSTS
        .iter()
        .find(|(name, _)| *name == service)
        .map_or(service, |(_, host)| host);
    let china = if region.starts_with("cn-") { ".cn" } else { "" };
    let authority = Authority::try_from(format!("{host}.{region}.amazonaws.com{china}"))
        .map_err(|error| Refusal::bad_request("InvalidRequest", error.to_string()))?;
    Ok(Endpoint {
        scheme: Scheme::HTTPS,
        authority,
    })
}

/// The endpoint of a request that is signed for several regions: of EventBridge the one that it names (PutEvents, `EndpointId`).
fn global(service: &str, body: &[u8]) -> Result<Endpoint, Refusal> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct PutEvents {
        endpoint_id: Option<String>,
    }

    let named = serde_json::from_slice(body)
        .ok()
        .filter(|_| service == "events");
    let id = named.and_then(|PutEvents { endpoint_id }| endpoint_id);
    let is_label = |label: &str| {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
        (1..=63).contains(&label.len()) && label.bytes().all(allowed)
    };
    let id = id.filter(|id| matches!(id.split('.').collect::<Vec<_>>()[..], [one, two] if is_label(one) && is_label(two)));
    let authority =
        id.and_then(|id| Authority::try_from(format!("{id}.endpoint.events.amazonaws.com")).ok());
    let Some(authority) = authority else {
        let message = format!(
            "{service}: this gateway knows no endpoint for several regions, for which the request is signed."
        );
        return Err(Refusal::not_implemented(message));
    };
    Ok(Endpoint {
        scheme: Scheme::HTTPS,
        authority,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amazons_hosts() {
        let host = |service: &str, region: &str, own: &str| {
            let endpoint = regional(service, region, own).ok()?;
            Some(endpoint.authority.to_string())
        };
        let some = |name: &str| Some(name.to_owned());
        let own = "us-east-1";
        assert_eq!(
            host("dynamodb", "eu-west-1", own),
            some("dynamodb.eu-west-1.amazonaws.com")
        );
        assert_eq!(host("ses", own, own), some("email.us-east-1.amazonaws.com"));
        let china = "cn-north-1";
        assert_eq!(
            host("sqs", china, china),
            some("sqs.cn-north-1.amazonaws.com.cn")
        );
        for region in [
            china,
            "us-gov-east-1",
            "s3",
            "evil",
            "x-1",
            "eu-west-1a",
            "eu-west-",
        ] {
            assert_eq!(host("dynamodb", region, own), None, "{region}");
        }
    }

    #[test]
    fn endpoints_for_several_regions() {
        let host = |service: &str, body: &str| {
            let endpoint = global(service, body.as_bytes()).ok()?;
            Some(endpoint.authority.to_string())
        };
        assert_eq!(
            host("events", r#"{"Entries": [], "EndpointId": "abcde.veo"}"#).as_deref(),
            Some("abcde.veo.endpoint.events.amazonaws.com")
        );
        for (service, body) in [
            ("events", "{}"),
            ("events", ""),
            ("events", r#"{"EndpointId": 1}"#),
            ("events", r#"{"EndpointId": "abcde"}"#),
            ("events", r#"{"EndpointId": "a.b.c"}"#),
            ("events", r#"{"EndpointId": ".veo"}"#),
            ("events", r#"{"EndpointId": "evil.com/.veo"}"#),
            ("events", r#"{"EndpointId": "evil.com#"}"#),
            ("dynamodb", r#"{"EndpointId": "abcde.veo"}"#),
        ] {
            assert_eq!(host(service, body), None, "{service} {body}");
        }
    }
}
