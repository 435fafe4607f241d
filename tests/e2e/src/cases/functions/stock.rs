// SPDX-License-Identifier: Apache-2.0
//! A guest with Linux' own network stack: the same root on QEMU with virtio-net, where the SDK has keys and speaks to the services itself.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use nexus_testbed::{KilledOnDrop, StockGuest};
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
    machine: KilledOnDrop,
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
        let device = format!("tap,id=net,ifname={TAP},script=no,downscript=no");
        let guest = StockGuest {
            kernel,
            root,
            memory: 512,
            devices: &[
                "-netdev",
                &device,
                "-device",
                "virtio-net-device,netdev=net",
            ],
            console: console.clone(),
        };
        let machine = guest.boot(json!({
            "entrypoint": ["/usr/bin/python3"],
            "command": ["-c", NETWORK.replace("GUEST", &GUEST.to_string()), handler],
            "env": { "AWS_LAMBDA_RUNTIME_API": format!("{HOST}:{}", runtime.port) },
        }))?;
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
