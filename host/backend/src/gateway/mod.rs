// SPDX-License-Identifier: Apache-2.0
//! The guest's view of S3 and other AWS-style services: plain HTTP inside, policy, the real signature, TLS outside.

mod credentials;
mod policy;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;

pub use self::credentials::{credentials_from, CredentialSource};
pub use self::policy::{Access, BucketPolicy, BucketRule};
use crate::service::{Service, ServiceStream, Serving};

/// Where services are.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// The region for services whose requests name none.
    pub region: String,
    /// Base URLs by signing name, such as `s3` to `http://127.0.0.1:9100` or `https://s3.eu-west-1.amazonaws.com`.
    pub endpoints: HashMap<String, String>,
    /// How long a connection to a service may take.
    pub connect_timeout: Duration,
}

/// Why the gateway cannot work.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Not a base URL.
    #[error("gateway endpoint for {service:?}: {url:?} is not a URL of the form http(s)://host[:port]: {reason}")]
    Endpoint {
        /// The service's signing name.
        service: String,
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Connections to the services and the key that signs for them. One for all VMs.
#[derive(Debug)]
pub struct Upstream {}

impl Upstream {
    /// Checks `config` and makes the connection pools.
    pub async fn new(_config: GatewayConfig, _credentials: SharedCredentialsProvider) -> Result<Arc<Self>, GatewayError> {
        todo!()
    }
}

/// The gateway of one VM.
#[derive(Debug)]
pub struct Gateway {}

impl Gateway {
    /// A gateway for the function `name`, which may do what `policy` says.
    pub fn new(_upstream: Arc<Upstream>, _policy: Arc<BucketPolicy>, _name: String) -> Arc<Self> {
        todo!()
    }
}

impl Service for Gateway {
    fn serve(self: Arc<Self>, _stream: ServiceStream) -> Serving {
        todo!()
    }
}
