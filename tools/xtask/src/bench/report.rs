// SPDX-License-Identifier: Apache-2.0
//! Figures as a table for people and as JSON for programs.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

/// One measured figure, with the target it is held against.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_at_most: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    met: Option<bool>,
}

impl Figure {
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    fn new(name: &str, value: u64, divisor: f64, unit: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            value: value as f64 / divisor,
            unit,
            target_at_most: None,
            met: None,
        }
    }

    /// Instructions, shown in millions.
    pub(crate) fn instructions(name: &str, count: u64) -> Self {
        Self::new(name, count, 1e6, "M instructions")
    }

    /// Memory given in KiB, shown in MiB.
    pub(crate) fn mib(name: &str, kib: u64) -> Self {
        Self::new(name, kib, 1024.0, "MiB")
    }

    /// A plain count.
    pub(crate) fn count(name: &str, count: u64) -> Self {
        Self::new(name, count, 1.0, "")
    }

    /// Sets the target, in the figure's unit.
    pub(crate) fn at_most(mut self, target: f64) -> Self {
        self.target_at_most = Some(target);
        self.met = Some(self.value <= target);
        self
    }

    fn row(&self) -> String {
        let digits = usize::from(!self.unit.is_empty());
        let target = match (self.target_at_most, self.met) {
            (Some(target), Some(true)) => format!("<= {target}, met"),
            (Some(target), _) => format!("<= {target}, MISSED"),
            _ => String::new(),
        };
        format!(
            "{:<44} {:>12.digits$} {:<15} {target}",
            self.name, self.value, self.unit
        )
    }
}

/// All figures of a run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    figures: Vec<Figure>,
}

impl Report {
    /// Adds a figure.
    pub(crate) fn add(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    /// Prints the table, then the JSON on one line.
    pub(crate) fn print(&self) {
        println!("\n{:<44} {:>12} {:<15} target", "what", "value", "unit");
        for figure in &self.figures {
            println!("{}", figure.row());
        }
    }

    /// Writes and prints the JSON.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let json = serde_json::to_string(self)?;
        println!("\n{json}\n");
        fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
        println!("written to {}", path.display());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_at_its_value_and_missed_above() {
        assert!(
            Figure::mib("a", 3 * 1024)
                .at_most(3.0)
                .row()
                .ends_with("met")
        );
        assert!(
            Figure::mib("a", 3 * 1024 + 1)
                .at_most(3.0)
                .row()
                .ends_with("MISSED")
        );
    }
}
