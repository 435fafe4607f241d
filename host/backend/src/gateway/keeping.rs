// SPDX-License-Identifier: Apache-2.0
//! Keeping the real key: renewed before it expires, by one at a time, and used to its end if there is no other.

use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use tokio::sync::Mutex as Turn;
use tokio::time::Instant;

/// A key is renewed so long before it expires, and at half of its time if it has less than twice of that.
const RENEW_BEFORE: Duration = Duration::from_secs(300);

/// A key without an end is asked for again after this time, in case somebody changed it.
const ASK_AGAIN: Duration = Duration::from_secs(900);

/// What a provider gets for an answer.
const PROVIDER_LIMIT: Duration = Duration::from_secs(30);

/// After a provider failed, or a service did not like what it gave, it is left alone for this time.
const PAUSE: Duration = Duration::from_secs(2);

/// A key, kept as long as it is good.
#[derive(Clone)]
pub(super) struct KeptCredentials(Arc<Inner>);

struct Inner {
    provider: SharedCredentialsProvider,
    kept: Mutex<Kept>,
    /// Held by whoever asks the provider.
    asking: Turn<()>,
}

#[derive(Default)]
struct Kept {
    credentials: Option<Credentials>,
    renew_at: Option<Instant>,
    /// When the provider was asked last, and why it gave nothing.
    asked: Option<(Instant, Option<String>)>,
}

/// What is there.
enum Found {
    Fresh(Credentials),
    /// It is time for another one, but this one is good.
    Good(Credentials),
    Nothing,
}

impl KeptCredentials {
    pub(super) fn new(provider: SharedCredentialsProvider) -> Self {
        Self(Arc::new(Inner {
            provider,
            kept: Mutex::default(),
            asking: Turn::default(),
        }))
    }

    /// A key that is good now. The error says why there is none.
    pub(super) async fn get(&self) -> Result<Credentials, String> {
        match self.0.find() {
            Found::Fresh(credentials) => Ok(credentials),
            Found::Good(credentials) => {
                // Nobody has to wait for it.
                let inner = Arc::clone(&self.0);
                if inner.asking.try_lock().is_ok() {
                    tokio::spawn(async move { inner.renew().await });
                }
                Ok(credentials)
            }
            Found::Nothing => self.0.renew().await,
        }
    }

    /// Another key than `used`, which a service says has expired; none if the provider has no other.
    pub(super) async fn replace(&self, used: &Credentials) -> Option<Credentials> {
        let _turn = self.0.asking.lock().await;
        let is_other = |other: &Credentials| !are_same(other, used);
        let (kept, asked) = self
            .0
            .with(|kept| (kept.credentials.clone(), kept.asked.clone()));
        if let Some(other) = kept.filter(is_other) {
            return Some(other);
        }
        if asked.is_some_and(|(when, _)| when.elapsed() < PAUSE) {
            return None;
        }
        self.0.ask().await.ok().filter(is_other)
    }
}

impl Inner {
    fn with<T>(&self, act: impl FnOnce(&mut Kept) -> T) -> T {
        act(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn find(&self) -> Found {
        self.with(|kept| {
            let is_good =
                |key: &Credentials| key.expiry().is_none_or(|end| end > SystemTime::now());
            let Some(credentials) = kept.credentials.clone().filter(is_good) else {
                return Found::Nothing;
            };
            match kept.renew_at {
                Some(renew_at) if Instant::now() >= renew_at => Found::Good(credentials),
                _ => Found::Fresh(credentials),
            }
        })
    }

    /// Asks the provider, unless somebody has just done so.
    async fn renew(&self) -> Result<Credentials, String> {
        let _turn = self.asking.lock().await;
        if let Found::Fresh(credentials) = self.find() {
            return Ok(credentials);
        }
        let failed = self.with(|kept| kept.asked.clone());
        if let Some((when, Some(reason))) = failed
            && when.elapsed() < PAUSE
        {
            return Err(reason);
        }
        self.ask().await
    }

    async fn ask(&self) -> Result<Credentials, String> {
        let given = tokio::time::timeout(PROVIDER_LIMIT, self.provider.provide_credentials()).await;
        let given = match given {
            Ok(Ok(credentials)) => Ok(credentials),
            Ok(Err(error)) => Err(chain(&error)),
            Err(_) => Err("the provider does not answer".to_owned()),
        };
        let now = Instant::now();
        self.with(|kept| {
            kept.asked = Some((now, given.as_ref().err().cloned()));
            match &given {
                Ok(credentials) => {
                    kept.renew_at = Some(now + good_for(credentials));
                    kept.credentials = Some(credentials.clone());
                }
                // What is kept is used to its end.
                Err(_) => kept.renew_at = Some(now + PAUSE),
            }
        });
        if let Err(reason) = &given {
            tracing::warn!(reason, "the provider of credentials gives none");
        }
        given
    }
}

impl fmt::Debug for KeptCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptCredentials").finish_non_exhaustive()
    }
}

/// How long a key is kept before there is to be another.
fn good_for(credentials: &Credentials) -> Duration {
    let Some(expiry) = credentials.expiry() else {
        return ASK_AGAIN;
    };
    let left = expiry.duration_since(SystemTime::now()).unwrap_or_default();
    let before = left.saturating_sub(RENEW_BEFORE).max(left / 2);
    before.min(ASK_AGAIN)
}

fn are_same(one: &Credentials, other: &Credentials) -> bool {
    let all = |key: &Credentials| {
        let token = key.session_token().map(str::to_owned);
        (
            key.access_key_id().to_owned(),
            key.secret_access_key().to_owned(),
            token,
        )
    };
    all(one) == all(other)
}

/// An error with its causes, as providers put the reason at the end.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
