// SPDX-License-Identifier: Apache-2.0
//! Configuration in two stages: [`raw`] is what the file says, [`validated`] is what the daemon runs with.
//!
//! Every error names the file, the line and the key, because a person will fix it with an editor.

mod gateway;
pub mod raw;
pub mod validated;

#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use validated::{Config, Credentials, Gateway, GatewayStore, Listen, Pool, Store, Vm};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}; give its path with --config", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is no TOML, or has a key or a type that is not expected.
    #[error("{path}:{line}: {message}\n  {text}", path = path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong, with the name of the key.
        message: String,
        /// The line itself.
        text: String,
    },
    /// A value has the right type but cannot work.
    #[error("{path}:{line}: {key}: {reason}", path = path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The full name of the key, such as `vm.kernel`.
        key: &'static str,
        /// What is wrong with it and what would be right.
        reason: String,
    },
}

impl Config {
    /// Reads and validates the file at `path`.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, path)
    }

    /// Validates `text`, which came from the file at `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let origin = Origin { path, text };
        let raw = toml::from_str(text).map_err(|error| origin.syntax(&error))?;
        validated::validate(raw, &origin)
    }
}

/// Where a configuration came from: turns byte offsets into lines.
#[derive(Debug)]
pub(crate) struct Origin<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Origin<'_> {
    fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().iter().take(offset);
        before.filter(|byte| **byte == b'\n').count() + 1
    }

    fn syntax(&self, error: &toml::de::Error) -> ConfigError {
        let line = self.line(error.span().map_or(0, |span| span.start));
        let text = self.text.lines().nth(line - 1).unwrap_or_default();
        ConfigError::Syntax {
            path: self.path.to_owned(),
            line,
            message: error.message().to_owned(),
            text: text.trim().to_owned(),
        }
    }

    pub(crate) fn invalid<T>(
        &self,
        value: &toml::Spanned<T>,
        key: &'static str,
        reason: String,
    ) -> ConfigError {
        ConfigError::Invalid {
            path: self.path.to_owned(),
            line: self.line(value.span().start),
            key,
            reason,
        }
    }
}
