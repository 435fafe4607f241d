// SPDX-License-Identifier: Apache-2.0
//! Roles of IAM that functions have. What a function with one asks of a service is signed with a key that STS gives for the role, in
//! place of the host's own (AWS STS API Reference, `AssumeRole`).

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{Request, StatusCode};
use percent_encoding::utf8_percent_encode;
use serde::{Deserialize, Serialize};

use super::complaint;
use super::exchange::{Failed, Head, Scope, Sendable, Unsigned};
use super::keeping::KeptCredentials;
use super::services;
use super::sign::SignedFor;
use super::target::QUERY;
use super::upstream::Upstream;

const STS: &str = "sts";

/// How long a role's key is good: what each role allows, and the most for a host that is in a role itself.
const GOOD_FOR: Duration = Duration::from_secs(60 * 60);

/// Longest answer of STS, in bytes. Real ones have a few kilobytes.
const ANSWER_MAX: usize = 64 * 1024;

/// Longest ARN of a role, and longest name of a session, in characters (AWS STS API Reference, `AssumeRole`).
const ARN_MAX: usize = 2048;
const SESSION_MAX: usize = 64;

/// The ARN of a role, `arn:PARTITION:iam::ACCOUNT:role/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoleArn(String);

/// A text is no ARN of a role.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not the ARN of a role, which has the form arn:aws:iam::123456789012:role/NAME")]
pub struct RoleArnError(String);

impl FromStr for RoleArn {
    type Err = RoleArnError;

    fn from_str(text: &str) -> Result<Self, RoleArnError> {
        let is_role = |[arn, partition, service, region, account, resource]: [&str; 6]| {
            let name = resource.strip_prefix("role/").unwrap_or_default();
            let allowed = |c: u8| c.is_ascii_alphanumeric() || b"_+=,.@/-".contains(&c);
            (arn, service, region) == ("arn", "iam", "")
                && partition.starts_with("aws")
                && account.len() == 12
                && account.bytes().all(|c| c.is_ascii_digit())
                && !name.is_empty()
                && name.bytes().all(allowed)
        };
        let fields: Vec<&str> = text.split(':').collect();
        match <[&str; 6]>::try_from(fields) {
            Ok(fields) if text.len() <= ARN_MAX && is_role(fields) => Ok(Self(text.to_owned())),
            _ => Err(RoleArnError(text.to_owned())),
        }
    }
}

impl TryFrom<String> for RoleArn {
    type Error = RoleArnError;

    fn try_from(text: String) -> Result<Self, RoleArnError> {
        text.parse()
    }
}

impl From<RoleArn> for String {
    fn from(role: RoleArn) -> Self {
        role.0
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The ways to the services in roles, each with a key of its own, by role and session.
#[derive(Debug, Default)]
pub(super) struct Acting(Mutex<HashMap<(RoleArn, String), Arc<Upstream>>>);

impl Upstream {
    /// The way to the same services in a role, for the function `name`. It is kept, with its key: who deploys functions bounds how many
    /// there are.
    pub(super) fn acting_as(&self, role: &RoleArn, name: &str) -> Arc<Self> {
        let session = session(name);
        let mut acting = self.acting.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = acting.entry((role.clone(), session.clone()));
        let way = known.or_insert_with(|| {
            let assumed = AssumedRole {
                host: self.signing_with(self.credentials.clone(), None),
                role: role.clone(),
                session,
            };
            let key = KeptCredentials::new(SharedCredentialsProvider::new(assumed));
            Arc::new(self.signing_with(key, Some(role.clone())))
        });
        Arc::clone(way)
    }
}

/// What a function's sessions are called in the account's own records.
fn session(name: &str) -> String {
    let whole = format!("nexus-{name}");
    whole.chars().take(SESSION_MAX).collect()
}

/// Keys for a role.
#[derive(Debug)]
struct AssumedRole {
    /// The way to STS with the host's own key.
    host: Upstream,
    role: RoleArn,
    session: String,
}

/// Why STS gives no key.
#[derive(Debug, thiserror::Error)]
#[error("{role} cannot be assumed: {reason}")]
struct NotAssumed {
    role: RoleArn,
    reason: String,
}

impl ProvideCredentials for AssumedRole {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            self.assume().await.map_err(|reason| {
                let role = self.role.clone();
                CredentialsError::provider_error(NotAssumed { role, reason })
            })
        })
    }
}

