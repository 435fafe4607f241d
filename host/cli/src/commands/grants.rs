// SPDX-License-Identifier: Apache-2.0
//! What a function may reach, as it is said on the command line.

use std::str::FromStr;

use clap::Args;
use serde_json::{Value, json};

/// What a function may reach.
#[derive(Debug, Args)]
pub(super) struct Grants {
    /// A bucket that may be used; BUCKET may hold `*`, MODE is read, write or read-write (the default). STORE is one of gateway.stores, for
    /// clients that name its URL.
    #[arg(long = "bucket", value_name = "[STORE/]BUCKET[:PREFIX][=MODE]")]
    buckets: Vec<Bucket>,
    /// URLs may be signed for writes as well: whoever has one decides what is written, and perhaps more (docs/threat-model.md).
    #[arg(long)]
    presign_writes: bool,
    /// A service other than S3 that may be called, by its signing name (dynamodb, sqs, …); all its actions unless some are named.
    #[arg(long = "service", value_name = "SERVICE[:ACTION,...]")]
    services: Vec<Service>,
    /// The IAM role in which services are called, `arn:aws:iam::ACCOUNT:role/NAME`; without one it is the host's own key.
    #[arg(long, value_name = "ARN")]
    role: Option<String>,
    /// A host that may be connected to.
    #[arg(long = "endpoint", value_name = "HOST:PORT")]
    endpoints: Vec<String>,
}

impl Grants {
    /// The policy as the admin API takes it.
    pub(super) fn to_json(&self) -> Value {
        let buckets: Vec<_> = self.buckets.iter().map(Bucket::to_json).collect();
        let services: Vec<_> = self.services.iter().map(Service::to_json).collect();
        json!({
            "buckets": buckets,
            "services": services,
            "presign_writes": self.presign_writes,
            "role": self.role,
            "endpoints": self.endpoints,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Service {
    name: String,
    actions: Vec<String>,
}

impl Service {
    fn to_json(&self) -> Value {
        json!({ "service": self.name, "actions": self.actions })
    }
}

impl FromStr for Service {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, actions) = match text.split_once(':') {
            Some((name, actions)) => (name, actions.split(',').map(ToOwned::to_owned).collect()),
            None => (text, Vec::new()),
        };
        let is_name = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(format!("{name:?} is no signing name of a service"));
        }
        if name == "s3" {
            return Err("objects are granted by --bucket".into());
        }
        if actions.iter().any(String::is_empty) {
            return Err(format!("{text:?} names an action without letters"));
        }
        Ok(Self {
            name: name.into(),
            actions,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Bucket {
    store: Option<String>,
    name: String,
    prefix: String,
    access: String,
}

impl Bucket {
    fn to_json(&self) -> serde_json::Value {
        let mut bucket =
            json!({ "bucket": self.name, "prefix": self.prefix, "access": self.access });
        if let Some(store) = &self.store {
            bucket["store"] = json!(store);
        }
        bucket
    }
}

impl FromStr for Bucket {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A prefix may hold '=', a mode may not.
        let (place, access) = match text.rsplit_once('=') {
            Some((place, access)) if matches!(access, "read" | "write" | "read-write") => {
                (place, access)
            }
            Some((place, access)) if !place.contains(':') => {
                return Err(format!(
                    "{access:?} is not read, write or read-write (of {place:?})"
                ));
            }
            _ => (text, "read-write"),
        };
        let (bucket, prefix) = place.split_once(':').unwrap_or((place, ""));
        let (store, bucket) = match bucket.split_once('/') {
            Some((store, bucket)) => (Some(store), bucket),
            None => (None, bucket),
        };
        if store.is_some_and(str::is_empty) || bucket.contains('/') {
            return Err(format!("{text:?} is not of the form STORE/BUCKET:PREFIX"));
        }
        if bucket.is_empty() {
            return Err(format!("{text:?} names no bucket"));
        }
        Ok(Self {
            store: store.map(ToOwned::to_owned),
            name: bucket.into(),
            prefix: prefix.into(),
            access: access.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Bucket, Service};

    #[test]
    fn services() {
        let service = |name: &str, actions: &[&str]| Service {
            name: name.into(),
            actions: actions.iter().map(|action| (*action).into()).collect(),
        };
        assert_eq!("sqs".parse(), Ok(service("sqs", &[])));
        let some = service("dynamodb", &["Get*", "Query"]);
        assert_eq!("dynamodb:Get*,Query".parse(), Ok(some));
        for bad in ["", "s3", "SQS", "sqs:", "sqs:a,,b", ":Get"] {
            assert!(bad.parse::<Service>().is_err(), "{bad}");
        }
    }

    #[test]
    fn buckets() {
        for (text, bucket, prefix, access) in [
            ("photos", "photos", "", "read-write"),
            ("photos=read", "photos", "", "read"),
            ("photos:in/", "photos", "in/", "read-write"),
            ("photos:in/=write", "photos", "in/", "write"),
            ("data:year=2026/", "data", "year=2026/", "read-write"),
            ("data:year=2026/=read", "data", "year=2026/", "read"),
        ] {
            let expected = Bucket {
                store: None,
                name: bucket.into(),
                prefix: prefix.into(),
                access: access.into(),
            };
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        let of_store = Bucket {
            store: Some("minio".into()),
            name: "photos".into(),
            prefix: "in/".into(),
            access: "read".into(),
        };
        assert_eq!("minio/photos:in/=read".parse(), Ok(of_store));
        for bad in ["/photos", "minio/", "a/b/c"] {
            assert!(bad.parse::<Bucket>().is_err(), "{bad}");
        }
        assert!("photos=all".parse::<Bucket>().is_err());
        assert!(":x".parse::<Bucket>().is_err());
    }
}
