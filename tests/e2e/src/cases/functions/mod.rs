// SPDX-License-Identifier: Apache-2.0
//! Functions as people write them, each in three ways: in a guest with Linux' own network stack, whose SDK has keys and speaks to the
//! services itself; in a Nexus guest without the shim; and in a Nexus guest as it is deployed. What callers are told and what the services
//! hold in the end has to be the same.
//!
//! The functions are `tests/images/functions/workloads*`, in images that hold nothing of the test; their inputs and events
//! `scenarios.py`. The cases run by their names only, for each starts many guests.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use nexus_testbed::{Deployment, Reply, Store, Testbed};
use serde_json::Value;

use super::Case;
use crate::bed::Bed;

mod runtime;
mod services;
mod stock;

pub(super) use services::Services;
use services::Step;
use stock::{Guest, Orders};

/// The cases.
pub(crate) const CASES: &[&Case] = &[
    &Case {
        name: "functions_python",
        guest,
        host: |bed| all(bed, PYTHON),
    },
    &Case {
        name: "functions_handed_over",
        guest,
        host: |bed| all(bed, HANDED_OVER),
    },
    &Case {
        name: "functions_node",
        guest,
        host: |bed| all(bed, NODE),
    },
    &Case {
        name: "functions_by_name",
        guest,
        host: |bed| all(bed, BY_NAME),
    },
];

/// What the cases need beside a Nexus.
#[derive(Clone, Debug)]
pub(crate) struct Needs {
    /// A kernel with Linux' own network stack.
    pub(crate) kernel: PathBuf,
    /// A Python that has moto.
    pub(crate) python: PathBuf,
}

/// Some functions that work together, and what they are given.
struct Scenario {
    /// As `scenarios.py` calls it.
    name: &'static str,
    image: &'static str,
    /// The buckets that it has.
    buckets: &'static [&'static str],
    /// The functions' SDK finds the services by their own names.
    by_name: bool,
    by_shim: ByShim,
}

/// Which of a scenario's calls the shim makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ByShim {
    All,
    Some,
    /// There is none for its SDK.
    None,
}

const PYTHON: &[Scenario] = &[
    python("thumbnail", &["photos"], ByShim::All),
    python("words", &["words"], ByShim::All),
    python("train", &["houses"], ByShim::All),
    python("compress", &["files"], ByShim::All),
];

/// Functions of which the shim makes some calls and the image's SDK others.
const HANDED_OVER: &[Scenario] = &[
    // It asks with half a key: an error that no model names.
    python("crud", &[], ByShim::Some),
];

const NODE: &[Scenario] = &[Scenario {
    name: "pictures",
    image: "workloads-node",
    buckets: &["photos"],
    by_name: false,
    by_shim: ByShim::All,
}];

const BY_NAME: &[Scenario] = &[
    Scenario {
        name: "backup",
        image: "workloads-old",
        buckets: &["source", "target", "no"],
        by_name: true,
        by_shim: ByShim::All,
    },
    // There is no shim of version 2 for Node.
    Scenario {
        name: "report",
        image: "workloads-node",
        buckets: &["logs", "no"],
        by_name: true,
        by_shim: ByShim::None,
    },
];

const fn python(name: &'static str, buckets: &'static [&'static str], by_shim: ByShim) -> Scenario {
    Scenario {
        name,
        image: "workloads",
        buckets,
        by_name: false,
        by_shim,
    }
}

/// How a scenario is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Stock,
    Sockets,
    Shim,
}

/// What a caller is told.
#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    Result(Value),
    /// Kind and message.
    Error(Value, String),
}

impl Outcome {
    /// Of what a runtime reports.
    fn of_error(report: &Value) -> Self {
        let message = report["errorMessage"].as_str().unwrap_or_default();
        Self::Error(report["errorType"].clone(), without_addresses(message))
    }

    fn of_reply(reply: Reply) -> Result<Self> {
        ensure!(reply.status == 200, "not invoked: {reply:?}");
        Ok(match reply.function_error {
            None => Self::Result(reply.payload),
            Some(_) => Self::of_error(&reply.payload),
        })
    }
}

/// A message without the addresses of Python's objects.
fn without_addresses(message: &str) -> String {
    let mut parts = message.split(" at 0x");
    let mut rest = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        rest += part.trim_start_matches(|digit: char| digit.is_ascii_hexdigit());
    }
    rest
}

/// The guest's half proper is in the images; the agent has none.
fn guest(arguments: &Value) -> Result<Value> {
    anyhow::bail!("this case is not for the agent: {arguments}")
}

fn all(bed: &Bed, scenarios: &[Scenario]) -> Result<()> {
    let needs = bed.needs.as_ref().context("run it by its name")?;
    let mut services = Services::start(&needs.python)?;
    let mut options = bed.testbed.options().clone();
    let url = format!("http://127.0.0.1:{}", services.port);
    options.configuration =
        format!("[gateway.endpoints]\ndynamodb = \"{url}\"\n[pool]\nmax_instances = 2\n");
    options.store = Some(Store {
        endpoint: url,
        keys: bed.testbed.keys().clone(),
        trusted: None,
    });
    let testbed = Testbed::start(options)?;
    let mut findings = Vec::new();
    for scenario in scenarios {
        let mut run = Run {
            scenario,
            needs,
            testbed: &testbed,
            services: &mut services,
            root: bed.root(scenario.image),
        };
        // All are run, for each takes long.
        let found = run
            .findings()
            .unwrap_or_else(|error| vec![format!("{error:#}")]);
        for finding in found {
            eprintln!("{}: {finding}", scenario.name);
            findings.push(format!("{}: {finding}", scenario.name));
        }
    }
    ensure!(
        findings.is_empty(),
        "functions do something else than on Linux:\n{}",
        findings.join("\n")
    );
    Ok(())
}

