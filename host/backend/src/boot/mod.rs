// SPDX-License-Identifier: Apache-2.0
//! What init asks for before it starts the function, and where it reports how the function's process ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::service::{Service, ServiceStream, Serving};

/// What init does in the VM. The answer to `GET /2026-11-01/boot` is this, with `clock_ns` added: the host's clock at
/// the time of the answer, in nanoseconds since 1970.
#[derive(Debug, Clone, Default, Serialize)]
pub struct BootConfig {
    /// Variables to set for the function, over those of the image.
    pub env: BTreeMap<String, String>,
    /// Replaces the image's command, if given.
    pub command: Option<Vec<String>>,
    /// Replaces the image's entry point, if given.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's working directory, if given.
    pub cwd: Option<String>,
    /// The host name that the function sees.
    pub hostname: String,
}

/// How the function's process ended, as init saw it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub enum ProcessExit {
    /// It left with this status.
    Exited { code: i32 },
    /// This signal ended it.
    Signaled { signal: i32 },
    /// It could not be started.
    Failed { error: String },
}

/// Serves init. One value serves one VM.
#[derive(Debug)]
pub struct BootService {}

impl BootService {
    /// A service that gives `config` to init.
    pub fn new(_config: BootConfig) -> Arc<Self> {
        todo!()
    }

    /// Resolves when init reported the end of the function's process.
    pub async fn exited(&self) -> ProcessExit {
        todo!()
    }

    /// When init first asked for its configuration.
    pub fn booted_at(&self) -> Option<Instant> {
        todo!()
    }
}

impl Service for BootService {
    fn serve(self: Arc<Self>, _stream: ServiceStream) -> Serving {
        todo!()
    }
}
