// SPDX-License-Identifier: Apache-2.0
//! The part that needs KVM: calls in a guest, counted by all that they cause on the machine.

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
    /// Instructions of everything, in the order of [`WAYS`].
    pub(super) instructions: [u64; 3],
}

/// Measures, prints the table and writes the JSON.
pub(crate) fn job(inputs: &Inputs) -> Result<()> {
    let store = TlsStore::start(inputs)?;
    let nexus = Testbed::start(Options {
        programs: inputs.programs.clone(),
        kernel: inputs.kernel.clone(),
        configuration: String::new(),
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
            let mut instructions = [0; WAYS.len()];
            for (way, place) in WAYS.iter().zip(&mut instructions) {
                *place = cost(nexus, (language, way), operation, size)
                    .with_context(|| format!("{what} by {}", way.name))?;
            }
            println!("{}: {what}: {instructions:?}", language.name);
            figures.push(Figure { what, instructions });
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
) -> Result<u64> {
    let function = language.function(way.has_shim);
    let spent = |count: u64| -> Result<u64> {
        let event = json!({ "what": operation, "size": size, "count": count, "tls": way.tls });
        let reply = nexus.invoke(&function, &event)?;
        let request = reply.request_id.clone();
        reply.success()?;
        // Microseconds of the lab's clock, whose nanoseconds are instructions.
        Ok(mark(&timeline(nexus, &request)?, "done")? * 1000)
    };
    // The least of some, since waits that have nothing to do with it only add.
    let least = |count: u64| -> Result<u64> {
        let spent = [spent(count)?, spent(count)?, spent(count)?];
        Ok(spent.into_iter().fold(u64::MAX, u64::min))
    };
    let (few, many) = if size > 1 << 20 { (1, 3) } else { (2, 12) };
    // Connections, and whatever is done once.
    spent(few)?;
    let less = least(few)?;
    Ok(least(many)?.saturating_sub(less) / (many - few))
}
