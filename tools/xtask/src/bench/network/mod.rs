// SPDX-License-Identifier: Apache-2.0
//! Bytes and round trips between a guest and its host: by Nexus, by virtio-net served by vhost or by QEMU, and by
//! vhost-vsock, in one run; and between two processes of the host, which is what a VM cannot be below.
//!
//! Each system does the same: one stream out of the guest, one into it, and messages there and back. What is measured is the time
//! on the host between the first byte and the last, which under the lab's instruction clock counts the instructions of everything:
//! guest, host kernel, backend. The other systems run on QEMU and the guest's kernel with Linux' own network stack.

mod counts;
mod plot;
mod report;
mod server;
mod systems;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;
use serde_json::json;

use self::counts::{Counts, Measurement};
use self::server::{BULK, Order, TRIPS, WARM_UP};
use self::systems::Served;
use crate::build;
use crate::setup::kernel::{Flavour, Kernel};
use crate::{lab, paths, step};

/// What the part that needs KVM is given.
#[derive(Clone, Debug, Args)]
pub(crate) struct Inputs {
    /// Folder of nexusd, nexus-vmm and nexus.
    #[arg(long)]
    programs: PathBuf,
    /// The Nexus guest's kernel.
    #[arg(long)]
    kernel: PathBuf,
    /// The kernel with Linux' own network stack.
    #[arg(long)]
    stock_kernel: PathBuf,
    /// Root file system of the agent.
    #[arg(long)]
    agent: PathBuf,
    /// Folder for results.
    #[arg(long)]
    folder: PathBuf,
}

/// Sets everything up and measures.
pub(crate) fn run() -> Result<()> {
    let built = build::everything(Flavour::Plain)?;
    let stock = Kernel::ensure(Flavour::Stock)?;
    let folder = paths::runs().join("bench-network");
    let mut words = vec![
        paths::host_programs().join("xtask").display().to_string(),
        "bench-network-job".to_owned(),
    ];
    for (flag, path) in [
        ("--programs", paths::host_programs()),
        ("--kernel", built.kernel),
        ("--stock-kernel", stock.image()),
        ("--agent", paths::images().join("agent.erofs")),
        ("--folder", folder.clone()),
    ] {
        words.extend([flag.to_owned(), path.display().to_string()]);
    }
    let place = lab::Place::find()?;
    step::note("measuring five systems; under instruction counting this takes some minutes");
    place.run(&lab::Job {
        folder: &folder,
        clock: lab::Clock::Instructions,
        limit: Some(super::LIMIT),
        program: &words,
    })
}

/// What one thing costs: a byte, or a round trip.
#[derive(Clone, Debug, Serialize)]
struct Cost {
    /// Nanoseconds, which are instructions under the lab's clock.
    time: f64,
    /// What happened for a MiB, or for a round trip.
    switches: f64,
    exits: f64,
    interrupts: f64,
}

/// What one system needs.
#[derive(Clone, Debug, Serialize)]
struct Costs {
    system: &'static str,
    out_of_guest: Cost,
    into_guest: Cost,
    round_trip: Cost,
}

/// What was measured: Nexus, what it is compared to, and how far it could go.
#[derive(Clone, Debug, Serialize)]
struct Results {
    nexus: Costs,
    /// Both ways to serve virtio-net.
    virtio_net: [Costs; 2],
    vsock: Costs,
    /// Without any VM.
    process: Costs,
}

impl Results {
    fn all(&self) -> [&Costs; 5] {
        let [vhost, qemu] = &self.virtio_net;
        [&self.nexus, vhost, qemu, &self.vsock, &self.process]
    }
}

/// Measures all of them.
pub(crate) fn job(inputs: &Inputs) -> Result<()> {
    counts::prepare()?;
    let virtio_net = |served| {
        systems::virtio_net(inputs, served).with_context(|| format!("virtio-net {served:?}"))
    };
    let results = Results {
        nexus: systems::nexus(inputs).context("nexus")?,
        virtio_net: [virtio_net(Served::ByVhost)?, virtio_net(Served::ByQemu)?],
        vsock: systems::vsock(inputs).context("vhost-vsock")?,
        process: systems::process(inputs).context("no VM")?,
    };
    report::print(&results);
    let path = inputs.folder.join("network.json");
    fs::write(&path, format!("{:#}\n", json!(results)))?;
    let picture = inputs.folder.join("network.svg");
    plot::draw(&results, &picture)?;
    println!("\nwritten to {} and {}", path.display(), picture.display());
    Ok(())
}

impl Cost {
    /// Of one of `count` units; of things that happened, for each of `larger` units.
    #[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
    fn new(measured: Measurement, count: u64, larger: u64) -> Self {
        let Counts {
            switches,
            exits,
            interrupts,
        } = measured.counts;
        let each = |number: u64| number as f64 / larger as f64;
        Self {
            time: measured.time as f64 / count as f64,
            switches: each(switches),
            exits: each(exits),
            interrupts: each(interrupts),
        }
    }
}

impl Costs {
    fn new(
        system: &'static str,
        measure: &mut impl FnMut(Order) -> Result<Measurement>,
    ) -> Result<Self> {
        let [out, into, trips] = Order::ALL.map(measure);
        let trips_measured = TRIPS - WARM_UP;
        Ok(Self {
            system,
            out_of_guest: Cost::new(out?, BULK, BULK >> 20),
            into_guest: Cost::new(into?, BULK, BULK >> 20),
            round_trip: Cost::new(trips?, trips_measured, trips_measured),
        })
    }
}
