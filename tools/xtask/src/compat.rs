// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask compat`: other people's test suites on a guest with Linux' own network stack and on a Nexus guest, and
//! docs/compatibility.md made of the results.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::build;
use crate::setup::debian;
use crate::setup::kernel::{Flavour, Kernel};
use crate::{lab, paths, process, step};

/// The longest that one guest may take for one run.
const TIMEOUT: Duration = Duration::from_secs(1800);
/// Time for starting both guests.
const STARTS: Duration = Duration::from_secs(300);

/// What is made of the reports.
const PAGE: &str = "docs/compatibility.md";

/// File beside a report: of which revision it is.
const REVISION: &str = "revision.txt";

/// `suite.json`
#[derive(Debug, Deserialize)]
struct Suite {
    /// Commands by what they are about; an empty one stands for Nexus' own probes.
    runs: BTreeMap<String, Vec<String>>,
    /// Why tests differ that do, by their names or the beginnings of these.
    explained: BTreeMap<String, String>,
}

/// `report.json`, as `nexus compat` writes it.
#[derive(Debug, Deserialize)]
struct Report {
    stock: Summary,
    nexus: Summary,
    differences: Vec<Difference>,
}

#[derive(Debug, Deserialize)]
struct Summary {
    pass: usize,
    skip: usize,
    fail: usize,
}

#[derive(Debug, Deserialize)]
struct Difference {
    test: String,
    stock: Option<String>,
    nexus: Option<String>,
}

/// Runs the suites, or those whose name or run contains `only`, and makes the page of their reports and of the last reports of the
/// others.
pub(crate) fn run(only: Option<&str>) -> Result<()> {
    let revision = revision()?;
    debian::packages(debian::Purpose::Suites)?;
    let built = build::everything(Flavour::Plain)?;
    let stock = Kernel::ensure(Flavour::Stock)?;
    let kernels = [built.kernel, stock.image()];
    let place = lab::Place::find()?;
    let mut page = Page::default();
    let mut missing = Vec::new();
    for name in suites()? {
        let suite = read(&name)?;
        let wanted = |run: &str| only.is_none_or(|only| name.contains(only) || run.contains(only));
        let root = if suite.runs.keys().any(|run| wanted(run)) {
            let oci = build::image::oci(&name)?;
            let probes = suite.runs.values().any(Vec::is_empty);
            Some(build::image::root_with(
                &name,
                &oci,
                &paths::guest_files(),
                probes,
            )?)
        } else {
            None
        };
        for (run, command) in &suite.runs {
            let folder = paths::runs()
                .join("compat")
                .join(&name)
                .join(run.replace(' ', "-"));
            if let Some(root) = root.as_ref().filter(|_| wanted(run)) {
                step::note(&format!("{name}: {run}, on both guests"));
                let program = program(&kernels, root, &folder, command);
                let job = lab::Job {
                    folder: &folder,
                    clock: lab::Clock::Wall,
                    limit: Some(2 * TIMEOUT + STARTS),
                    program: &program,
                };
                place.run(&job)?;
                fs::write(folder.join(REVISION), &revision)?;
            }
            match report(&folder) {
                Ok((report, revision)) => page.add(&name, run, &suite, &report, &revision),
                Err(error) if only.is_some() => missing.push(error),
                Err(error) => return Err(error),
            }
        }
    }
    if let Some(error) = missing.first() {
        step::note(&format!("docs/compatibility.md stays as it is: {error:#}"));
        print!("{}", page.text());
        return page.check();
    }
    let path = paths::repository().join(PAGE);
    fs::write(&path, page.text())?;
    step::note(&format!("written to {}", path.display()));
    page.check()
}

/// What the last run left in its folder, and the revision that it was a run of.
fn report(folder: &Path) -> Result<(Report, String)> {
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read_to_string(&path).with_context(|| {
            format!(
                "no {} of an earlier run; run `cargo xtask compat` without --only",
                path.display()
            )
        })
    };
    let report = serde_json::from_str(&read("report.json")?)
        .with_context(|| format!("{}: report.json is no report", folder.display()))?;
    Ok((report, read(REVISION)?.trim().to_owned()))
}

