// SPDX-License-Identifier: Apache-2.0
//! What a guest kernel with KASAN, lockdep and kmemleak has found while the other cases ran: nothing.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Case;
use crate::bed::Bed;

pub(crate) const CASE: Case = Case {
    name: "kernel_reports",
    guest,
    host,
};

/// Where kmemleak takes orders and reports (Documentation/dev-tools/kmemleak.rst).
const KMEMLEAK: &str = "/sys/kernel/debug/kmemleak";

/// How the kernel's reports begin.
const REPORTS: [&str; 8] = [
    "BUG: ",
    "WARNING: ",
    "INFO: possible",
    "INFO: task",
    "Kernel panic",
    "Oops: ",
    "suspicious RCU usage",
    "rcu: INFO",
];

/// Has the kernel look for memory that nothing refers to. The first look only marks it: what is still in registers then,
/// say, is not lost.
fn guest(_arguments: &Value) -> Result<Value> {
    if !Path::new(KMEMLEAK).exists() {
        let debug = c"/sys/kernel/debug";
        // SAFETY: all strings end with a zero byte, and there is no data.
        let mounted = unsafe {
            libc::mount(
                c"debugfs".as_ptr(),
                debug.as_ptr(),
                c"debugfs".as_ptr(),
                0,
                std::ptr::null(),
            )
        };
        ensure!(mounted == 0, "{}", std::io::Error::last_os_error());
    }
    for _ in 0..2 {
        fs::write(KMEMLEAK, "scan").context("kmemleak does not scan")?;
        // Younger than five seconds is not counted as lost (mm/kmemleak.c, MSECS_MIN_AGE).
        std::thread::sleep(std::time::Duration::from_secs(6));
    }
    Ok(json!(fs::read_to_string(KMEMLEAK)?))
}

/// The objects of a kmemleak report but those that the kernel lost while it booted, before there was a driver.
fn of_others_than_boot(report: &str) -> String {
    let objects = report.split("unreferenced object").skip(1);
    let lost = objects.filter(|object| !object.contains("comm \"swapper/0\""));
    lost.map(|object| format!("unreferenced object{object}"))
        .collect()
}

fn host(bed: &Bed) -> Result<()> {
    let lost = bed.guest(&CASE, &json!({}))?;
    let lost = of_others_than_boot(lost.as_str().context("no report of kmemleak")?);
    ensure!(lost.is_empty(), "memory is lost: {lost}");
    let logs = bed.testbed.folder().join("state/logs");
    let mut find = Command::new("grep");
    find.args(["--recursive", "--text", "--after-context=40"]);
    for report in REPORTS {
        find.arg(format!("--regexp={report}"));
    }
    let found = find.arg(&logs).output().context("cannot start grep")?;
    ensure!(
        found.status.code() == Some(1),
        "{}",
        String::from_utf8_lossy(&found.stdout)
    );
    Ok(())
}
