// SPDX-License-Identifier: Apache-2.0
//! `nexus doctor`: what this host can do, found out by trying, and what to do about the rest.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::process::Command;

use super::Outcome;
use crate::admin::Admin;
use crate::output::{Output, cell, table::table};

/// Memory of the smallest useful VM and the daemon beside it, in KiB.
const MEMORY_LEAST_KIB: u64 = 256 * 1024;

/// Check whether this host can run functions, and say what to do where it cannot.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Folder of nexus-vmm, vmlinux and the guest's files.
    #[arg(long, env = "NEXUS_GUEST_DIR", default_value = "/usr/lib/nexus")]
    guest_dir: PathBuf,
    /// The program nexus-vmm, if it is not in that folder.
    #[arg(long)]
    vmm: Option<PathBuf>,
    /// The guest kernel, if it is not in that folder.
    #[arg(long)]
    kernel: Option<PathBuf>,
}

/// One finding.
#[derive(Debug, Serialize)]
struct Check {
    what: &'static str,
    ok: bool,
    /// What was found; what to do, if it is not good.
    finding: String,
}

impl Doctor {
    pub(super) async fn run(self, admin: &Admin, output: Output) -> Outcome {
        let vmm = self.vmm.unwrap_or_else(|| self.guest_dir.join("nexus-vmm"));
        let kernel = self
            .kernel
            .unwrap_or_else(|| self.guest_dir.join("vmlinux"));
        let mut checks = vec![kvm(&vmm).await, guest_kernel(&kernel)];
        for file in ["nexus-init", "nexus.ko", "libnexus_preload.so"] {
            checks.push(guest_file(&self.guest_dir.join(file)));
        }
        checks.push(memory());
        checks.push(daemon(admin).await);
        let good = checks.iter().all(|check| check.ok);
        output.show(&json!({ "ok": good, "checks": checks }), text)?;
        Ok(if good {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn text(value: &Value) -> String {
    let checks = value["checks"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let rows: Vec<_> = checks
        .iter()
        .map(|check| {
            let verdict = if check["ok"] == true { "ok" } else { "no" };
            [
                cell(check, "/what"),
                verdict.into(),
                cell(check, "/finding"),
            ]
        })
        .collect();
    table(["CHECK", "", "FINDING"], &rows)
}

/// Has the VMM run a guest of a few instructions: the device file alone says little.
async fn kvm(vmm: &Path) -> Check {
    let result = Command::new(vmm).args(["probe", "--json"]).output().await;
    let (ok, finding) = match result {
        Err(error) => (
            false,
            format!(
                "cannot run {}: {error}; name the program with --vmm",
                vmm.display()
            ),
        ),
        Ok(ran) => match serde_json::from_slice::<Value>(&ran.stdout) {
            Ok(report) => probe_finding(ran.status.success(), &report),
            Err(_) => (
                false,
                format!(
                    "{} probe: {}",
                    vmm.display(),
                    String::from_utf8_lossy(&ran.stderr).trim()
                ),
            ),
        },
    };
    Check {
        what: "kvm",
        ok,
        finding,
    }
}

fn probe_finding(ok: bool, report: &Value) -> (bool, String) {
    if ok {
        return (true, "runs Linux guests".into());
    }
    let advice = match report["kvm"].as_str() {
        Some("crippled") => {
            "runs guests but not Linux ones; use a host with VT-x or AMD-V, or the lab (`cargo xtask lab`)"
        }
        Some("no_device") => {
            "no /dev/kvm; enable virtualisation in the firmware, then `modprobe kvm_intel` or `kvm_amd`"
        }
        Some("no_permission") => "/dev/kvm may not be opened; add this user to the group kvm",
        _ => "cannot be used",
    };
    let detail = report
        .get("what")
        .or_else(|| report.get("why"))
        .and_then(Value::as_str);
    (
        false,
        detail.map_or_else(
            || advice.to_owned(),
            |detail| format!("{advice} ({detail})"),
        ),
    )
}

fn guest_kernel(path: &Path) -> Check {
    const ELF: &[u8] = b"\x7fELF";

    let finding = std::fs::File::open(path).and_then(|mut file| {
        let mut magic = [0; ELF.len()];
        std::io::Read::read_exact(&mut file, &mut magic).map(|()| magic == ELF)
    });
    let (ok, finding) = match finding {
        Ok(true) => (true, path.display().to_string()),
        Ok(false) => (
            false,
            format!(
                "{} is no vmlinux; it must be the uncompressed one",
                path.display()
            ),
        ),
        Err(error) => (
            false,
            format!(
                "{}: {error}; build it (`cargo xtask setup`), or name it with --kernel",
                path.display()
            ),
        ),
    };
    Check {
        what: "guest kernel",
        ok,
        finding,
    }
}

fn guest_file(path: &Path) -> Check {
    let (ok, finding) = match std::fs::File::open(path) {
        Ok(_) => (true, path.display().to_string()),
        Err(error) => (
            false,
            format!(
                "{}: {error}; name the folder with --guest-dir",
                path.display()
            ),
        ),
    };
    Check {
        what: "guest file",
        ok,
        finding,
    }
}

fn memory() -> Check {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = available
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok())
        .unwrap_or_default();
    let ok = kib >= MEMORY_LEAST_KIB;
    let mut finding = format!("{} MiB available", kib / 1024);
    if !ok {
        finding.push_str("; free some, a VM needs 128 MiB at least");
    }
    Check {
        what: "memory",
        ok,
        finding,
    }
}

async fn daemon(admin: &Admin) -> Check {
    let (ok, finding) = match admin.get("/v1/status").await {
        Ok(status) => (
            true,
            format!(
                "nexusd {} runs, pid {}",
                cell(&status, "/version"),
                cell(&status, "/pid")
            ),
        ),
        Err(error) => (false, error.to_string()),
    };
    Check {
        what: "daemon",
        ok,
        finding,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::probe_finding;

    #[test]
    fn a_crippled_kvm_is_told_from_a_missing_one() {
        assert!(probe_finding(true, &json!({ "kvm": "complete" })).0);
        let crippled = probe_finding(false, &json!({ "kvm": "crippled", "what": "syscall" })).1;
        assert!(
            crippled.contains("lab") && crippled.ends_with("(syscall)"),
            "{crippled}"
        );
        assert!(
            probe_finding(false, &json!({ "kvm": "no_device" }))
                .1
                .contains("firmware")
        );
    }
}
