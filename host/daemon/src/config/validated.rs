// SPDX-License-Identifier: Apache-2.0
//! The configuration that the daemon runs with: every value checked, every default filled in.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use super::raw::{RawConfig, RawListen, RawPool, RawStore, RawVm};
use super::{ConfigError, Origin, gateway};
use crate::admin::socket::TEMPORARY_NAME;

/// Longest path that fits into `sockaddr_un` with its final zero (unix(7)).
pub const SOCKET_PATH_MAX: usize = 107;

/// What the daemon runs with.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where functions and logs are kept.
    pub state_dir: PathBuf,
    /// Threads of the event loop.
    pub worker_threads: usize,
    /// Where clients come in.
    pub listen: Listen,
    /// How a machine is started.
    pub vm: Vm,
    /// The real services behind the guests' endpoint.
    pub gateway: Gateway,
    /// The embedded object store, if wanted.
    pub store: Option<Store>,
    /// How many machines there may be.
    pub pool: Pool,
}

/// Where clients come in.
#[derive(Debug, Clone)]
pub struct Listen {
    /// The Invoke API. Port 0 takes a free one.
    pub invoke: SocketAddr,
    /// The admin API's Unix socket.
    pub admin: PathBuf,
}

/// How a machine is started.
#[derive(Debug, Clone)]
pub struct Vm {
    /// The program `nexus-vmm`.
    pub vmm: PathBuf,
    /// The guest's `vmlinux`.
    pub kernel: PathBuf,
    /// From the start of a VM until its function waits for the first event.
    pub boot_timeout: Duration,
    /// Virtual processors of a VM.
    pub cpus: u32,
    /// More words for the guest kernel's command line.
    pub cmdline: String,
}

/// The real services behind the guests' endpoint.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// Region that requests are signed for, and that functions see.
    pub region: String,
    /// Endpoint by service name. Those that are missing are AWS's own, except that an embedded store is S3.
    pub endpoints: HashMap<String, String>,
    /// Where the real keys are.
    pub credentials: Credentials,
    /// Other stores, which functions name by their URLs.
    pub stores: Vec<GatewayStore>,
    /// How long a service may be silent.
    pub read_timeout: Duration,
    /// Where a record of all calls goes, if anywhere.
    pub audit: Option<PathBuf>,
}

/// An S3-compatible store that functions name by its URL.
#[derive(Debug, Clone)]
pub struct GatewayStore {
    /// What policies call it.
    pub name: String,
    /// The URL that functions give their clients.
    pub endpoint: String,
    /// Region that requests are signed for.
    pub region: String,
    /// Where its keys are.
    pub credentials: Credentials,
    /// Whether buckets stand in the host's name.
    pub virtual_hosts: bool,
}

/// Where the real keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// The standard AWS chain: environment, profile files, container and instance roles.
    Chain,
    /// A file in the format of `~/.aws/credentials` that only the daemon reads.
    File(PathBuf),
}

/// The embedded object store.
#[derive(Debug, Clone)]
pub struct Store {
    /// Its S3 API.
    pub listen: SocketAddr,
    /// Folder of its buckets, one folder each.
    pub root: PathBuf,
}

/// How many machines there may be.
#[derive(Debug, Clone)]
pub struct Pool {
    /// VMs at once, over all functions.
    pub max_instances: usize,
    /// How long an idle VM is kept.
    pub idle_timeout: Duration,
    /// What running invocations get when the daemon is told to end.
    pub drain_timeout: Duration,
}

pub(super) fn validate(raw: RawConfig, origin: &Origin<'_>) -> Result<Config, ConfigError> {
    let store = raw.store.map(|raw| store(&raw, origin)).transpose()?;
    Ok(Config {
        state_dir: absolute(&raw.state_dir, "state_dir", origin)?,
        worker_threads: within(raw.worker_threads, 2, 1..=64, "worker_threads", origin)?,
        listen: listen(&raw.listen, origin)?,
        vm: vm(raw.vm, origin)?,
        gateway: gateway::validate(raw.gateway, origin)?,
        store,
        pool: pool(raw.pool, origin)?,
    })
}

fn listen(raw: &RawListen, origin: &Origin<'_>) -> Result<Listen, ConfigError> {
    let invoke = match &raw.invoke {
        Some(text) => address(text, "listen.invoke", origin)?,
        None => SocketAddr::from(([127, 0, 0, 1], 9100)),
    };
    let admin = match &raw.admin {
        Some(path) => {
            let admin = absolute(path, "listen.admin", origin)?;
            let length = socket_path_length(&admin);
            if length > SOCKET_PATH_MAX {
                let reason = format!(
                    "the path needs {length} bytes, a Unix socket's may have {SOCKET_PATH_MAX}; use a shorter one"
                );
                return Err(origin.invalid(path, "listen.admin", reason));
            }
            admin
        }
        None => PathBuf::from("/run/nexus/admin.sock"),
    };
    Ok(Listen { invoke, admin })
}

