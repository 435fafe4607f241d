// SPDX-License-Identifier: Apache-2.0
//! A guest as it is elsewhere, for comparison: a Nexus root on QEMU, with Linux' own network stack and devices of QEMU's.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::child::KilledOnDrop;

/// What such a guest is made of.
#[derive(Debug)]
pub struct StockGuest<'a> {
    /// A kernel with a network stack, and drivers for the devices.
    pub kernel: &'a Path,
    /// The root file system.
    pub root: &'a Path,
    /// Memory in MiB.
    pub memory: u32,
    /// QEMU's arguments for devices beside the disk and the console.
    pub devices: &'a [&'a str],
    /// The file that gets what the guest prints.
    pub console: PathBuf,
}

impl StockGuest<'_> {
    /// Boots it. It runs `program`, as init's job says it: `entrypoint`, `command`, `env`; and ends with it.
    ///
    /// # Errors
    /// If QEMU cannot be started. What becomes of the guest its process and its console tell.
    pub fn boot(&self, mut program: Value) -> Result<KilledOnDrop> {
        program["stock"] = json!(true);
        // A clock cannot be set to a time before the machine's start.
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        program["clock_ns"] = json!(u64::try_from(now.as_nanos())?);
        let job = program.to_string();
        let digits: String = job.bytes().map(|byte| format!("{byte:02x}")).collect();
        let line = format!(
            "console=ttyS0 quiet panic=-1 reboot=t root=/dev/vda rootfstype=erofs ro init=/.nexus/init nexus_job={digits}"
        );
        let disk = format!(
            "id=root,file={},format=raw,if=none,readonly=on",
            self.root.display()
        );
        let memory = self.memory.to_string();
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-M", "microvm,acpi=off,rtc=off"])
            .args(["-accel", "kvm", "-cpu", "host", "-m", &memory])
            .args(["-nodefaults", "-no-user-config", "-no-reboot"])
            .args(["-display", "none", "-append", &line])
            .arg("-kernel")
            .arg(self.kernel)
            .args(["-drive", &disk, "-device", "virtio-blk-device,drive=root"])
            .args(self.devices)
            .arg("-serial")
            .arg(format!("file:{}", self.console.display()))
            .stdin(Stdio::null());
        KilledOnDrop::spawn(&mut qemu).context("cannot start qemu-system-x86_64")
    }
}
