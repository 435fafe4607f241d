// SPDX-License-Identifier: Apache-2.0
//! What happened on the host during a measurement, beside time: context switches, exits of guests, interrupts for them.

use std::fs;
use std::ops::Sub;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};
use serde::Serialize;

/// Where KVM counts, for all guests together.
const KVM: &str = "/sys/kernel/debug/kvm";

/// Makes KVM's counters readable. Where debugfs is mounted already nothing happens.
pub(super) fn prepare() -> Result<()> {
    if fs::exists(KVM)? {
        return Ok(());
    }
    let mount = ["-t", "debugfs", "none", "/sys/kernel/debug"];
    let status = Command::new("mount").args(mount).status();
    let status = status.context("cannot start mount")?;
    anyhow::ensure!(status.success(), "mount {mount:?}: {status}");
    Ok(())
}

/// Counted since the host's start, or between two moments.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Counts {
    /// Context switches.
    pub(super) switches: u64,
    /// Times that a guest was left, whoever served it then.
    pub(super) exits: u64,
    /// Interrupts for guests.
    pub(super) interrupts: u64,
}

impl Counts {
    fn now() -> Result<Self> {
        Ok(Self {
            switches: switches()?,
            exits: of_kvm("exits")?,
            interrupts: of_kvm("irq_injections")?,
        })
    }
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            switches: self.switches - before.switches,
            exits: self.exits - before.exits,
            interrupts: self.interrupts - before.interrupts,
        }
    }
}

/// The moment at which a measurement begins.
pub(super) struct Beginning {
    counts: Counts,
    at: Instant,
}

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measurement {
    /// Time, in nanoseconds.
    pub(super) time: u64,
    pub(super) counts: Counts,
}

impl Beginning {
    pub(super) fn now() -> Result<Self> {
        // Reading counters takes time, which is not to be measured.
        Ok(Self {
            counts: Counts::now()?,
            at: Instant::now(),
        })
    }

    pub(super) fn end(self) -> Result<Measurement> {
        let time = self.at.elapsed().as_nanos();
        Ok(Measurement {
            time: u64::try_from(time)?,
            counts: Counts::now()? - self.counts,
        })
    }
}

fn switches() -> Result<u64> {
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().find_map(|line| line.strip_prefix("ctxt "));
    Ok(line.context("/proc/stat has no ctxt")?.trim().parse()?)
}

fn of_kvm(name: &str) -> Result<u64> {
    let path = format!("{KVM}/{name}");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    Ok(text.trim().parse()?)
}
