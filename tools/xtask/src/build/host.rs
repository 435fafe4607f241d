// SPDX-License-Identifier: Apache-2.0
//! nexusd, nexus-vmm, nexus, what makes the SDK shim's tables, and the end-to-end test runner.

use std::process::Command;

use anyhow::Result;

use crate::{paths, process, step};

/// Builds the host's programs into [`paths::host_programs`].
pub(crate) fn programs() -> Result<()> {
    step::run("host programs", |step| {
        let mut build = Command::new("cargo");
        build
            .current_dir(paths::repository())
            .args(["build", "--profile", "lab"]);
        for package in [
            "nexusd",
            "nexus-vmm",
            "nexus-cli",
            "nexus-sdk-tables",
            "nexus-e2e",
            "xtask",
        ] {
            build.args(["--package", package]);
        }
        process::run(step, &mut build)
    })
}
