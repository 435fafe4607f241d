// SPDX-License-Identifier: Apache-2.0
//! The configuration file as it was written. Unknown keys are refused; positions are kept for the errors of the second
//! stage.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    /// Where functions and logs are kept.
    pub state_dir: Spanned<PathBuf>,
    /// Threads of the event loop.
    pub worker_threads: Option<Spanned<usize>>,
    /// `[listen]`
    #[serde(default)]
    pub listen: RawListen,
    /// `[vm]`
    pub vm: RawVm,
    /// `[gateway]`
    #[serde(default)]
    pub gateway: RawGateway,
    /// `[store]`
    pub store: Option<RawStore>,
    /// `[pool]`
    #[serde(default)]
    pub pool: RawPool,
}

/// `[listen]`: where clients come in.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawListen {
    /// Address of the Invoke API.
    pub invoke: Option<Spanned<String>>,
    /// Path of the admin API's Unix socket.
    pub admin: Option<Spanned<PathBuf>>,
}

/// `[vm]`: how a machine is started.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawVm {
    /// The program `nexus-vmm`.
    pub vmm: Spanned<PathBuf>,
    /// The guest's `vmlinux`.
    pub kernel: Spanned<PathBuf>,
    /// Seconds from the start of a VM until its function waits for the first event.
    pub boot_timeout_s: Option<Spanned<u64>>,
    /// Virtual processors of a VM.
    pub cpus: Option<Spanned<u32>>,
    /// More words for the guest kernel's command line.
    #[serde(default)]
    pub cmdline: String,
}

/// `[gateway]`: the real services behind the guests' endpoint.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawGateway {
    /// Region that requests are signed for, and that functions see.
    pub region: Option<Spanned<String>>,
    /// Endpoint of S3, for a store that is not AWS. Short for `endpoints.s3`.
    pub endpoint: Option<Spanned<String>>,
    /// Endpoint by service name.
    #[serde(default)]
    pub endpoints: HashMap<String, Spanned<String>>,
    /// `"chain"` or `{ file = "..." }`.
    pub credentials: Option<Spanned<RawCredentials>>,
    /// Other stores, by the names that policies use.
    #[serde(default)]
    pub stores: BTreeMap<String, Spanned<RawGatewayStore>>,
    /// Seconds that a service may be silent.
    pub read_timeout_s: Option<Spanned<u64>>,
    /// File for a record of all calls.
    pub audit: Option<Spanned<PathBuf>>,
}

/// `[gateway.stores.NAME]`: an S3-compatible store that functions name by its URL.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawGatewayStore {
    /// The URL that functions give their clients.
    pub endpoint: Spanned<String>,
    /// Region that requests are signed for.
    pub region: Option<String>,
    /// Its keys.
    pub credentials: Spanned<RawCredentials>,
    /// Where buckets stand: `path` or `virtual`.
    #[serde(default)]
    pub addressing: RawAddressing,
}

/// Where buckets stand in the URLs that a store gets.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RawAddressing {
    /// In the path.
    #[default]
    Path,
    /// In the host's name.
    Virtual,
}

/// Where the real keys are.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected \"chain\" or { file = \"PATH\" }")]
pub enum RawCredentials {
    /// A word: `chain`.
    Named(String),
    /// A file.
    File(RawCredentialsFile),
}

/// `{ file = "..." }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawCredentialsFile {
    /// In the format of `~/.aws/credentials`.
    pub file: PathBuf,
}

/// `[store]`: the embedded object store.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawStore {
    /// Address of its S3 API.
    pub listen: Spanned<String>,
    /// Folder of its buckets.
    pub root: Spanned<PathBuf>,
}

/// `[pool]`: how many machines there may be.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawPool {
    /// VMs at once, over all functions.
    pub max_instances: Option<Spanned<usize>>,
    /// Seconds that an idle VM is kept.
    pub idle_timeout_s: Option<Spanned<u64>>,
    /// Seconds that running invocations get when the daemon is told to end.
    pub drain_timeout_s: Option<Spanned<u64>>,
}