/// What the checkout is a state of. The page itself is no part of it.
fn revision() -> Result<String> {
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        process::output(git.current_dir(paths::repository()).args(arguments))
    };
    let head = git(&["rev-parse", "--short", "HEAD"])?;
    let page = format!(":(exclude){PAGE}");
    let changes = git(&["status", "--porcelain", "--untracked-files=no", ".", &page])?;
    let dirty = if changes.is_empty() { "" } else { "-dirty" };
    Ok(format!("{}{dirty}", head.trim()))
}

fn suites() -> Result<Vec<String>> {
    let folder = paths::repository().join("tests/images/suites");
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn read(name: &str) -> Result<Suite> {
    let path = paths::repository()
        .join("tests/images/suites")
        .join(name)
        .join("suite.json");
    let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is no suite", path.display()))
}

/// `nexus compat`, for which guests that differ are no failure.
fn program(
    [kernel, stock]: &[PathBuf; 2],
    root: &Path,
    folder: &Path,
    command: &[String],
) -> Vec<String> {
    let text = |path: &Path| path.display().to_string();
    let programs = paths::host_programs();
    let mut program: Vec<String> = [
        "sh",
        "-c",
        r#""$@"; code=$?; [ $code = 0 ] || [ $code = 3 ]"#,
        "compat",
    ]
    .map(str::to_owned)
    .to_vec();
    program.push(text(&programs.join("nexus")));
    program.push("compat".into());
    for (flag, value) in [
        ("--vmm", text(&programs.join("nexus-vmm"))),
        ("--kernel", text(kernel)),
        ("--stock-kernel", text(stock)),
        ("--keep", text(folder)),
        ("--timeout", TIMEOUT.as_secs().to_string()),
    ] {
        program.extend([flag.to_owned(), value]);
    }
    program.push(text(root));
    if command.is_empty() {
        program.push("--probes".into());
    } else {
        program.push("--".into());
        program.extend_from_slice(command);
    }
    program
}

/// The page that is made of the results.
#[derive(Default)]
struct Page {
    rows: Vec<String>,
    differences: Vec<String>,
    unexplained: Vec<String>,
}

impl Page {
    fn add(&mut self, name: &str, run: &str, suite: &Suite, report: &Report, revision: &str) {
        let Report {
            stock,
            nexus,
            differences,
        } = report;
        let counts =
            |summary: &Summary| format!("{} / {} / {}", summary.pass, summary.skip, summary.fail);
        self.rows.push(format!(
            "| {name} | {run} | {} | {} | {} | {revision} |\n",
            counts(stock),
            counts(nexus),
            differences.len()
        ));
        for difference in differences {
            let why = suite
                .explained
                .iter()
                .find(|(start, _)| difference.test.starts_with(start.as_str()))
                .map(|(_, why)| why.as_str());
            if why.is_none() {
                self.unexplained
                    .push(format!("{name}: {}", difference.test));
            }
            let verdict =
                |verdict: &Option<String>| verdict.clone().unwrap_or_else(|| "not run".into());
            self.differences.push(format!(
                "| {name} | {} | {} | {} | {} |\n",
                difference.test.replace('|', "\\|"),
                verdict(&difference.stock),
                verdict(&difference.nexus),
                why.unwrap_or("not explained")
            ));
        }
    }

    fn check(&self) -> Result<()> {
        ensure!(
            self.unexplained.is_empty(),
            "these tests differ and nobody has said why: {}",
            self.unexplained.join(", ")
        );
        Ok(())
    }

    fn text(&self) -> String {
        let mut text = String::from(
            "# Compatibility\n\n\
             Made by `cargo xtask compat`, which runs other people's test suites unmodified on two guests of the same kernel: *stock* has Linux'\n\
             own network stack, *nexus* has none and nexus.ko instead. Counts are passed / skipped / failed.\n\n\
             | suite | about | stock | nexus | differ | of revision |\n|---|---|---|---|---|---|\n",
        );
        text.push_str(&self.rows.concat());
        text.push_str("\n## What differs, and why\n\n");
        if self.differences.is_empty() {
            text.push_str("Nothing.\n");
        } else {
            text.push_str("| suite | test | stock | nexus | why |\n|---|---|---|---|---|\n");
            text.push_str(&self.differences.concat());
        }
        text.push_str(include_str!("compat_notes.md"));
        text
    }
}
