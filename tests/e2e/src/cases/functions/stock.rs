// SPDX-License-Identifier: Apache-2.0
//! A guest with Linux' own network stack: the same root on QEMU with virtio-net, where the SDK has keys and speaks to the services itself.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Outcome;
use super::runtime::Runtime;
use super::services::Services;

/// Both ends of the tap device: of the range for benchmarks (RFC 2544), beside what else the test bed has of it.
const HOST: Ipv4Addr = Ipv4Addr::new(198, 18, 2, 1);
const GUEST: Ipv4Addr = Ipv4Addr::new(198, 18, 2, 2);
const TAP: &str = "nexus-stock";

/// The kernel can set no address by itself, and the image has no program for it. The rest is too long for a kernel's command line, and comes
/// from the host. Numbers are those of netdevice(7): SIOCSIFADDR, SIOCSIFNETMASK, SIOCSIFFLAGS with IFF_UP and IFF_RUNNING.
const NETWORK: &str = "\
import fcntl,os,socket,struct,urllib.request as u
s=socket.socket(2,2)
for c,a in(0x8916,'GUEST'),(0x891c,'255.255.255.0'):fcntl.ioctl(s,c,struct.pack('16sHH4s16x',b'eth0',2,0,socket.inet_aton(a)))
fcntl.ioctl(s,0x8914,struct.pack('16sH22x',b'eth0',65))
exec(u.urlopen('http://'+os.environ['AWS_LAMBDA_RUNTIME_API']+'/setup').read())";

/// A function in such a guest. Dropping it ends the machine.
pub(super) struct Guest {
    machine: Child,
    runtime: Runtime,
    console: PathBuf,
}

impl Guest {
    /// Boots a root whose function is `handler`, with a console in `folder`.
    pub(super) fn start(
        kernel: &Path,
        root: &Path,
        handler: &str,
        services: &Services,
        orders: &Orders<'_>,
        folder: &Path,
    ) -> Result<Self> {
        network()?;
        let runtime = Runtime::serve(HOST, &orders.json(services))?;
        let console = folder.join(format!("stock-{handler}.log"));
        // A clock cannot be set to a time before the machine's start.
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let job = json!({
            "stock": true,
            "clock_ns": u64::try_from(now.as_nanos())?,
            "entrypoint": ["/usr/bin/python3"],
            "command": ["-c", NETWORK.replace("GUEST", &GUEST.to_string()), handler],
            "env": { "AWS_LAMBDA_RUNTIME_API": format!("{HOST}:{}", runtime.port) },
        });
        let machine = qemu(kernel, root, &job, &console)?;
        Ok(Self {
            machine,
            runtime,
            console,
        })
    }

    /// Has the function handle an event.
    pub(super) fn invoke(&mut self, event: &Value) -> Result<Outcome> {
        let machine = &mut self.machine;
        let lives = || Ok(machine.try_wait()?.is_none());
        self.runtime.invoke(event, lives).with_context(|| {
            let said = fs::read_to_string(&self.console).unwrap_or_default();
            format!("the guest said: {said}")
        })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Both fail only if it has ended already, which is what they are for.
        drop(self.machine.kill());
        drop(self.machine.wait());
    }
}

/// What a guest is to know.
pub(super) struct Orders<'a> {
    /// The SDK finds the services by their own names, not by a variable.
    pub(super) by_name: bool,
    /// Buckets, which are part of those names.
    pub(super) buckets: &'a [&'a str],
}

impl Orders<'_> {
    fn json(&self, services: &Services) -> Value {
        let mut environment = json!({
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        });
        if !self.by_name {
            environment["AWS_ENDPOINT_URL"] = json!(format!("http://{HOST}:{}", services.port));
        }
        let mut names = Vec::new();
        for service in ["s3.amazonaws.com", "s3.us-east-1.amazonaws.com"] {
            names.push(service.to_owned());
            names.extend(
                self.buckets
                    .iter()
                    .map(|bucket| format!("{bucket}.{service}")),
            );
        }
        json!({
            "environment": environment,
            "address": HOST.to_string(),
            "names": names,
            "certificate": services.certificate,
        })
    }
}

/// Makes the tap device, unless there is one.
fn network() -> Result<()> {
    // Not by /sys, which is of another network namespace.
    let known = Command::new("ip").args(["link", "show", TAP]).output();
    if known
        .context("cannot start ip, of iproute2")?
        .status
        .success()
    {
        return Ok(());
    }
    run("modprobe", "tun")?;
    run("ip", &format!("tuntap add dev {TAP} mode tap"))?;
    run("ip", &format!("address add {HOST}/24 dev {TAP}"))?;
    run("ip", &format!("link set {TAP} up"))
}

fn run(program: &str, arguments: &str) -> Result<()> {
    let status = Command::new(program).args(arguments.split(' ')).status();
    let status = status.with_context(|| format!("cannot start {program}"))?;
    ensure!(status.success(), "{program} {arguments}: {status}");
    Ok(())
}

fn qemu(kernel: &Path, root: &Path, job: &Value, console: &Path) -> Result<Child> {
    let digits: String = job
        .to_string()
        .bytes()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let line = format!(
        "console=ttyS0 quiet panic=-1 reboot=t root=/dev/vda rootfstype=erofs ro init=/.nexus/init nexus_job={digits}"
    );
    let drive = format!(
        "id=root,file={},format=raw,if=none,readonly=on",
        root.display()
    );
    let device = format!("tap,id=net,ifname={TAP},script=no,downscript=no");
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args([
        "-M",
        "microvm,acpi=off,rtc=off",
        "-accel",
        "kvm",
        "-cpu",
        "host",
    ])
    .args(["-m", "512", "-nodefaults", "-no-user-config"])
    .args(["-display", "none", "-no-reboot", "-append", &line])
    .arg("-kernel")
    .arg(kernel)
    .args(["-drive", &drive, "-device", "virtio-blk-device,drive=root"])
    .args([
        "-netdev",
        &device,
        "-device",
        "virtio-net-device,netdev=net",
    ])
    .arg("-serial")
    .arg(format!("file:{}", console.display()))
    .stdin(Stdio::null());
    qemu.spawn().context("cannot start qemu-system-x86_64")
}
