// SPDX-License-Identifier: Apache-2.0
//! `nexus deploy`: a root file system becomes a function.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::json;

use super::Outcome;
use super::grants::Grants;
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
    #[command(flatten)]
    grants: Grants,
    /// A port of this host that leads to a port of the function. ADDRESS is by default 127.0.0.1, PROTOCOL tcp (or udp).
    #[arg(long, value_name = "[ADDRESS:]PORT:GUEST-PORT[/PROTOCOL]")]
    publish: Vec<String>,
    /// Whether writes to S3 may be answered before they are done. With `sync` each is done while the function waits, and an
    /// error of the store is the function's; with `deferred` it fails the invocation.
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    writeback: Writeback,
    /// An object that each event speaks of, fetched before the function asks, such as
    /// `s3://{Records.0.s3.bucket.name}/{Records.0.s3.object.key:decoded}`.
    #[arg(long, value_name = "TEMPLATE")]
    prefetch: Vec<String>,
    /// Whether to learn from the function's reads what to fetch beforehand.
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    prefetch_learn: Learn,
    /// Whether the store is asked, when the function reads what was fetched, if that has changed since.
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    prefetch_freshness: Freshness,
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
        let mut function = json!({
            "root": root,
            "memory_mib": self.memory,
            "timeout_s": self.timeout,
            "env": env,
            "policy": self.grants.to_json(),
            "publish": self.publish,
            "writeback": self.writeback,
            "prefetch": {
                "objects": self.prefetch,
                "learn": self.prefetch_learn,
                "freshness": self.prefetch_freshness,
            },
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

/// What becomes of a function's writes.
#[derive(Debug, Clone, Copy, Default, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Writeback {
    /// Answered before they are done, where that can be told from nothing.
    #[default]
    Deferred,
    /// Answered when they are done.
    Sync,
}

/// Whether reads are learned from.
#[derive(Debug, Clone, Copy, Default, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Learn {
    /// What reads have in common with events is fetched beforehand.
    #[default]
    On,
    /// Only what templates and callers name.
    Off,
}

/// How fresh a read is of what was fetched beforehand.
#[derive(Debug, Clone, Copy, Default, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Freshness {
    /// As fresh as any read.
    #[default]
    Strict,
    /// As fresh as the event.
    Relaxed,
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

#[cfg(test)]
mod tests {
    use super::Variable;

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
