// SPDX-License-Identifier: Apache-2.0
//! What is said on the control channel.
//!
//! ```text
//! > {"cmd":"pause"}     < {"ok":true}                     vCPUs are stopped when the answer comes
//! > {"cmd":"resume"}    < {"ok":true}
//! > {"cmd":"stats"}     < {"ok":true,"exits":{"mmio.nexus.status":5},"exits_total":5,"vcpu_ns":[81],
//!                          "memory":134217728,"memory_resident":52428800}
//! > {"cmd":"stop"}      < {"ok":true}                     and then the event
//! > nonsense            < {"ok":false,"error":"..."}
//!                       < {"event":"exited","reason":"exited","code":0,"status":0,"message":"..."}
//! ```
//! `reason` and `status` are the names and numbers of [`crate::exit`]; `code` is there if the guest gave one. The event is
//! the last line, also of a machine that could not be started.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::exit::{ExitReason, VmmError};

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Stop all vCPUs between two instructions.
    Pause,
    /// Let them go on.
    Resume,
    /// End the machine.
    Stop,
    /// Tell counters.
    Stats,
}

/// A line that carries a command.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    cmd: Command,
}

/// An answer to a command.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// It was done.
    Done {
        /// Always true.
        ok: bool,
    },
    /// Answer to [`Command::Stats`].
    Stats {
        /// Always true.
        ok: bool,
        /// The numbers.
        #[serde(flatten)]
        stats: Stats,
    },
    /// It was not done.
    Failed {
        /// Always false.
        ok: bool,
        /// Why.
        error: String,
    },
}

impl Answer {
    /// It was done.
    pub fn done() -> Self {
        Self::Done { ok: true }
    }

    /// It was not done.
    pub fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed {
            ok: false,
            error: error.to_string(),
        }
    }
}

/// What the machine has done so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Exits to this process by kind; kinds that did not happen are left out.
    pub exits: BTreeMap<String, u64>,
    /// Their sum.
    pub exits_total: u64,
    /// CPU time of each vCPU thread in ns: in the guest, in KVM and in this process together.
    pub vcpu_ns: Vec<u64>,
    /// Guest memory in bytes.
    pub memory: u64,
    /// Bytes of it that the host has allocated.
    pub memory_resident: u64,
}

/// The last line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exited {
    /// Always `exited`.
    pub event: String,
    /// Name of the reason.
    pub reason: String,
    /// The guest's code, if it gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u8>,
    /// Exit status of the process.
    pub status: u8,
    /// The reason for people.
    pub message: String,
}

impl From<&ExitReason> for Exited {
    fn from(reason: &ExitReason) -> Self {
        Self {
            event: "exited".into(),
            reason: reason.name().into(),
            code: reason.guest_code(),
            status: reason.status(),
            message: reason.to_string(),
        }
    }
}

impl From<&VmmError> for Exited {
    fn from(error: &VmmError) -> Self {
        Self {
            event: "exited".into(),
            reason: error.name().into(),
            code: None,
            status: error.status(),
            message: error.to_string(),
        }
    }
}

/// Understands a line.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn parse(line: &[u8]) -> Result<Command, String> {
    serde_json::from_slice(line)
        .map(|request: Request| request.cmd)
        .map_err(|e| format!("not a command: {e}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn commands_are_understood() {
        assert_eq!(parse(br#"{"cmd":"pause"}"#), Ok(Command::Pause));
        assert_eq!(parse(br#"{"cmd":"resume"}"#), Ok(Command::Resume));
        assert_eq!(parse(br#"{"cmd":"stop"}"#), Ok(Command::Stop));
        assert_eq!(parse(br#"{"cmd":"stats"}"#), Ok(Command::Stats));
        assert!(parse(br#"{"cmd":"stop","now":true}"#).is_err());
        assert!(parse(br#"{"cmd":"fly"}"#).is_err());
    }

    #[test]
    fn event_carries_code_only_if_the_guest_gave_one() -> Result<(), serde_json::Error> {
        let exited = serde_json::to_string(&Exited::from(&ExitReason::Exited { code: 7 }))?;
        assert!(exited.starts_with(r#"{"event":"exited","reason":"exited","code":7,"status":1,"#));
        let reset = serde_json::to_string(&Exited::from(&ExitReason::GuestReset))?;
        assert!(reset.starts_with(r#"{"event":"exited","reason":"guest_reset","status":10,"#));
        Ok(())
    }

    proptest! {
        #[test]
        fn no_line_breaks_the_parser(line: Vec<u8>) {
            let command = parse(&line);
            let object = line.trim_ascii_start().starts_with(b"{");
            prop_assert!(command.is_err() || object);
        }
    }
}
