// SPDX-License-Identifier: Apache-2.0
//! `nexus build`: a function image becomes a root file system.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use nexus_rootfs::{BuildOptions, GuestFiles};
use serde_json::json;

use super::Outcome;
use crate::output::progress::Bar;
use crate::output::{Output, cell, mib};

/// Make a root file system out of a function image: an OCI layout folder, an OCI archive or the output of `docker save`.
#[derive(Debug, Args)]
pub(crate) struct Build {
    /// The image.
    image: PathBuf,
    /// Where the root goes.
    #[arg(long, short)]
    output: PathBuf,
    /// Folder of the guest's files: nexus-init, nexus.ko and libnexus_preload.so.
    #[arg(long, env = "NEXUS_GUEST_DIR", default_value = "/usr/lib/nexus")]
    guest_dir: PathBuf,
    /// Put the probes of `nexus compat --probes` into it.
    #[arg(long)]
    probes: bool,
}

impl Build {
    pub(super) fn run(self, output: Output) -> Outcome {
        let guest = GuestFiles::in_folder(&self.guest_dir, self.probes);
        let bar = Bar::new();
        let options = BuildOptions {
            image: self.image,
            guest,
            output: self.output,
        };
        let report = nexus_rootfs::build(&options, &bar);
        bar.clear();
        let report = report?;
        for sdk in &report.sdks {
            if let Some(reason) = &sdk.left_out {
                eprintln!(
                    "note: no shim for {}, whose calls are all its own: {reason}",
                    sdk.path
                );
            }
        }
        let mut value = serde_json::to_value(report)?;
        value["root"] = json!(options.output);
        output.show(&value, |value| {
            format!(
                "{}: {}, {} files, {} layers, image {}\n",
                cell(value, "/root"),
                mib(value, "/size", 1),
                cell(value, "/files"),
                cell(value, "/layers"),
                cell(value, "/image_digest")
            )
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
