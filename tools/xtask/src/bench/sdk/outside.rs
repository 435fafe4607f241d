// SPDX-License-Identifier: Apache-2.0
//! Processes of this machine: the SDK by itself, and the shim in local mode.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use nexus_testbed::{Options, Testbed};
use serde::{Deserialize, Serialize};

use super::language::Language;
use super::store::TlsStore;
use super::{BUCKET, Inputs, OPERATIONS, SIZES};
use crate::{paths, process, step};

/// How often a figure is taken; the least counts, for whatever else the machine did only adds.
const RUNS: usize = 5;

/// How often cachegrind may be in vain.
const TRIES: usize = 3;

/// How far a process gets, each with what it is called.
const STAGES: [(&str, &str); 3] = [
    ("import", "import"),
    ("client", "and a client"),
    ("first", "and the first get"),
];

/// The SDK by itself, or the shim.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Sdk,
    Shim,
}

/// What one process needs.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(super) struct Cost {
    /// Instructions in user space, as cachegrind counts them.
    #[serde(default)]
    pub(super) instructions: u64,
    /// Processor time.
    pub(super) cpu_ns: u64,
    /// Processor time of nexusd.
    pub(super) backend_ns: u64,
    /// Private memory that was written to; of a call, memory that one more uses.
    pub(super) memory_kib: u64,
}

/// What was measured in both ways.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figure {
    pub(super) what: String,
    pub(super) sdk: Cost,
    pub(super) shim: Cost,
    /// The most instructions that the shim is to need.
    pub(super) goal: Option<u64>,
}

struct Bench<'a> {
    store: &'a TlsStore,
    nexus: &'a Testbed,
    language: &'a Language,
    /// The interpreter and the measured program.
    program: [PathBuf; 2],
}

/// Measures everything.
pub(super) fn measure(inputs: &Inputs, language: &Language) -> Result<Vec<Figure>> {
    let store = TlsStore::start(inputs)?;
    let nexus = Testbed::start(Options {
        programs: inputs.programs.clone(),
        kernel: inputs.kernel.clone(),
        configuration: String::new(),
        store: Some(store.address()),
    })?;
    let bench = Bench {
        store: &store,
        nexus: &nexus,
        language,
        program: (language.program)()?,
    };
    step::note(&format!("measuring {} outside of VMs", language.name));
    let mut figures = Vec::new();
    let mut add = |figure: Figure| {
        // It takes minutes until the table is there.
        let count = |cost: &Cost| super::report::millions(cost.instructions);
        let (sdk, shim) = (count(&figure.sdk), count(&figure.shim));
        step::note(&format!("{}: SDK {sdk}, shim {shim}", figure.what));
        figures.push(figure);
    };
    let bare = bench.both(&["start", "bare"], 1)?;
    for (stage, name) in STAGES {
        let total = bench.both(&["start", stage], 1)?;
        let [sdk, shim] = [0, 1].map(|way: usize| total[way].less(bare[way]));
        let goal = language.first_goal.filter(|_| stage == "first");
        add(Figure {
            what: name.to_owned(),
            sdk,
            shim,
            goal,
        });
    }
    for operation in OPERATIONS {
        for size in SIZES {
            let count = count(size);
            let [sdk, shim] = bench.both(&[operation, &size.to_string()], count)?;
            add(Figure {
                what: format!("{operation} {}", super::report::size(size)),
                sdk,
                shim,
                goal: (size == 1024).then_some(language.call_goal),
            });
        }
    }
    Ok(figures)
}

/// How many calls make a figure.
fn count(size: u64) -> u64 {
    match size {
        0..=0xffff => 1000,
        0x1_0000..=0xff_ffff => 100,
        _ => 10,
    }
}

