// SPDX-License-Identifier: Apache-2.0
//! `nexus deploy`: a root file system becomes a function.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;
use serde_json::json;

use super::Outcome;
use crate::admin::Admin;
use crate::output::{Output, cell};

/// Deploy a function, or replace it.
#[derive(Debug, Args)]
pub(crate) struct Deploy {
    /// The function's name.
    name: String,
    /// Its root file system, made by `nexus build`. It is not copied and must stay where it is.
    #[arg(long)]
    root: PathBuf,
    /// Memory in MiB.
    #[arg(long, default_value_t = 128)]
    memory: u32,
    /// Longest time of an invocation, in seconds.
    #[arg(long, default_value_t = 3)]
    timeout: u32,
    /// A variable for the function.
    #[arg(long = "env", short, value_name = "NAME=VALUE")]
    env: Vec<Variable>,
    /// A bucket that the function may use; BUCKET may hold `*`, MODE is read, write or read-write (the default).
    #[arg(long = "bucket", value_name = "BUCKET[:PREFIX][=MODE]")]
    buckets: Vec<Bucket>,
    /// A host that the function may connect to.
    #[arg(long = "endpoint", value_name = "HOST:PORT")]
    endpoints: Vec<String>,
    /// A port of this host that leads to a port of the function. ADDRESS is by default 127.0.0.1, PROTOCOL tcp (or udp).
    #[arg(long, value_name = "[ADDRESS:]PORT:GUEST-PORT[/PROTOCOL]")]
    publish: Vec<String>,
    /// The command, instead of the image's: all that follows.
    #[arg(long, num_args = 1.., allow_hyphen_values = true, value_name = "WORD")]
    command: Option<Vec<String>>,
}

impl Deploy {
    pub(super) async fn run(self, admin: &Admin, output: Output) -> Outcome {
        let root = std::fs::canonicalize(&self.root).map_err(|error| {
            format!(
                "root {}: {error}; make one with `nexus build`",
                self.root.display()
            )
        })?;
        let env: BTreeMap<_, _> = self
            .env
            .into_iter()
            .map(|variable| (variable.name, variable.value))
            .collect();
        let buckets: Vec<_> = self.buckets.iter().map(Bucket::to_json).collect();
        let mut function = json!({
            "root": root,
            "memory_mib": self.memory,
            "timeout_s": self.timeout,
            "env": env,
            "policy": { "buckets": buckets, "endpoints": self.endpoints },
            "publish": self.publish,
        });
        if let Some(command) = self.command {
            function["command"] = json!(command);
        }
        let deployed = admin
            .put(&format!("/v1/functions/{}", self.name), &function)
            .await?;
        output.show(&deployed, |value| {
            format!("deployed {}\n", cell(value, "/arn"))
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Variable {
    name: String,
    value: String,
}

impl FromStr for Variable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| format!("{text:?} is not NAME=VALUE"))?;
        Ok(Self {
            name: name.into(),
            value: value.into(),
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Bucket {
    name: String,
    prefix: String,
    access: String,
}

impl Bucket {
    fn to_json(&self) -> serde_json::Value {
        json!({ "bucket": self.name, "prefix": self.prefix, "access": self.access })
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
        if bucket.is_empty() {
            return Err(format!("{text:?} names no bucket"));
        }
        Ok(Self {
            name: bucket.into(),
            prefix: prefix.into(),
            access: access.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Bucket, Variable};

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
                name: bucket.into(),
                prefix: prefix.into(),
                access: access.into(),
            };
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        assert!("photos=all".parse::<Bucket>().is_err());
        assert!(":x".parse::<Bucket>().is_err());
    }

    #[test]
    fn variables() {
        assert_eq!(
            "A=b=c".parse(),
            Ok(Variable {
                name: "A".into(),
                value: "b=c".into()
            })
        );
        assert!("A".parse::<Variable>().is_err());
    }
}
