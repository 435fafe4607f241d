// SPDX-License-Identifier: Apache-2.0
//! What two runs of the same command show beside each other.

use serde::Serialize;
use serde_json::Value;

use super::guest::Run;
use super::probes;
use super::results::{Results, Verdict, parse};
use crate::output::cell;
use crate::output::table::table;

/// One guest's results.
#[derive(Debug, Serialize)]
struct Summary {
    pass: usize,
    skip: usize,
    fail: usize,
    /// The command's exit code.
    code: Option<u8>,
}

/// A test that went differently.
#[derive(Debug, Serialize)]
struct Difference {
    test: String,
    /// Its verdict, or a call's outcome, if it ran.
    stock: Option<String>,
    nexus: Option<String>,
}

/// Both runs.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    stock: Summary,
    nexus: Summary,
    differences: Vec<Difference>,
}

impl Report {
    /// Compares.
    pub(crate) fn new(stock: &Run, nexus: &Run) -> Self {
        let (there, here) = (parse(&stock.output), parse(&nexus.output));
        let names = there
            .keys()
            .chain(here.keys().filter(|name| !there.contains_key(*name)));
        let differences = names
            .map(|name| Difference {
                test: name.clone(),
                stock: there.get(name).map(|verdict| verdict.word().into()),
                nexus: here.get(name).map(|verdict| verdict.word().into()),
            })
            .filter(|difference| difference.stock != difference.nexus)
            .collect();
        Self {
            stock: Summary::new(&there, stock.code),
            nexus: Summary::new(&here, nexus.code),
            differences,
        }
    }

    /// Compares what probes have seen, call by call; `None` if there is nothing to compare.
    pub(crate) fn of_probes(stock: &Run, nexus: &Run) -> Option<Self> {
        let (there, here) = (probes::parse(&stock.output), probes::parse(&nexus.output));
        if there.is_empty() && here.is_empty() {
            return None;
        }
        let played = |scripts: usize, code| Summary {
            pass: scripts,
            skip: 0,
            fail: 0,
            code,
        };
        let differences = probes::differences(&there, &here);
        Some(Self {
            stock: played(there.len(), stock.code),
            nexus: played(here.len(), nexus.code),
            differences: differences
                .map(|(test, stock, nexus)| Difference { test, stock, nexus })
                .collect(),
        })
    }

    /// Whether nothing differs, and there was something that could.
    pub(crate) fn is_same(&self) -> bool {
        self.differences.is_empty()
            && self.stock.code.is_some()
            && self.stock.code == self.nexus.code
    }
}

impl Summary {
    fn new(results: &Results, code: Option<u8>) -> Self {
        let count = |verdict| results.values().filter(|found| **found == verdict).count();
        Self {
            pass: count(Verdict::Pass),
            skip: count(Verdict::Skip),
            fail: count(Verdict::Fail),
            code,
        }
    }
}

/// The report as tables for people.
pub(crate) fn text(report: &Value) -> String {
    let guests = ["stock", "nexus"].map(|guest| {
        let number = |what: &str| cell(report, &format!("/{guest}/{what}"));
        let code = match number("code").as_str() {
            "-" => "none".to_owned(),
            code => code.to_owned(),
        };
        [
            guest.to_owned(),
            number("pass"),
            number("skip"),
            number("fail"),
            code,
        ]
    });
    let mut text = table(["GUEST", "PASS", "SKIP", "FAIL", "EXIT"], &guests);
    let differences: Vec<_> = report["differences"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|difference| ["/test", "/stock", "/nexus"].map(|what| cell(difference, what)))
        .collect();
    if differences.is_empty() {
        text.push_str("no differences\n");
    } else {
        text.push('\n');
        text.push_str(&table(["TEST", "STOCK", "NEXUS"], &differences));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(output: &str, code: u8) -> Run {
        Run {
            output: output.into(),
            code: Some(code),
        }
    }

    #[test]
    fn what_differs_is_named() {
        let stock = run("a ... ok\nb ... ok\nc ... skipped\n", 0);
        let nexus = run("a ... ok\nb ... FAIL\nd ... ok\n", 1);
        let report = Report::new(&stock, &nexus);
        assert!(!report.is_same());
        let value = serde_json::to_value(&report).expect("JSON");
        assert_eq!(
            value["differences"],
            json!([
                { "test": "b", "stock": "pass", "nexus": "fail" },
                { "test": "c", "stock": "skip", "nexus": null },
                { "test": "d", "stock": null, "nexus": "pass" },
            ])
        );
        let text = text(&value);
        assert!(text.contains("nexus  2     0     1     1"), "{text}");
        assert!(Report::new(&stock, &stock).is_same());
    }

    #[test]
    fn a_run_without_an_end_is_no_success() {
        let lost = Run {
            output: String::new(),
            code: None,
        };
        assert!(!Report::new(&lost, &lost).is_same());
    }
}
