// SPDX-License-Identifier: Apache-2.0
//! The embedded object store: S3 over a folder, for demonstrations, tests and single machines.
//!
//! It asks for the same key as the gateway signs with. Each bucket is a folder under the root.

mod border;
mod listing;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use aws_credential_types::Credentials;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use self::border::Border;
use self::listing::Listing;
use crate::config;
use crate::private;

/// Connections at once; more wait to be accepted.
const CONNECTIONS: usize = 512;

/// Why there is no object store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be used.
    #[error("cannot use {path} as store.root: {reason}", path = path.display())]
    Root {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The address cannot be used.
    #[error("cannot listen on {address}; set store.listen to another address")]
    Listen {
        /// `store.listen`.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A store that listens but does not serve yet.
#[derive(Debug)]
pub struct Store {
    listener: TcpListener,
    service: S3Service,
}

impl Store {
    /// Opens the folder and the port.
    pub async fn open(config: &config::Store, key: &Credentials) -> Result<Self, StoreError> {
        let root = |reason: String| StoreError::Root {
            path: config.root.clone(),
            reason,
        };
        private::make_folder(&config.root).map_err(|error| root(error.to_string()))?;
        let files =
            s3s_fs::FileSystem::new(&config.root).map_err(|error| root(format!("{error:?}")))?;
        let mut builder = S3ServiceBuilder::new(Listing(files));
        builder.set_auth(SimpleAuth::from_single(
            key.access_key_id(),
            key.secret_access_key(),
        ));
        builder.set_access(Border {
            root: config.root.clone(),
        });
        let listener =
            TcpListener::bind(config.listen)
                .await
                .map_err(|source| StoreError::Listen {
                    address: config.listen,
                    source,
                })?;
        Ok(Self {
            listener,
            service: builder.build(),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is cancelled; requests that run then are dropped.
    pub async fn serve(self, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let accept = async {
                (
                    Arc::clone(&places).acquire_owned().await,
                    self.listener.accept().await,
                )
            };
            let (place, accepted) = tokio::select! {
                accepted = accept => accepted,
                () = stop.cancelled() => return,
            };
            match accepted {
                Ok((stream, _)) => {
                    let (service, stop) = (self.service.clone(), stop.clone());
                    tokio::spawn(async move {
                        tokio::select! {
                            () = connection(stream, service) => {}
                            () = stop.cancelled() => {}
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the object store cannot accept a connection");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    }
}

async fn connection(stream: TcpStream, service: S3Service) {
    // An object's bytes follow its headers in a write of their own, which must not wait for an acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        return tracing::debug!(%error, "a connection to the object store ended at once");
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the object store ended early");
    }
}
