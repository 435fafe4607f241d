// SPDX-License-Identifier: Apache-2.0
//! What a person says about a function when deploying it.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use nexus_backend::gateway;
use nexus_backend::sockets::{EndpointPolicy, EndpointRule, PublishedPort};
use serde::{Deserialize, Serialize};

use super::environment;
use super::name::FunctionName;
use crate::inputs::Prefetch;

/// Least and greatest memory of a VM, in MiB. Lambda's bounds.
const MEMORY_MIB: std::ops::RangeInclusive<u32> = 64..=10_240;

/// Longest time an invocation may take, in seconds. Lambda's bound.
const TIMEOUT_MAX_S: u32 = 900;

/// A deployed function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Function {
    /// The root file system: an EROFS image, referenced, not copied.
    pub root: PathBuf,
    /// Memory of the VM, in MiB.
    #[serde(default = "default_memory")]
    pub memory_mib: u32,
    /// Longest time of an invocation, in seconds.
    #[serde(default = "default_timeout")]
    pub timeout_s: u32,
    /// Variables for the function.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Replaces the image's command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// What the function may reach. Nothing unless said.
    #[serde(default)]
    pub policy: Policy,
    /// Whether writes may be answered before they are done.
    #[serde(default)]
    pub writeback: WritebackMode,
    /// What is fetched before the function asks for it.
    #[serde(default)]
    pub prefetch: Prefetch,
    /// Ports of the host that lead to the function. Nobody reaches it unless said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub publish: Vec<PublishedPort>,
}

/// What becomes of a function's writes to S3.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WritebackMode {
    /// They may be answered before they are done; what depends on them waits, and one that fails fails the invocation.
    #[default]
    Deferred,
    /// Each is answered when it is done.
    Sync,
}

/// What a function may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Objects, by way of the gateway.
    #[serde(default)]
    pub buckets: Vec<BucketGrant>,
    /// Other services, by way of the gateway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceGrant>,
    /// Whether URLs may be signed for writes as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub presign_writes: bool,
    /// The role in which services are called, in place of the host's own key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<gateway::RoleArn>,
    /// Hosts, as `host:port`.
    #[serde(default)]
    pub endpoints: Vec<EndpointRule>,
}

/// Access to a service other than S3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceGrant {
    /// Its signing name, such as `dynamodb`.
    pub service: String,
    /// Its actions, in which `*` stands for any characters; none for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<String>,
}

/// Access to the objects of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketGrant {
    /// The store, of those that the configuration names; none for the one that functions find without naming any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// The bucket; `*` stands for any characters.
    pub bucket: String,
    /// What keys must start with.
    #[serde(default)]
    pub prefix: String,
    /// What may be done.
    #[serde(default)]
    pub access: Access,
}

/// What may be done with an object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Get, head, list.
    Read,
    /// Put, delete.
    Write,
    /// Both.
    #[default]
    ReadWrite,
}

/// The stores of a node.
#[derive(Debug, Clone, Default)]
pub struct Stores {
    /// Those that policies may name.
    pub named: Vec<String>,
    /// Whether the one that functions find without naming any is inside the daemon.
    pub is_embedded: bool,
}

/// Why a function cannot be deployed.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// The root image cannot be used.
    #[error("root image {path}: {reason}; make one with `nexus build`", path = path.display())]
    Root {
        /// The image.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A number is out of range.
    #[error("{what} is {value}, must be {least} to {most}")]
    Range {
        /// Which number.
        what: &'static str,
        /// What was asked for.
        value: u32,
        /// The least possible.
        least: u32,
        /// The greatest possible.
        most: u32,
    },
    /// A variable cannot be set.
    #[error(transparent)]
    Environment(#[from] environment::EnvironmentError),
    /// Two published ports are one.
    #[error("published ports {0} and {1} (of {2}) are the same port of the host")]
    Conflict(PublishedPort, PublishedPort, String),
    /// A published port cannot be had.
    #[error("published port {port} cannot be had: {source}; choose another, or free it")]
    Unavailable {
        /// The port.
        port: PublishedPort,
        /// What the system says.
        source: io::Error,
    },
    /// A bucket of a store that is not configured.
    #[error("there is no store {0}: name it in gateway.stores of nexusd's configuration")]
    Store(String),
    /// A role where a role's key is good for nothing.
    #[error(
        "the object store inside nexusd knows the host's own key, and not that of {0}: name S3 in gateway.endpoint, or grant no bucket of it"
    )]
    Role(gateway::RoleArn),
    /// A command with no words.
    #[error("command is empty: leave it out to run the image's own")]
    Command,
}

