// SPDX-License-Identifier: Apache-2.0
//! The part that needs KVM: calls in a guest, counted by all that they cause on the machine.

use std::fs;

use anyhow::{Context, Result};
use nexus_testbed::{Deployment, Options, Testbed};
use serde::Serialize;
use serde_json::json;

use super::language::{LANGUAGES, Language};
use super::store::TlsStore;
use super::{BUCKET, Inputs, OPERATIONS, SIZES, report};
use crate::bench::job::{mark, timeline};

/// A way by which a function reaches the store.
pub(super) struct Way {
    pub(super) name: &'static str,
    has_shim: bool,
    tls: bool,
}

/// All of them, the one that they are compared to first.
pub(super) const WAYS: [Way; 3] = [
    Way {
        name: "SDK, TLS",
        has_shim: false,
        tls: true,
    },
    Way {
        name: "SDK, HTTP",
        has_shim: false,
        tls: false,
    },
    Way {
        name: "shim",
        has_shim: true,
        tls: false,
    },
];

/// What a call costs, in each way.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figure {
    pub(super) what: String,
    /// In the order of [`WAYS`].
    pub(super) costs: [Cost; 3],
}

/// Instructions that a call causes.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Cost {
    /// Of everything on the machine.
    pub(super) all: u64,
    /// Of the VM's process and its guest.
    pub(super) vm: u64,
    /// Of nexusd. With the system calls that it makes, as the VM's.
    pub(super) nexusd: u64,
}

impl Cost {
    /// The least of each.
    fn least(self, other: Self) -> Self {
        self.with(other, u64::min)
    }

    fn less(self, other: Self) -> Self {
        self.with(other, u64::saturating_sub)
    }

    fn by(self, count: u64) -> Self {
        self.with(self, |one, _| one / count)
    }

    fn with(self, other: Self, of: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            all: of(self.all, other.all),
            vm: of(self.vm, other.vm),
            nexusd: of(self.nexusd, other.nexusd),
        }
    }
}

/// Measures, prints the table and writes the JSON.
pub(crate) fn job(inputs: &Inputs) -> Result<()> {
    let store = TlsStore::start(inputs)?;
    let nexus = Testbed::start(Options {
        programs: inputs.programs.clone(),
        kernel: inputs.kernel.clone(),
        // By the lab's clock, which runs on while a program is read over its network file system, the calls of one way are long apart.
        configuration: "[pool]\nidle_timeout_s = 86400\n".to_owned(),
        store: Some(store.address()),
    })?;
    let mut all = serde_json::Map::new();
    for language in LANGUAGES {
        deploy(&nexus, inputs, &language)?;
        let figures =
            measure(&nexus, &language).with_context(|| format!("nexusd's log: {}", nexus.log()))?;
        report::guest(&language, &figures);
        all.insert(language.name.to_owned(), json!(figures));
    }
    inputs.write("sdk-guest.json", &json!(all))
}

/// A function with the shim, and one without.
fn deploy(nexus: &Testbed, inputs: &Inputs, language: &Language) -> Result<()> {
    let root = inputs.roots.join(format!("{}.erofs", language.image));
    for has_shim in [true, false] {
        let mut deployment = Deployment::new(&language.function(has_shim), &root)
            .with("--memory", "384")
            .with("--timeout", "900")
            .with("--bucket", BUCKET)
            // A put is to be a whole one when its call is done.
            .with("--writeback", "sync");
        if !has_shim {
            deployment = deployment.with("--env", "NEXUS_SDK=off");
        }
        nexus.deploy(&deployment)?;
    }
    Ok(())
}

fn measure(nexus: &Testbed, language: &Language) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for operation in OPERATIONS {
        for size in SIZES {
            let what = format!("{operation} {}", report::size(size));
            let mut costs = [Cost::default(); WAYS.len()];
            for (way, place) in WAYS.iter().zip(&mut costs) {
                *place = cost(nexus, (language, way), operation, size)
                    .with_context(|| format!("{what} by {}", way.name))?;
            }
            println!("{}: {what}: {costs:?}", language.name);
            figures.push(Figure { what, costs });
        }
    }
    Ok(figures)
}

/// What one more call costs.
fn cost(
    nexus: &Testbed,
    (language, way): (&Language, &Way),
    operation: &str,
    size: u64,
) -> Result<Cost> {
    let function = language.function(way.has_shim);
    let event =
        |count: u64| json!({ "what": operation, "size": size, "count": count, "tls": way.tls });
    let (few, many) = if size > 1 << 20 { (1, 3) } else { (2, 12) };
    // Connections, and whatever is done once.
    nexus.invoke(&function, &event(few))?.success()?;
    let vmm = nexus.vmm(&function)?;
    let spent = |count: u64| -> Result<Cost> {
        let before = ran(nexus, vmm)?;
        let reply = nexus.invoke(&function, &event(count))?;
        let request = reply.request_id.clone();
        reply.success()?;
        let after = ran(nexus, vmm)?;
        Ok(Cost {
            // Microseconds of the lab's clock, whose nanoseconds are instructions.
            all: mark(&timeline(nexus, &request)?, "done")? * 1000,
            ..after.less(before)
        })
    };
    // The least of some, since waits that have nothing to do with it only add.
    let least = |count: u64| -> Result<Cost> {
        Ok(spent(count)?.least(spent(count)?).least(spent(count)?))
    };
    let less = least(few)?;
    Ok(least(many)?.less(less).by(many - few))
}

/// What a VM and nexusd have run for so far.
fn ran(nexus: &Testbed, vmm: u32) -> Result<Cost> {
    Ok(Cost {
        all: 0,
        vm: processor_ns(vmm)?,
        nexusd: processor_ns(nexus.daemon_pid())?,
    })
}

/// Processor time of all threads of a process that are there; a guest runs in those of its processors.
fn processor_ns(pid: u32) -> Result<u64> {
    let mut total = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let first = text.split(' ').next().unwrap_or_default();
        total += first
            .parse::<u64>()
            .with_context(|| format!("schedstat of process {pid}: {text:?}"))?;
    }
    Ok(total)
}