impl Bench<'_> {
    /// What the program needs for `words`: of calls for each of `count`.
    fn both(&self, words: &[&str], count: u64) -> Result<[Cost; 2]> {
        let of = |way| {
            self.cost(way, words, count)
                .with_context(|| words.join(" "))
        };
        Ok([of(Way::Sdk)?, of(Way::Shim)?])
    }

    fn cost(&self, way: Way, words: &[&str], count: u64) -> Result<Cost> {
        let mut least = Cost {
            instructions: self.instructions(way, words, count)?,
            cpu_ns: u64::MAX,
            backend_ns: u64::MAX,
            memory_kib: u64::MAX,
        };
        let number = count.to_string();
        let pid = self.nexus.daemon_pid().to_string();
        let words: Vec<&str> = if words[0] == "start" {
            [words, &[&pid]].concat()
        } else {
            [words, &[&number, &pid]].concat()
        };
        for _ in 0..RUNS {
            let told = process::output(self.command(way, &[], &words).as_mut())?;
            let cost: Cost = serde_json::from_str(&told)
                .with_context(|| format!("the measured program printed {told:?}"))?;
            least.cpu_ns = least.cpu_ns.min(cost.cpu_ns / count);
            least.backend_ns = least.backend_ns.min(cost.backend_ns / count);
            least.memory_kib = least.memory_kib.min(cost.memory_kib);
        }
        Ok(least)
    }

    /// Instructions in user space; of calls the difference that some more of them make.
    fn instructions(&self, way: Way, words: &[&str], count: u64) -> Result<u64> {
        if words[0] == "start" {
            return self.counted(way, words);
        }
        let (few, many) = (2, 2 + count.min(self.language.counted_calls));
        let total = |count: u64| self.counted(way, &[words, &[&count.to_string()]].concat());
        Ok(total(many)?.saturating_sub(total(few)?) / (many - few))
    }

    fn counted(&self, way: Way, words: &[&str]) -> Result<u64> {
        // V8's own code sometimes faults under valgrind.
        let tries = (1..TRIES).find_map(|_| self.count_once(way, words).ok());
        tries.map_or_else(|| self.count_once(way, words), Ok)
    }

    fn count_once(&self, way: Way, words: &[&str]) -> Result<u64> {
        let valgrind = [
            "valgrind",
            "--tool=cachegrind",
            "--cache-sim=no",
            "--cachegrind-out-file=/dev/null",
        ];
        let mut command = self.command(way, &valgrind, words);
        let output = command.output().context("cannot start valgrind")?;
        let told = String::from_utf8_lossy(&output.stderr);
        let count = told
            .lines()
            .find_map(|line| line.split_once("refs:"))
            .and_then(|(_, count)| count.trim().replace(',', "").parse().ok());
        match count {
            Some(count) if output.status.success() => Ok(count),
            _ => bail!("cachegrind counted nothing: {told}"),
        }
    }

    fn command(&self, way: Way, wrapper: &[&str], words: &[&str]) -> Box<Command> {
        let inner = wrapper
            .iter()
            .map(PathBuf::from)
            .chain(self.program.clone());
        let mut inner: Vec<_> = inner.collect();
        let mut command = match way {
            Way::Sdk => {
                let mut command = Command::new(inner.remove(0));
                self.reach_store(&mut command);
                command
            }
            Way::Shim => {
                let mut command = self.nexus.nexus();
                command.args(["local", "--bucket", BUCKET, "--guest-dir"]);
                command.arg(paths::guest_files()).arg("--");
                command
            }
        };
        command.args(inner).args(words);
        command.env("PYTHONHASHSEED", "0");
        let warm_up = self.language.warm_up[usize::from(way == Way::Shim)];
        command.env("WARM_UP", warm_up.to_string());
        command.env("XDG_CACHE_HOME", self.nexus.folder());
        Box::new(command)
    }

    /// Tells the SDK where the store is, as a function that has keys is told.
    fn reach_store(&self, command: &mut Command) {
        let store = self.store.address();
        command
            .env("AWS_ACCESS_KEY_ID", &store.keys.access)
            .env("AWS_SECRET_ACCESS_KEY", &store.keys.secret)
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ENDPOINT_URL_S3", store.endpoint)
            .env("AWS_CA_BUNDLE", self.store.certificate())
            .env("NODE_EXTRA_CA_CERTS", self.store.certificate());
    }
}

impl Cost {
    /// Without what an interpreter that does nothing needs.
    fn less(self, bare: Self) -> Self {
        Self {
            instructions: self.instructions.saturating_sub(bare.instructions),
            cpu_ns: self.cpu_ns.saturating_sub(bare.cpu_ns),
            backend_ns: self.backend_ns,
            memory_kib: self.memory_kib.saturating_sub(bare.memory_kib),
        }
    }
}