const fn default_memory() -> u32 {
    128
}

const fn default_timeout() -> u32 {
    3
}

impl Function {
    /// What stands for a function that is not deployed: nothing but what it may reach.
    pub fn undeployed(policy: Policy) -> Self {
        Self {
            root: PathBuf::new(),
            memory_mib: default_memory(),
            timeout_s: default_timeout(),
            env: BTreeMap::new(),
            command: None,
            policy,
            writeback: WritebackMode::default(),
            prefetch: Prefetch::default(),
            publish: Vec::new(),
        }
    }

    /// Checks everything that can be known before the first invocation.
    pub fn validate(&self) -> Result<(), SpecError> {
        range("memory_mib", self.memory_mib, MEMORY_MIB)?;
        range("timeout_s", self.timeout_s, 1..=TIMEOUT_MAX_S)?;
        environment::check(&self.env)?;
        if self.command.as_ref().is_some_and(Vec::is_empty) {
            return Err(SpecError::Command);
        }
        for (at, port) in self.publish.iter().enumerate() {
            let others = self.publish.iter().take(at);
            conflict(port, others, "this function")?;
        }
        self.check_root()
    }

    /// Whether the function's ports can be published beside those of `others`. Those of `replaced` are its own already.
    pub fn check_ports<'a>(
        &self,
        replaced: Option<&Self>,
        others: impl Iterator<Item = (&'a FunctionName, &'a Self)>,
    ) -> Result<(), SpecError> {
        for (name, other) in others {
            for port in &self.publish {
                conflict(port, other.publish.iter(), name.as_str())?;
            }
        }
        let own = replaced.map_or(&[][..], |function| &function.publish);
        for port in &self.publish {
            let held = own.iter().any(|held| held.conflicts(port));
            if let (false, Err(source)) = (held, port.try_bind()) {
                return Err(SpecError::Unavailable {
                    port: *port,
                    source,
                });
            }
        }
        Ok(())
    }

    /// Checks that the stores that the policy speaks of are among those of the node, and take the function's key.
    pub fn check_stores(&self, node: &Stores) -> Result<(), SpecError> {
        for grant in &self.policy.buckets {
            match (&grant.store, &self.policy.role) {
                (Some(store), _) if !node.named.contains(store) => {
                    return Err(SpecError::Store(store.clone()));
                }
                (None, Some(role)) if node.is_embedded => {
                    return Err(SpecError::Role(role.clone()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn check_root(&self) -> Result<(), SpecError> {
        let wrong = |reason: String| SpecError::Root {
            path: self.root.clone(),
            reason,
        };
        if !self.root.is_absolute() {
            return Err(wrong("the path must be absolute".into()));
        }
        has_erofs_magic(&self.root).map_err(|error| wrong(error.to_string()))
    }
}

impl Policy {
    /// For the backend's sockets. One for each VM: it remembers what names resolved to.
    pub fn endpoint_policy(&self) -> EndpointPolicy {
        EndpointPolicy::new(self.endpoints.iter().cloned())
    }

    /// The stores that it names.
    pub fn stores(&self) -> impl Iterator<Item = &str> {
        self.buckets
            .iter()
            .filter_map(|grant| grant.store.as_deref())
    }

    /// For the gateway to a store that functions name by its URL.
    pub fn store_policy(&self, store: &str) -> gateway::Policy {
        gateway::Policy {
            buckets: self.bucket_policy(Some(store)),
            services: Vec::new(),
            presign: self.presign(),
            // A store has a key of its own.
            role: None,
        }
    }

    fn bucket_policy(&self, store: Option<&str>) -> gateway::BucketPolicy {
        let of_store = |grant: &&BucketGrant| grant.store.as_deref() == store;
        let rules = self
            .buckets
            .iter()
            .filter(of_store)
            .map(|grant| gateway::BucketRule {
                bucket: grant.bucket.clone(),
                prefix: grant.prefix.clone(),
                access: match grant.access {
                    Access::Read => gateway::Access::Read,
                    Access::Write => gateway::Access::Write,
                    Access::ReadWrite => gateway::Access::ReadWrite,
                },
            });
        gateway::BucketPolicy {
            rules: rules.collect(),
        }
    }

    const fn presign(&self) -> gateway::Presign {
        if self.presign_writes {
            gateway::Presign::All
        } else {
            gateway::Presign::Reads
        }
    }

    /// For the gateway.
    pub fn gateway_policy(&self) -> gateway::Policy {
        let services = self.services.iter().map(|grant| gateway::ServiceRule {
            service: grant.service.clone(),
            actions: grant.actions.clone(),
        });
        gateway::Policy {
            buckets: self.bucket_policy(None),
            services: services.collect(),
            presign: self.presign(),
            role: self.role.clone(),
        }
    }
}

fn conflict<'a>(
    port: &PublishedPort,
    mut others: impl Iterator<Item = &'a PublishedPort>,
    whose: &str,
) -> Result<(), SpecError> {
    match others.find(|other| other.conflicts(port)) {
        Some(other) => Err(SpecError::Conflict(*port, *other, whose.into())),
        None => Ok(()),
    }
}

fn range(
    what: &'static str,
    value: u32,
    range: std::ops::RangeInclusive<u32>,
) -> Result<(), SpecError> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(SpecError::Range {
        what,
        value,
        least: *range.start(),
        most: *range.end(),
    })
}

/// Looks for the superblock's magic number (Linux, `fs/erofs/erofs_fs.h`: at 1024, little-endian).
fn has_erofs_magic(path: &std::path::Path) -> io::Result<()> {
    use std::os::unix::fs::FileExt;

    const OFFSET: u64 = 1024;
    const MAGIC: [u8; 4] = 0xE0F5_E1E2_u32.to_le_bytes();
    let file = std::fs::File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut found = [0; 4];
    match file.read_exact_at(&mut found, OFFSET) {
        Ok(()) if found == MAGIC => Ok(()),
        Ok(()) | Err(_) => Err(io::Error::other("not an EROFS image")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(role: Option<&str>, store: Option<&str>) -> Function {
        Function::undeployed(Policy {
            buckets: vec![BucketGrant {
                store: store.map(ToOwned::to_owned),
                bucket: "b".into(),
                prefix: String::new(),
                access: Access::Read,
            }],
            role: role.map(|role| role.parse().expect("a role")),
            ..Policy::default()
        })
    }

    #[test]
    fn stores_and_roles() {
        let role = Some("arn:aws:iam::123456789012:role/r");
        let node = |is_embedded| Stores {
            named: vec!["minio".into()],
            is_embedded,
        };
        for (role, store, is_embedded, is_good) in [
            (None, None, true, true),
            (role, None, false, true),
            (role, Some("minio"), true, true),
            (role, None, true, false),
            (None, Some("other"), false, false),
        ] {
            let checked = function(role, store).check_stores(&node(is_embedded));
            assert_eq!(checked.is_ok(), is_good, "{role:?} {store:?}: {checked:?}");
        }
    }

    #[test]
    fn a_role_is_for_services_and_not_for_named_stores() {
        let policy = function(Some("arn:aws:iam::123456789012:role/r"), Some("minio")).policy;
        assert!(policy.gateway_policy().role.is_some());
        assert!(policy.store_policy("minio").role.is_none());
    }

    #[test]
    fn what_is_no_role_is_refused() {
        let policy = serde_json::json!({ "role": "thumbnailer" });
        let error = serde_json::from_value::<Policy>(policy).expect_err("no role");
        assert!(error.to_string().contains("arn:aws:iam::"), "{error}");
    }
}