/// The socket is made under a name that may be longer than its own.
fn socket_path_length(path: &Path) -> usize {
    let folder = path.parent().map_or(0, |folder| folder.as_os_str().len());
    path.as_os_str().len().max(folder + 1 + TEMPORARY_NAME)
}

fn vm(raw: RawVm, origin: &Origin<'_>) -> Result<Vm, ConfigError> {
    let vmm = file(&raw.vmm, "vm.vmm", "the program nexus-vmm", origin)?;
    if fs::metadata(&vmm).is_ok_and(|metadata| metadata.permissions().mode() & 0o111 == 0) {
        return Err(origin.invalid(
            &raw.vmm,
            "vm.vmm",
            format!("{} is not executable", vmm.display()),
        ));
    }
    Ok(Vm {
        vmm,
        kernel: file(
            &raw.kernel,
            "vm.kernel",
            "the guest kernel, an uncompressed vmlinux",
            origin,
        )?,
        boot_timeout: Duration::from_secs(within(
            raw.boot_timeout_s,
            30,
            1..=3600,
            "vm.boot_timeout_s",
            origin,
        )?),
        cpus: within(raw.cpus, 1, 1..=64, "vm.cpus", origin)?,
        cmdline: raw.cmdline,
    })
}

fn store(raw: &RawStore, origin: &Origin<'_>) -> Result<Store, ConfigError> {
    Ok(Store {
        listen: address(&raw.listen, "store.listen", origin)?,
        root: absolute(&raw.root, "store.root", origin)?,
    })
}

fn pool(raw: RawPool, origin: &Origin<'_>) -> Result<Pool, ConfigError> {
    let idle = within(
        raw.idle_timeout_s,
        300,
        1..=86_400,
        "pool.idle_timeout_s",
        origin,
    )?;
    let drain = within(
        raw.drain_timeout_s,
        30,
        0..=900,
        "pool.drain_timeout_s",
        origin,
    )?;
    Ok(Pool {
        max_instances: within(
            raw.max_instances,
            16,
            1..=10_000,
            "pool.max_instances",
            origin,
        )?,
        idle_timeout: Duration::from_secs(idle),
        drain_timeout: Duration::from_secs(drain),
    })
}

pub(super) fn absolute(
    path: &Spanned<PathBuf>,
    key: &'static str,
    origin: &Origin<'_>,
) -> Result<PathBuf, ConfigError> {
    if path.get_ref().is_absolute() {
        return Ok(path.get_ref().clone());
    }
    Err(origin.invalid(
        path,
        key,
        format!("{} is not an absolute path", path.get_ref().display()),
    ))
}

fn file(
    path: &Spanned<PathBuf>,
    key: &'static str,
    what: &str,
    origin: &Origin<'_>,
) -> Result<PathBuf, ConfigError> {
    let found = absolute(path, key, origin)?;
    match check_readable(&found) {
        Ok(()) => Ok(found),
        Err(error) => Err(origin.invalid(
            path,
            key,
            format!("cannot read {} ({what}): {error}", found.display()),
        )),
    }
}

fn check_readable(path: &Path) -> std::io::Result<()> {
    let metadata = fs::File::open(path)?.metadata()?;
    if metadata.is_file() {
        Ok(())
    } else {
        Err(std::io::Error::other("not a regular file"))
    }
}

fn address(
    text: &Spanned<String>,
    key: &'static str,
    origin: &Origin<'_>,
) -> Result<SocketAddr, ConfigError> {
    text.get_ref().parse().map_err(|_| {
        origin.invalid(
            text,
            key,
            format!(
                "{:?} is not ADDRESS:PORT, such as 127.0.0.1:9100",
                text.get_ref()
            ),
        )
    })
}

pub(super) fn within<T>(
    value: Option<Spanned<T>>,
    default: T,
    range: std::ops::RangeInclusive<T>,
    key: &'static str,
    origin: &Origin<'_>,
) -> Result<T, ConfigError>
where
    T: PartialOrd + Copy + std::fmt::Display,
{
    match value {
        None => Ok(default),
        Some(value) if range.contains(value.get_ref()) => Ok(*value.get_ref()),
        Some(value) => {
            let reason = format!(
                "{} is out of range, {} to {}",
                value.get_ref(),
                range.start(),
                range.end()
            );
            Err(origin.invalid(&value, key, reason))
        }
    }
}
