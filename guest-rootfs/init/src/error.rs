// SPDX-License-Identifier: Apache-2.0
//! What can go wrong before the image's program runs.

use std::io;
use std::path::PathBuf;

/// Exit code of the VM when the program could not be run, and when it does not exist, as shells have them.
const CANNOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;

/// Why init ends the VM.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InitError {
    #[error("this program is the init of a Nexus guest, and runs as PID 1 only")]
    NotPidOne,
    #[error("cannot {action} {path}: {source}")]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("cannot load {path}: {source}; was it built for this kernel?")]
    Module { path: PathBuf, source: io::Error },
    #[error("{path} is malformed: {source}; build the root again")]
    ImageConfig {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("cannot ask nexusd at {address}: {source}")]
    Host { address: String, source: io::Error },
    #[error("nexusd answered {request} with {reason}")]
    Answer { request: String, reason: String },
    #[error("the kernel's command line has a {variable} that cannot be used: {reason}")]
    Job {
        variable: &'static str,
        reason: String,
    },
    #[error("the program cannot be run: {0}")]
    Program(String),
    #[error("cannot run {program:?}: {source}")]
    Exec { program: String, source: io::Error },
    #[error("cannot wait for the program: {0}")]
    Wait(io::Error),
    #[error("cannot set the {what}: {source}")]
    Machine {
        what: &'static str,
        source: io::Error,
    },
}

impl InitError {
    /// Turns an I/O error into one that says what was tried, on what.
    pub(crate) fn file<E: Into<io::Error>>(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(E) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source: source.into(),
        }
    }

    /// The VM's exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Exec { source, .. } if source.kind() == io::ErrorKind::NotFound => NOT_FOUND,
            _ => CANNOT_RUN,
        }
    }

    /// Whether the error came after nexusd had been reached, so that it can be told.
    pub(crate) fn host_is_reachable(&self) -> bool {
        !matches!(
            self,
            Self::NotPidOne | Self::Module { .. } | Self::Host { .. } | Self::Job { .. }
        )
    }
}
