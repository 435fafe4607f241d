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
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        if self.json {
            eprintln!("{}", json!({ "error": text }));
        } else {
            eprintln!("nexus: {text}");
        }
    }
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