impl AssumedRole {
    async fn assume(&self) -> Result<Credentials, String> {
        // By this host's clock, and so that it ends too early rather than too late.
        let end = SystemTime::now() + GOOD_FOR;
        let unsigned = self.question()?;
        let answer = self.host.exchange(unsigned).await;
        let answer = answer.map_err(|failed| match failed {
            Failed::Refused(refusal) => refusal.message,
            Failed::Unanswered(lost) => format!("STS does not answer: {}", lost.cause()),
        })?;
        let (parts, body) = answer.into_parts();
        let body = services::whole_within(body, ANSWER_MAX).await;
        let body = body.map_err(|refusal| refusal.message)?;
        let text = String::from_utf8_lossy(&body);
        let element = |name| complaint::element(&text, name).filter(|value| !value.is_empty());
        if parts.status != StatusCode::OK {
            let said = ["Code", "Message"].map(|name| element(name).unwrap_or_default());
            return Err(format!("STS answers {}: {}", parts.status, said.join(": ")));
        }
        // Never the text itself: it is the key.
        let need = |name| element(name).ok_or_else(|| format!("STS answers without {name}"));
        Ok(Credentials::new(
            need("AccessKeyId")?,
            need("SecretAccessKey")?,
            Some(need("SessionToken")?),
            Some(end),
            "role",
        ))
    }

    /// The request for a key.
    fn question(&self) -> Result<Unsigned, String> {
        let region = &self.host.region;
        let signed_for = SignedFor::new(region, STS);
        let signed_for = signed_for.ok_or_else(|| format!("{region:?} is no region"))?;
        let endpoint = self.host.endpoint_of(&signed_for, &[]);
        let endpoint = endpoint.map_err(|refusal| refusal.message)?;
        let encoded = |text: &str| utf8_percent_encode(text, QUERY).to_string();
        let form = format!(
            "Action=AssumeRole&Version=2011-06-15&RoleArn={}&RoleSessionName={}&DurationSeconds={}",
            encoded(&self.role.0),
            encoded(&self.session),
            GOOD_FOR.as_secs()
        );
        let request = Request::post(super::uri(&endpoint, "/").map_err(|refusal| refusal.message)?)
            .header(HOST, endpoint.authority.as_str())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(CONTENT_LENGTH, form.len());
        let (parts, ()) = request
            .body(())
            .map_err(|error| error.to_string())?
            .into_parts();
        Ok(Unsigned {
            head: Head {
                parts,
                scope: Scope::Service(signed_for),
            },
            body: Sendable::Here(Bytes::from(form)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns() {
        for good in [
            "arn:aws:iam::123456789012:role/thumbnailer",
            "arn:aws:iam::123456789012:role/service-role/a_b+c=d,e.f@g-h",
            "arn:aws-cn:iam::123456789012:role/x",
        ] {
            assert_eq!(good.parse::<RoleArn>().unwrap().to_string(), good);
        }
        let long = format!("arn:aws:iam::123456789012:role/{}", "a".repeat(ARN_MAX));
        for bad in [
            "",
            "thumbnailer",
            "arn:aws:iam::123456789012:user/me",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::12345678901:role/x",
            "arn:aws:iam:us-east-1:123456789012:role/x",
            "arn:aws:sts::123456789012:role/x",
            "arn:aws:iam::123456789012:role/x:y",
            "arn:aws:iam::123456789012:role/x&Action=y",
            "arn:aws:iam::123456789012:role/\u{e9}",
            &long,
        ] {
            assert!(bad.parse::<RoleArn>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_of_sessions() {
        assert_eq!(session("f"), "nexus-f");
        assert_eq!(session(&"f".repeat(64)).len(), SESSION_MAX);
    }
}
