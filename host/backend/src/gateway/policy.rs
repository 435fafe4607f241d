// SPDX-License-Identifier: Apache-2.0
//! Which objects a function may touch, and which other services it may call.

use std::fmt;

use serde::Deserialize;

use super::roles::RoleArn;

/// What a function may do by way of the gateway, and as whom. What no rule allows is denied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Objects.
    pub buckets: BucketPolicy,
    /// Services other than S3.
    pub services: Vec<ServiceRule>,
    /// What URLs may be signed for, of what is allowed anyhow. For a write, whoever has the URL decides what is written, and at a store
    /// that takes headers that were not signed, even where from and for whom.
    pub presign: Presign,
    /// The role in which all of it is done; none for the host's own key.
    pub role: Option<RoleArn>,
}

/// What URLs may be signed for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Presign {
    /// Reads.
    #[default]
    Reads,
    /// Reads and writes.
    All,
}

/// Allows actions of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRule {
    /// Its signing name, such as `dynamodb`.
    pub service: String,
    /// Its actions, in which `*` stands for any characters; none for all.
    pub actions: Vec<String>,
}

impl Policy {
    /// Whether an action of a service is allowed; one that is not known only by a rule for all of them.
    pub(super) fn allows_action(&self, service: &str, action: Option<&str>) -> bool {
        let allows = |rule: &ServiceRule| {
            let any = |action| rule.actions.iter().any(|pattern| matches(pattern, action));
            rule.actions.is_empty() || action.is_some_and(any)
        };
        self.services
            .iter()
            .any(|rule| rule.service == service && allows(rule))
    }
}

/// Which objects a function may touch. What no rule allows is denied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketPolicy {
    /// Any rule that allows suffices.
    #[serde(default)]
    pub rules: Vec<BucketRule>,
}

/// Allows access to the objects of some buckets.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketRule {
    /// A bucket's name, in which `*` stands for any characters.
    pub bucket: String,
    /// What keys must start with; empty for all. Only a rule without a prefix allows what concerns a bucket as a whole.
    #[serde(default)]
    pub prefix: String,
    /// What may be done with them.
    pub access: Access,
}

/// What may be done with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Get, head, list.
    Read,
    /// Put, copy to, delete, multipart uploads.
    Write,
    /// Both.
    ReadWrite,
}

impl Access {
    /// Whether this includes `wanted`.
    pub fn covers(self, wanted: Self) -> bool {
        self == Self::ReadWrite || self == wanted
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "reading",
            Self::Write => "writing",
            Self::ReadWrite => "reading and writing",
        })
    }
}

/// What an operation touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    /// All buckets: only a rule for `*` without a prefix allows that.
    Everything,
    /// Something of a bucket that tells nothing of its objects, such as where it is. Any rule for the bucket will do.
    Existence(String),
    /// The keys of a bucket that start with a prefix. An object is the same, with its whole key as the prefix.
    Keys { bucket: String, prefix: String },
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("the list of buckets"),
            Self::Existence(bucket) => write!(f, "the bucket {bucket}"),
            Self::Keys { bucket, prefix } if prefix.is_empty() => {
                write!(f, "all of the bucket {bucket}")
            }
            Self::Keys { bucket, prefix } => write!(f, "{bucket}/{prefix}"),
        }
    }
}

impl BucketPolicy {
    pub(super) fn allows(&self, scope: &Scope, wanted: Access) -> bool {
        self.rules
            .iter()
            .filter(|rule| rule.access.covers(wanted))
            .any(|rule| match scope {
                Scope::Everything => rule.bucket == "*" && rule.prefix.is_empty(),
                Scope::Existence(bucket) => matches(&rule.bucket, bucket),
                Scope::Keys { bucket, prefix } => {
                    matches(&rule.bucket, bucket) && prefix.starts_with(&rule.prefix)
                }
            })
    }
}

