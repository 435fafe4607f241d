// SPDX-License-Identifier: Apache-2.0
//! The systems: Nexus, QEMU with virtio-net (served by vhost or by QEMU) or vhost-vsock, and a process of the host.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nexus_testbed::{Deployment, Options, StockGuest, Testbed};
use serde_json::{Value, json};

use super::server::{Order, Server};
use super::{Costs, Inputs};

/// The host's address for Nexus guests, and both ends of the tap device.
const HOST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const TAP_HOST: Ipv4Addr = Ipv4Addr::new(198, 18, 1, 1);
const TAP_GUEST: Ipv4Addr = Ipv4Addr::new(198, 18, 1, 2);
const TAP: &str = "nexus-bench";
/// How long a server may take to notice that its order is done, once the guest has ended.
const GRACE: Duration = Duration::from_secs(1);
/// Context id of the guest on vsock.
const CID: &str = "77";

pub(super) fn nexus(inputs: &Inputs) -> Result<Costs> {
    ip(&format!("address replace {HOST}/32 dev lo"))?;
    let testbed = Testbed::start(Options {
        programs: inputs.programs.clone(),
        kernel: inputs.kernel.clone(),
        configuration: String::new(),
        store: None,
    })?;
    let function = Deployment::new("traffic", &inputs.agent);
    testbed.deploy(&function.with("--endpoint", &format!("{HOST}:*")))?;
    let mut measure = |order: Order| {
        let server = Server::tcp(HOST, order)?;
        let event = json!({ "case": "traffic", "arguments": order.json(Some(HOST), server.port) });
        testbed.invoke("traffic", &event)?.success()?;
        server.measured()
    };
    // The first invocation starts the VM.
    measure(Order::Trips)?;
    Costs::new("nexus", &mut measure)
}

/// The guest's half as a process of the host: what there is to pay without any VM.
pub(super) fn process(inputs: &Inputs) -> Result<Costs> {
    ip(&format!("address replace {HOST}/32 dev lo"))?;
    Costs::new("no VM", &mut |order| {
        let server = Server::tcp(HOST, order)?;
        let orders = json!({ "orders": [order.json(Some(HOST), server.port)] });
        let mut client = Command::new(inputs.programs.join("nexus-e2e"));
        let status = client.args(["traffic", &orders.to_string()]).status();
        let status = status.context("cannot start nexus-e2e")?;
        ensure!(status.success(), "nexus-e2e traffic: {status}");
        server.measured()
    })
}

/// Who moves the packets of virtio-net on the host.
#[derive(Clone, Copy, Debug)]
pub(super) enum Served {
    /// The host's kernel.
    ByVhost,
    /// QEMU itself.
    ByQemu,
}

pub(super) fn virtio_net(inputs: &Inputs, served: Served) -> Result<Costs> {
    let (system, vhost) = match served {
        Served::ByVhost => ("vhost-net", "on"),
        Served::ByQemu => ("virtio-net", "off"),
    };
    module("tun")?;
    module("vhost_net")?;
    if !fs::exists(format!("/sys/class/net/{TAP}"))? {
        ip(&format!("tuntap add dev {TAP} mode tap"))?;
    }
    ip(&format!("address replace {TAP_HOST}/24 dev {TAP}"))?;
    ip(&format!("link set {TAP} up"))?;
    let servers = Order::ALL.map(|order| Server::tcp(TAP_HOST, order));
    let device = format!("tap,id=net,ifname={TAP},script=no,downscript=no,vhost={vhost}");
    let devices = [
        "-netdev",
        &device,
        "-device",
        "virtio-net-device,netdev=net",
    ];
    measured(inputs, system, servers, Some(TAP_HOST), &devices)
}

pub(super) fn vsock(inputs: &Inputs) -> Result<Costs> {
    module("vhost_vsock")?;
    let servers = Order::ALL.map(Server::vsock);
    let device = format!("vhost-vsock-device,guest-cid={CID}");
    measured(inputs, "vhost-vsock", servers, None, &["-device", &device])
}

/// Runs one guest on QEMU that does all orders, and says what they cost.
fn measured(
    inputs: &Inputs,
    system: &'static str,
    servers: [Result<Server>; 3],
    to: Option<Ipv4Addr>,
    devices: &[&str],
) -> Result<Costs> {
    let [out, into, trips] = servers;
    let servers = [out?, into?, trips?];
    let orders: Vec<Value> = Order::ALL
        .iter()
        .zip(&servers)
        .map(|(order, server)| order.json(to, server.port))
        .collect();
    let mut orders = json!({ "orders": orders });
    if to.is_some() {
        orders["own"] = json!(TAP_GUEST.to_string());
    }
    let console = inputs.folder.join(format!("{system}.log"));
    let guest = StockGuest {
        kernel: &inputs.stock_kernel,
        root: &inputs.agent,
        memory: 256,
        devices,
        console: console.clone(),
    };
    let mut guest = guest.boot(json!({
        "entrypoint": [],
        "command": ["/agent", "traffic", orders.to_string()],
    }))?;
    guest.wait().context("the guest cannot be waited for")?;
    let mut servers = servers.into_iter();
    let mut measure = |order: Order| {
        let server = servers.next().context("no server")?;
        // A guest that has ended connects no more.
        ensure!(
            server.ends_within(GRACE),
            "the guest ended without {order:?}; it said: {}",
            fs::read_to_string(&console).unwrap_or_default()
        );
        server.measured()
    };
    Costs::new(system, &mut measure)
}

fn ip(arguments: &str) -> Result<()> {
    let status = Command::new("ip").args(arguments.split(' ')).status();
    let status = status.context("cannot start ip, of iproute2")?;
    ensure!(status.success(), "ip {arguments}: {status}");
    Ok(())
}

fn module(name: &str) -> Result<()> {
    let status = Command::new("modprobe").arg(name).status();
    let status = status.context("cannot start modprobe")?;
    ensure!(status.success(), "modprobe {name}: {status}");
    Ok(())
}
