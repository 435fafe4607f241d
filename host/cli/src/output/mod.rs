// SPDX-License-Identifier: Apache-2.0
//! What the program prints: tables for people, JSON for programs.

pub(crate) mod progress;
pub(crate) mod table;

use std::error::Error;
use std::io::{self, Write};

use serde_json::{Value, json};

/// Where and how to print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

impl Output {
    /// Prints the value for programs, or what `text` makes of it for people.
    pub(crate) fn show(self, value: &Value, text: impl FnOnce(&Value) -> String) -> io::Result<()> {
        let text = if self.json {
            format!("{value:#}\n")
        } else {
            text(value)
        };
        io::stdout().write_all(text.as_bytes())
    }

    /// Prints an error with its causes on standard error.
    pub(crate) fn error(self, error: &dyn Error) {
        let text = with_causes(error);
        if self.json {
            eprintln!("{}", json!({ "error": text }));
        } else {
            eprintln!("nexus: {text}");
        }
    }
}

/// An error and its causes, each said once: some say their causes themselves.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

/// A member of a JSON object as text for people: strings bare, what is missing as a dash.
pub(crate) fn cell(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        None | Some(Value::Null) => "-".into(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// KiB or bytes as MiB for people.
pub(crate) fn mib(value: &Value, pointer: &str, unit: u32) -> String {
    let number = value.pointer(pointer).and_then(Value::as_u64);
    number.map_or_else(
        || "-".into(),
        |number| {
            let tenths = number.saturating_mul(u64::from(unit)).saturating_mul(10) / (1024 * 1024);
            format!("{}.{} MiB", tenths / 10, tenths % 10)
        },
    )
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::with_causes;

    #[derive(Debug, thiserror::Error)]
    enum Sample {
        #[error("cannot read: {source}")]
        Says { source: io::Error },
        #[error("cannot write")]
        Leaves { source: io::Error },
    }

    #[test]
    fn each_cause_is_said_once() {
        let source = || io::Error::other("no such thing");
        let says = Sample::Says { source: source() };
        let leaves = Sample::Leaves { source: source() };
        assert_eq!(with_causes(&says), "cannot read: no such thing");
        assert_eq!(with_causes(&leaves), "cannot write: no such thing");
    }
}