/// Whether `name` fits `pattern`, in which `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(head) else {
        return false;
    };
    // Taking each middle part as early as possible leaves the most for those after it.
    let mut parts = rest.split('*');
    let tail = parts.next_back().unwrap_or_default();
    for part in parts {
        match name.find(part) {
            Some(at) => name = &name[at + part.len()..],
            None => return false,
        }
    }
    name.len() >= tail.len() && name.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(bucket: &str, prefix: &str, access: Access) -> BucketRule {
        BucketRule {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            access,
        }
    }

    fn keys(bucket: &str, prefix: &str) -> Scope {
        Scope::Keys {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        }
    }

    #[test]
    fn an_empty_policy_allows_nothing() {
        let policy = BucketPolicy::default();
        assert!(!policy.allows(&keys("b", "k"), Access::Read));
        assert!(!policy.allows(&Scope::Existence("b".to_owned()), Access::Read));
        assert!(!policy.allows(&Scope::Everything, Access::Read));
    }

    #[test]
    fn rules_bound_bucket_prefix_and_access() {
        let policy = BucketPolicy {
            rules: vec![
                rule("in", "", Access::Read),
                rule("out-*", "thumbs/", Access::Write),
            ],
        };
        assert!(policy.allows(&keys("in", "any"), Access::Read));
        assert!(!policy.allows(&keys("in", "any"), Access::Write));
        assert!(policy.allows(&keys("out-1", "thumbs/a"), Access::Write));
        assert!(
            !policy.allows(&keys("out-1", "thumb"), Access::Write),
            "a shorter prefix shows more than is allowed"
        );
        assert!(!policy.allows(&keys("out-1", "thumbs/a"), Access::Read));
        assert!(!policy.allows(&keys("inner", "any"), Access::Read));
        assert!(policy.allows(&Scope::Existence("in".to_owned()), Access::Read));
        assert!(!policy.allows(&Scope::Everything, Access::Read));
        let all = BucketPolicy {
            rules: vec![rule("*", "", Access::ReadWrite)],
        };
        assert!(all.allows(&Scope::Everything, Access::Read));
    }

    #[test]
    fn patterns() {
        assert!(
            matches("*", "") && matches("*", "abc") && matches("a*", "a") && matches("a*c", "abc")
        );
        assert!(matches("a*b*c", "axxbyyc") && matches("*x*", "axb") && matches("**", "q"));
        assert!(
            !matches("a*a", "a")
                && !matches("a*b*c", "acb")
                && !matches("a", "ab")
                && !matches("", "a")
        );
    }

    proptest! {
        #[test]
        fn a_pattern_fits_what_it_was_made_from(parts in prop::collection::vec("[ab]{0,3}", 1..5), fill in "[abc]{0,3}") {
            prop_assert!(matches(&parts.join("*"), &parts.join(&fill)));
        }

        #[test]
        fn without_a_star_only_the_name_itself_fits(a in "[a-c]{0,3}", b in "[a-c]{0,3}") {
            prop_assert_eq!(matches(&a, &b), a == b);
        }
    }

    #[test]
    fn actions_of_services() {
        let rule = |service: &str, actions: &[&str]| ServiceRule {
            service: service.into(),
            actions: actions.iter().map(|action| (*action).into()).collect(),
        };
        let policy = Policy {
            services: vec![rule("sqs", &[]), rule("dynamodb", &["Get*", "Query"])],
            ..Policy::default()
        };
        for (service, action, allowed) in [
            ("sqs", Some("SendMessage"), true),
            ("sqs", None, true),
            ("dynamodb", Some("GetItem"), true),
            ("dynamodb", Some("Query"), true),
            ("dynamodb", Some("PutItem"), false),
            ("dynamodb", None, false),
            ("sns", Some("Publish"), false),
        ] {
            assert_eq!(
                policy.allows_action(service, action),
                allowed,
                "{service} {action:?}"
            );
        }
    }
}
