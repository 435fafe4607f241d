// SPDX-License-Identifier: Apache-2.0
//! Named steps with progress: a spinner with the latest line of output on a terminal, one line a step elsewhere.

use std::fs::File;
use std::io::{IsTerminal, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::paths;

/// A step under way.
pub(crate) struct Step {
    bar: ProgressBar,
    log: PathBuf,
    title: String,
}

impl Step {
    /// Where this step's commands write their output.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Shows the latest line of the log beside the spinner.
    pub(crate) fn refresh(&self) {
        if let Some(line) = last_line(&self.log) {
            self.bar.set_message(format!("{}: {line}", self.title));
        }
        self.bar.tick();
    }
}

/// Does one step, saying its name, and how long it took.
pub(crate) fn run<T>(title: &str, work: impl FnOnce(&Step) -> Result<T>) -> Result<T> {
    let started = Instant::now();
    let step = begin(title)?;
    let result = work(&step);
    step.bar.finish_and_clear();
    match result {
        Ok(value) => {
            println!("  done    {title} ({})", seconds(started.elapsed()));
            Ok(value)
        }
        Err(error) => Err(error.context(format!(
            "step failed: {title} (log: {})",
            step.log.display()
        ))),
    }
}

/// Says that a step's result was there already.
pub(crate) fn cached(title: &str) {
    println!("  cached  {title}");
}

/// Says something about what happens, in the form of the steps.
pub(crate) fn note(text: &str) {
    println!("  note    {text}");
}

fn begin(title: &str) -> Result<Step> {
    let logs = paths::cache().join("logs");
    fs::create_dir_all(&logs).with_context(|| format!("cannot create {}", logs.display()))?;
    let name: String = title
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let log = logs.join(format!("{name}.log"));
    File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let bar = ProgressBar::new_spinner();
    if !io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
        println!("  start   {title}");
    }
    let style = ProgressStyle::with_template("  {spinner} {elapsed:>5} {wide_msg}")
        .context("progress template")?;
    bar.set_style(style);
    bar.set_message(title.to_owned());
    Ok(Step {
        bar,
        log,
        title: title.to_owned(),
    })
}

/// The last line that a log holds, from its last KiB.
fn last_line(log: &Path) -> Option<String> {
    let mut file = File::open(log).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(1024)))
        .ok()?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).ok()?;
    String::from_utf8_lossy(&tail)
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .map(str::to_owned)
}

/// A duration as people write it.
pub(crate) fn seconds(elapsed: Duration) -> String {
    match elapsed.as_secs() {
        0..60 => format!("{:.1} s", elapsed.as_secs_f32()),
        whole => format!("{} min {} s", whole / 60, whole % 60),
    }
}
