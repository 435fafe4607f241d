// SPDX-License-Identifier: Apache-2.0
//! Ends a run in which a case takes too long, after it has said what everybody concerned was doing.
//!
//! A case that waits for ever says nothing, and neither does what it waits for; whoever reads about it later has only what is
//! printed here.

use std::fs;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::cases;

/// How long a case may take; the longest takes a minute, but for those that run by their names.
const LIMIT: Duration = Duration::from_secs(900);
/// How long it may take on a kernel that looks for faults, or if it runs by its name only.
const LIMIT_SLOW: Duration = Duration::from_secs(2400);
/// Lines of a log that are repeated.
const TAIL: usize = 25;

/// What is looked at when a case takes too long.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// nexusd's process, which ends with the run.
    pub(crate) daemon: libc::pid_t,
    /// Its folder, with its log and its guests' consoles.
    pub(crate) folder: std::path::PathBuf,
    /// Whether the guests' kernel looks for faults.
    pub(crate) checked_kernel: bool,
}

/// Watches until it is dropped.
pub(crate) struct Watch {
    /// Its end tells the thread that the case has ended.
    _ended: Sender<()>,
}

/// Watches a case that starts now.
pub(crate) fn watch(case: &'static str, subject: Subject) -> Watch {
    let (sender, ended) = channel();
    let limit = if subject.checked_kernel || cases::by_name().any(|slow| slow.name == case) {
        LIMIT_SLOW
    } else {
        LIMIT
    };
    thread::spawn(move || {
        if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            println!(
                "FAILED: {case} has not ended after {} s; the run ends here",
                limit.as_secs()
            );
            println!("{}", report(&subject));
            // SAFETY: a plain system call on the id of a child that nobody waits for while the run goes on.
            unsafe { libc::kill(subject.daemon, libc::SIGKILL) };
            std::process::exit(1);
        }
    });
    Watch { _ended: sender }
}

fn report(subject: &Subject) -> String {
    let mut report = format!("interrupts of each processor in a second: {}\n", timers());
    for process in processes() {
        report += &process;
    }
    report += &tail(&subject.folder.join("nexusd.log"));
    if let Ok(logs) = fs::read_dir(subject.folder.join("state/logs")) {
        for log in logs.flatten() {
            report += &tail(&log.path());
        }
    }
    report
}

/// How many local timer interrupts and calls between processors came within a second: a processor without any has stopped.
fn timers() -> String {
    let count = || {
        let text = fs::read_to_string("/proc/interrupts").unwrap_or_default();
        let lines = text.lines().filter(|line| {
            let name = line.trim_start();
            name.starts_with("LOC:") || name.starts_with("RES:") || name.starts_with("CAL:")
        });
        let numbers = |line: &str| {
            let words = line.split_whitespace().skip(1);
            words
                .map_while(|word| word.parse().ok())
                .collect::<Vec<u64>>()
        };
        lines.map(numbers).collect::<Vec<_>>()
    };
    let before = count();
    thread::sleep(Duration::from_secs(1));
    let after = count();
    let rates = before.iter().zip(&after).map(|(before, after)| {
        let each = before.iter().zip(after);
        each.map(|(before, after)| after - before)
            .collect::<Vec<_>>()
    });
    format!(
        "{:?} (local timer, rescheduling, calls)",
        rates.collect::<Vec<_>>()
    )
}

/// What each thread of the processes that make up a Nexus does.
fn processes() -> Vec<String> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let folders = entries.flatten().map(|entry| entry.path());
    folders.filter_map(|folder| threads(&folder)).collect()
}

fn threads(process: &Path) -> Option<String> {
    let name = fs::read_to_string(process.join("comm")).ok()?;
    if !name.starts_with("nexus") && !name.starts_with("curl") {
        return None;
    }
    let threads = fs::read_dir(process.join("task")).ok()?.flatten();
    let lines = threads.map(|thread| line(&thread.path()));
    Some(format!(
        "{} {name}{}",
        process.display(),
        lines.collect::<String>()
    ))
}

/// One thread in one line.
fn line(thread: &Path) -> String {
    let read = |file: &str| fs::read_to_string(thread.join(file)).unwrap_or_default();
    let stat = read("stat");
    // After the name in brackets: state, then user and system time as the 12th and 13th field (proc_pid_stat(5)).
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let field = |index: usize| fields.get(index).copied().unwrap_or("?");
    let call = read("syscall");
    format!(
        "  {:18} {} user {} system {} ticks, in {}, system call {}\n",
        read("comm").trim(),
        field(0),
        field(11),
        field(12),
        read("wchan"),
        call.split_whitespace().next().unwrap_or("?"),
    )
}

fn tail(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(TAIL)..].join("\n");
    format!("--- the end of {}\n{last}\n", path.display())
}