/// A scenario on its way.
struct Run<'a> {
    scenario: &'a Scenario,
    needs: &'a Needs,
    testbed: &'a Testbed,
    services: &'a mut Services,
    root: PathBuf,
}

/// What came of it.
struct Seen {
    outcomes: Vec<Outcome>,
    state: Value,
    /// An SDK was among those who spoke to the services.
    by_sdk: bool,
    /// And somebody who does not call himself one, as the gateway for a shim.
    by_others: bool,
}

impl Run<'_> {
    /// What is not as it should be.
    fn findings(&mut self) -> Result<Vec<String>> {
        let shim = self.by(Mode::Shim)?;
        let sockets = self.by(Mode::Sockets)?;
        let stock = self.by(Mode::Stock)?;
        let mut findings = stock.differences(&sockets, "sockets");
        findings.extend(stock.differences(&shim, "shim"));
        let by_shim = match (shim.by_others, shim.by_sdk) {
            (true, false) => ByShim::All,
            (true, true) => ByShim::Some,
            (false, _) => ByShim::None,
        };
        if by_shim != self.scenario.by_shim {
            findings.push(format!("{by_shim:?} of the calls were the shim's"));
        }
        if sockets.by_others || stock.by_others {
            findings.push("somebody else than an SDK made calls without the shim".to_owned());
        }
        if !sockets.by_sdk || !stock.by_sdk {
            findings.push("nobody called himself an SDK".to_owned());
        }
        Ok(findings)
    }

    fn by(&mut self, mode: Mode) -> Result<Seen> {
        // Each takes minutes in emulation.
        eprintln!("{} by {mode:?}", self.scenario.name);
        let steps = self.services.prepare(self.scenario.name)?;
        let outcomes = match mode {
            Mode::Stock => self.beside(&steps),
            Mode::Sockets | Mode::Shim => self.in_nexus(&steps, mode),
        };
        let outcomes = outcomes.with_context(|| format!("by {mode:?}"))?;
        let mut state = self.services.state()?;
        let agents = state["agents"].take();
        let agents = agents.as_array().context("no agents")?;
        let is_sdk = |agent: &str| agent.contains("Boto3") || agent.contains("aws-sdk");
        // The gateway fetches what it has learned that a function reads, in whose name nobody asks.
        let asks = |agent: &&str| !agent.starts_with("nexus/");
        let agents = agents.iter().filter_map(Value::as_str).filter(asks);
        let mut agents = agents.map(is_sdk);
        let by_sdk = agents.clone().any(|is_sdk| is_sdk);
        let by_others = agents.any(|is_sdk| !is_sdk);
        Ok(Seen {
            outcomes,
            state,
            by_sdk,
            by_others,
        })
    }

    /// By Nexus guests.
    fn in_nexus(&self, steps: &[Step], mode: Mode) -> Result<Vec<Outcome>> {
        for module in modules(steps) {
            let mut function = Deployment::new(module, &self.root)
                .with("--memory", "512")
                .with("--timeout", "300")
                .with("--service", "dynamodb");
            for bucket in self.scenario.buckets {
                function = function.with("--bucket", bucket);
            }
            if mode == Mode::Sockets {
                function = function.with("--env", "NEXUS_SDK=off");
            }
            self.testbed
                .deploy(&function.with("--command", &format!("{module}.handler")))?;
        }
        let invoke =
            |step: &Step| Outcome::of_reply(self.testbed.invoke(&step.module, &step.event)?);
        steps.iter().map(invoke).collect()
    }

    /// By guests with Linux' own network stack, one for each function in turn.
    fn beside(&self, steps: &[Step]) -> Result<Vec<Outcome>> {
        let orders = Orders {
            by_name: self.scenario.by_name,
            buckets: self.scenario.buckets,
        };
        let name = self.root.file_name().context("a root without a name")?;
        // Where deploying has put it.
        let root = self.testbed.folder().join(name);
        let mut outcomes = Vec::new();
        for steps in steps.chunk_by(|one, next| one.module == next.module) {
            let handler = format!("{}.handler", steps[0].module);
            let (kernel, folder) = (&self.needs.kernel, self.testbed.folder());
            let mut guest = Guest::start(kernel, &root, &handler, self.services, &orders, folder)?;
            for step in steps {
                outcomes.push(guest.invoke(&step.event)?);
            }
        }
        Ok(outcomes)
    }
}

/// The modules of the functions, each once.
fn modules(steps: &[Step]) -> Vec<&str> {
    let mut modules: Vec<_> = steps.iter().map(|step| step.module.as_str()).collect();
    modules.sort_unstable();
    modules.dedup();
    modules
}

impl Seen {
    /// What is not the same in `other`.
    fn differences(&self, other: &Self, mode: &str) -> Vec<String> {
        let mut found = Vec::new();
        let pairs = self.outcomes.iter().zip(&other.outcomes);
        for (number, (stock, this)) in pairs.enumerate() {
            if stock != this {
                found.push(format!(
                    "step {number}, by {mode}: {this:?} instead of {stock:?}"
                ));
            }
        }
        if self.state != other.state {
            found.push(format!(
                "by {mode}: the services hold {} instead of {}",
                other.state, self.state
            ));
        }
        found
    }
}
