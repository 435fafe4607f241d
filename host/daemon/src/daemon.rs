// SPDX-License-Identifier: Apache-2.0
//! The whole daemon: opened part by part, so that nothing is left behind if a part cannot be had; served; closed in
//! order.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use nexus_backend::gateway::{
    Audit, Authority, AuthorityError, CredentialSource, GatewayConfig, GatewayError, Prefetcher,
    StoreConfig, Upstream, credentials_from,
};
use nexus_backend::prefetch::Budget;
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::Admin;
use crate::admin::socket::{self, SocketError, SocketFile};
use crate::audit::AuditLog;
use crate::config::{Config, Credentials};
use crate::functions::{Registry, RegistryError, Stores};
use crate::ingress::Ingress;
use crate::ingress::events::EventQueue;
use crate::inputs::Inputs;
use crate::local::Local;
use crate::logs::Logs;
use crate::pool::vm::VmLauncher;
use crate::pool::{Launcher, Limits, Pool};
use crate::private;
use crate::store::{Store, StoreError};
use crate::timeline::History;
use crate::web;

/// Time for a connection to a service behind the gateway.
const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// Room for objects that are fetched before they are asked for, of all functions together, in bytes.
const PREFETCH_BYTES: usize = 256 * 1024 * 1024;

/// Why the daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The state folder cannot be used.
    #[error("cannot use the state folder {path}; check that it may be written, or set state_dir to another", path = path.display())]
    State {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The audit log cannot be written.
    #[error("cannot write the audit log {path}; check gateway.audit", path = path.display())]
    Audit {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The deployed functions cannot be read.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The Invoke API's address cannot be used.
    #[error("cannot listen on {address}; set listen.invoke to another address")]
    Listen {
        /// `listen.invoke`.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The admin socket cannot be had.
    #[error(transparent)]
    Admin(#[from] SocketError),
    /// The gateway cannot work.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The gateway cannot speak TLS.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// There is no key for the object store.
    #[error("the object store needs the gateway's key; set gateway.credentials")]
    Key(#[source] aws_credential_types::provider::error::CredentialsError),
    /// The object store cannot work.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An address that was just bound has no name.
    #[error("cannot tell the address of a listening socket")]
    Address(#[source] io::Error),
}

/// A daemon whose parts are all there.
#[derive(Debug)]
pub struct Daemon {
    config: Config,
    invoke: TcpListener,
    admin: (UnixListener, SocketFile),
    store: Option<Store>,
    registry: Arc<Registry>,
    logs: Arc<Logs>,
    launcher: Arc<dyn Launcher>,
    local: Option<Local>,
    inputs: Option<Arc<Inputs>>,
}

impl Daemon {
    /// Opens everything that `config` names; functions run in VMs.
    pub async fn open(config: Config) -> Result<Self, DaemonError> {
        let credentials = credentials(&config.gateway.credentials).await?;
        let store = open_store(&config, &credentials).await?;
        let store_address = store.as_ref().map(Store::address).transpose();
        let region = config.gateway.region.clone();
        let gateway = GatewayConfig {
            region: region.clone(),
            endpoints: endpoints(&config, store_address.map_err(DaemonError::Address)?),
            connect_timeout: CONNECT_TIMEOUT,
            read_timeout: config.gateway.read_timeout,
            audit: open_audit(&config)?,
            stores: stores(&config).await?,
        };
        let upstream = Upstream::new(gateway, credentials).await?;
        let local = Local::new(region.clone(), Arc::clone(&upstream));
        let prefetcher = Prefetcher::new(
            Arc::clone(&upstream),
            region.clone(),
            Budget::new(PREFETCH_BYTES),
        );
        let names = upstream.stores().iter().filter(|store| store.is_tls());
        let names = names.filter_map(|store| Some(store.host_name()?.to_owned()));
        let authority = Authority::open(&authority_folder(&config)?, names.collect())?;
        let launcher = VmLauncher::new(config.vm.clone(), region, upstream, authority)?;
        let launcher = Arc::new(launcher);
        Ok(Self {
            local: Some(local),
            inputs: Some(Arc::new(Inputs::new(prefetcher))),
            ..Self::open_with(config, store, launcher).await?
        })
    }

    /// Opens everything but the gateway, and hence no local mode; functions run in what `launcher` starts.
    pub async fn open_with(
        config: Config,
        store: Option<Store>,
        launcher: Arc<dyn Launcher>,
    ) -> Result<Self, DaemonError> {
        let state = |source| DaemonError::State {
            path: config.state_dir.clone(),
            source,
        };
        private::make_folder(&config.state_dir).map_err(state)?;
        let logs = Arc::new(Logs::open(config.state_dir.join("logs")).map_err(state)?);
        let registry = Arc::new(Registry::open(config.state_dir.join("functions"))?);
        let address = config.listen.invoke;
        let invoke = TcpListener::bind(address)
            .await
            .map_err(|source| DaemonError::Listen { address, source })?;
        // Last: it is the only part that leaves a file behind.
        let admin = socket::bind(&config.listen.admin)?;
        Ok(Self {
            config,
            invoke,
            admin,
            store,
            registry,
            logs,
            launcher,
            local: None,
            inputs: None,
        })
    }

    /// Where the Invoke API listens.
    pub fn invoke_address(&self) -> io::Result<SocketAddr> {
        self.invoke.local_addr()
    }

    /// Serves until `stop` is cancelled; then lets running invocations end, ends all instances, and removes its socket.
    pub async fn run(self, stop: CancellationToken) -> Result<(), DaemonError> {
        let invoke_address = self.invoke.local_addr().map_err(DaemonError::Address)?;
        let store_address = self
            .store
            .as_ref()
            .map(Store::address)
            .transpose()
            .map_err(DaemonError::Address)?;
        let pool = self.pool();
        let history = Arc::clone(pool.history());
        let events = EventQueue::start(
            Arc::clone(&pool),
            self.config.pool.max_instances,
            stop.clone(),
        );
        let region = self.config.gateway.region.clone();
        let ingress = Ingress::new(
            Arc::clone(&self.registry),
            Arc::clone(&pool),
            events,
            region.clone(),
        );
        let admin = Arc::new(Admin {
            registry: self.registry,
            pool: Arc::clone(&pool),
            logs: self.logs,
            history,
            ingress: Arc::clone(&ingress),
            invoke_address,
            store_address,
            stores: known_stores(&self.config),
            region,
            local: self.local,
            started: Instant::now(),
            stop: stop.clone(),
        });
        tracing::info!(invoke = %invoke_address, admin = %self.config.listen.admin.display(), store = ?store_address, "ready");

        let (admin_listener, admin_file) = self.admin;
        let servers = TaskTracker::new();
        // The store outlives the others: running invocations may still write to it.
        let store_stop = CancellationToken::new();
        let store = self
            .store
            .map(|store| tokio::spawn(store.serve(store_stop.clone())));
        servers.spawn(web::serve(self.invoke, ingress, stop.clone()));
        servers.spawn(web::serve(admin_listener, admin, stop.clone()));
        servers.close();

        stop.cancelled().await;
        pool.close(self.config.pool.drain_timeout).await;
        if tokio::time::timeout(self.config.pool.drain_timeout, servers.wait())
            .await
            .is_err()
        {
            tracing::warn!("giving up connections that are still open");
        }
        store_stop.cancel();
        if let Some(store) = store
            && let Err(error) = store.await
        {
            tracing::warn!(%error, "the object store ended badly");
        }
        drop(admin_file);
        tracing::info!("ended");
        Ok(())
    }

    fn pool(&self) -> Arc<Pool> {
        let limits = Limits {
            max_instances: self.config.pool.max_instances,
            idle_timeout: self.config.pool.idle_timeout,
            boot_timeout: self.config.vm.boot_timeout,
        };
        Pool::new(
            limits,
            Arc::clone(&self.launcher),
            Arc::clone(&self.logs),
            Arc::new(History::default()),
            self.inputs.clone(),
        )
    }
}

/// Where the gateway's services are. S3 that is not named is the embedded store, and without one AWS's own.
fn endpoints(config: &Config, store: Option<SocketAddr>) -> HashMap<String, String> {
    let mut endpoints = config.gateway.endpoints.clone();
    endpoints.entry("s3".into()).or_insert_with(|| match store {
        Some(address) => format!("http://{address}"),
        None => aws_s3(&config.gateway.region),
    });
    endpoints
}

/// The region's endpoint for requests in path style (AWS General Reference, "Amazon S3 endpoints and quotas").
fn aws_s3(region: &str) -> String {
    let china = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://s3.{region}.amazonaws.com{china}")
}

/// Where the node's certificate authority is.
fn authority_folder(config: &Config) -> Result<PathBuf, DaemonError> {
    let path = config.state_dir.join("authority");
    match private::make_folder(&path) {
        Ok(()) => Ok(path),
        Err(source) => Err(DaemonError::State { path, source }),
    }
}

async fn credentials(from: &Credentials) -> Result<SharedCredentialsProvider, GatewayError> {
    credentials_from(match from {
        Credentials::Chain => CredentialSource::Chain,
        Credentials::File(path) => CredentialSource::File(path.clone()),
    })
    .await
}

/// The other stores, each with its key.
async fn stores(config: &Config) -> Result<Vec<StoreConfig>, GatewayError> {
    let mut stores = Vec::new();
    for store in &config.gateway.stores {
        stores.push(StoreConfig {
            name: store.name.clone(),
            endpoint: store.endpoint.clone(),
            region: store.region.clone(),
            credentials: credentials(&store.credentials).await?,
            virtual_hosts: store.virtual_hosts,
        });
    }
    Ok(stores)
}

/// What policies may speak of.
fn known_stores(config: &Config) -> Stores {
    let named = config.gateway.stores.iter();
    let endpoint = config.gateway.endpoints.get("s3");
    let is_embedded = config.store.as_ref().is_some_and(|store| {
        endpoint.is_none_or(|endpoint| *endpoint == format!("http://{}", store.listen))
    });
    Stores {
        named: named.map(|store| store.name.clone()).collect(),
        is_embedded,
    }
}

fn open_audit(config: &Config) -> Result<Option<Arc<dyn Audit>>, DaemonError> {
    let Some(path) = &config.gateway.audit else {
        return Ok(None);
    };
    let log = AuditLog::open(path).map_err(|source| DaemonError::Audit {
        path: path.clone(),
        source,
    })?;
    Ok(Some(log))
}

async fn open_store(
    config: &Config,
    credentials: &SharedCredentialsProvider,
) -> Result<Option<Store>, DaemonError> {
    let Some(store) = &config.store else {
        return Ok(None);
    };
    let key = credentials
        .provide_credentials()
        .await
        .map_err(DaemonError::Key)?;
    Ok(Some(Store::open(store, &key).await?))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Config, endpoints};

    fn config(gateway: &str) -> Config {
        let text = format!(
            "state_dir = \"/x\"\n[vm]\nvmm = \"/bin/sh\"\nkernel = \"/bin/sh\"\n[gateway]\n{gateway}\n"
        );
        Config::parse(&text, Path::new("test.toml")).expect("valid")
    }

    #[test]
    fn s3_is_the_one_named_then_the_embedded_one_then_awss() {
        let store = "127.0.0.1:9000".parse().ok();
        let named = config("endpoint = \"http://minio:9000\"");
        assert_eq!(endpoints(&named, store)["s3"], "http://minio:9000");
        let plain = config("region = \"eu-west-1\"");
        assert_eq!(endpoints(&plain, store)["s3"], "http://127.0.0.1:9000");
        assert_eq!(
            endpoints(&plain, None)["s3"],
            "https://s3.eu-west-1.amazonaws.com"
        );
        let china = config("region = \"cn-north-1\"");
        assert_eq!(
            endpoints(&china, None)["s3"],
            "https://s3.cn-north-1.amazonaws.com.cn"
        );
    }
}
