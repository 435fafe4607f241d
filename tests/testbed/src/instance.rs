// SPDX-License-Identifier: Apache-2.0
//! The VMs that run, as `nexus ps` shows them.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::Testbed;

impl Testbed {
    /// The one instance of a function, as `nexus ps` shows it.
    ///
    /// # Errors
    /// If the function has none, or several.
    pub fn instance(&self, function: &str) -> Result<Value> {
        let listed = self.nexus_json(&["ps"])?;
        let all = listed["instances"]
            .as_array()
            .context("nexus ps printed no list")?;
        let mut mine = all
            .iter()
            .filter(|instance| instance["function"] == function);
        let found = mine
            .next()
            .with_context(|| format!("{function} has no instance: {listed}"))?;
        ensure!(
            mine.next().is_none(),
            "{function} has several instances: {listed}"
        );
        Ok(found.clone())
    }

    /// Process id of the VMM of a function's one instance.
    ///
    /// # Errors
    /// As [`Testbed::instance`].
    pub fn vmm(&self, function: &str) -> Result<u32> {
        let instance = self.instance(function)?;
        let pid = instance["pid"]
            .as_u64()
            .with_context(|| format!("no pid in {instance}"))?;
        Ok(u32::try_from(pid)?)
    }
}
