// SPDX-License-Identifier: Apache-2.0
//! A machine without nexusd: what to run is on the kernel's command line, and nobody is told how it ended but the VMM.
//!
//! `nexus compat` starts such machines, one with the driver and one with Linux' own network stack, to compare them. The kernel gives
//! init what it does not know itself as environment variables.

use serde::Deserialize;

use crate::config::BootConfig;
use crate::error::InitError;

/// The variable: JSON in hexadecimal digits, since a command line has no quotes that nest.
const VARIABLE: &str = "nexus_job";

/// What a machine without nexusd is to do.
#[derive(Debug, Deserialize)]
pub(crate) struct Job {
    /// What nexusd would say.
    #[serde(flatten)]
    pub(crate) boot: BootConfig,
    /// The kernel has a network stack of its own, so the driver and what belongs to it are left out.
    #[serde(default)]
    pub(crate) stock: bool,
}

/// The job, if there is one.
pub(crate) fn job() -> Result<Option<Job>, InitError> {
    let Ok(digits) = std::env::var(VARIABLE) else {
        return Ok(None);
    };
    let wrong = |reason: String| InitError::Job {
        variable: VARIABLE,
        reason,
    };
    let bytes = decode(&digits).ok_or_else(|| wrong("not hexadecimal".into()))?;
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| wrong(error.to_string()))
}

fn decode(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits() {
        assert_eq!(decode("7b7D"), Some(b"{}".to_vec()));
        for wrong in ["7", "7g", "é"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_job() {
        let text = r#"{"stock": true, "command": ["a", "b"], "entrypoint": [], "clock_ns": 5}"#;
        let job: Job = serde_json::from_str(text).expect("a job");
        assert!(job.stock);
        assert_eq!(job.boot.command, Some(vec!["a".into(), "b".into()]));
        assert_eq!(job.boot.clock_ns, 5);
    }
}
