// SPDX-License-Identifier: Apache-2.0
//! Bytes and round trips between a guest and its host: by Nexus, by virtio-net with vhost, and by vhost-vsock, in one run.
//!
//! Each system does the same: one stream out of the guest, one into it, and messages there and back. What is measured is the time
//! on the host between the first byte and the last, which under the lab's instruction clock counts the instructions of everything:
//! guest, host kernel, backend. The other two systems run on QEMU and the guest's kernel with Linux' own network stack.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use clap::Args;
use nexus_testbed::{Deployment, Options, Testbed};
use serde::Serialize;
use serde_json::{Value, json};

use crate::build;
use crate::setup::kernel::{Flavour, Kernel};
use crate::{lab, paths, step};

/// Bytes of each stream.
const BULK: u64 = 32 << 20;
/// Messages there and back, and how many of them come before the measurement.
const TRIPS: u64 = 2000;
const WARM_UP: u64 = 100;
/// Bytes of a message, as the guest's half has it.
const MESSAGE: usize = 64;

/// The host's address for Nexus guests, and both ends of the tap device.
const HOST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const TAP_HOST: Ipv4Addr = Ipv4Addr::new(198, 18, 1, 1);
const TAP_GUEST: Ipv4Addr = Ipv4Addr::new(198, 18, 1, 2);
const TAP: &str = "nexus-bench";
/// How long a server may take to notice that its order is done, once the guest has ended.
const GRACE: Duration = Duration::from_secs(1);
/// Context id of the guest on vsock.
const CID: &str = "77";

/// What the part that needs KVM is given.
#[derive(Clone, Debug, Args)]
pub(crate) struct Inputs {
    /// Folder of nexusd, nexus-vmm and nexus.
    #[arg(long)]
    programs: PathBuf,
    /// The Nexus guest's kernel.
    #[arg(long)]
    kernel: PathBuf,
    /// The kernel with Linux' own network stack.
    #[arg(long)]
    stock_kernel: PathBuf,
    /// Root file system of the agent.
    #[arg(long)]
    agent: PathBuf,
    /// Folder for results.
    #[arg(long)]
    folder: PathBuf,
}

/// Sets everything up and measures.
pub(crate) fn run() -> Result<()> {
    let built = build::everything(Flavour::Plain)?;
    let stock = Kernel::ensure(Flavour::Stock)?;
    let folder = paths::runs().join("bench-network");
    let mut words = vec![
        paths::host_programs().join("xtask").display().to_string(),
        "bench-network-job".to_owned(),
    ];
    for (flag, path) in [
        ("--programs", paths::host_programs()),
        ("--kernel", built.kernel),
        ("--stock-kernel", stock.image()),
        ("--agent", paths::images().join("agent.erofs")),
        ("--folder", folder.clone()),
    ] {
        words.extend([flag.to_owned(), path.display().to_string()]);
    }
    let place = lab::Place::find()?;
    step::note("measuring three systems; under instruction counting this takes some minutes");
    place.run(&lab::Job {
        folder: &folder,
        clock: lab::Clock::Instructions,
        limit: Some(super::LIMIT),
        program: &words,
    })
}

/// What one system needs, in nanoseconds, which are instructions under the lab's clock.
#[derive(Clone, Debug, Serialize)]
struct Cost {
    system: &'static str,
    out_per_byte: f64,
    in_per_byte: f64,
    per_round_trip: f64,
}

/// Measures all three.
pub(crate) fn job(inputs: &Inputs) -> Result<()> {
    let costs = [
        nexus(inputs).context("nexus")?,
        virtio_net(inputs).context("virtio-net")?,
        vsock(inputs).context("vhost-vsock")?,
    ];
    print(&costs);
    let path = inputs.folder.join("network.json");
    fs::write(&path, format!("{:#}\n", json!(costs)))?;
    println!("\nwritten to {}", path.display());
    Ok(())
}

fn nexus(inputs: &Inputs) -> Result<Cost> {
    ip(&format!("address replace {HOST}/32 dev lo"))?;
    let testbed = Testbed::start(Options {
        programs: inputs.programs.clone(),
        kernel: inputs.kernel.clone(),
        configuration: String::new(),
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
    Cost::new("nexus", &mut measure)
}

fn virtio_net(inputs: &Inputs) -> Result<Cost> {
    module("tun")?;
    module("vhost_net")?;
    ip(&format!("tuntap add dev {TAP} mode tap"))?;
    ip(&format!("address add {TAP_HOST}/24 dev {TAP}"))?;
    ip(&format!("link set {TAP} up"))?;
    let servers = Order::ALL.map(|order| Server::tcp(TAP_HOST, order));
    let device = format!("tap,id=net,ifname={TAP},script=no,downscript=no,vhost=on");
    let devices = [
        "-netdev",
        &device,
        "-device",
        "virtio-net-device,netdev=net",
    ];
    measured(inputs, "virtio-net", servers, Some(TAP_HOST), &devices)
}

fn vsock(inputs: &Inputs) -> Result<Cost> {
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
) -> Result<Cost> {
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
    let mut guest = qemu(inputs, &orders, devices, &console)?;
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
    Cost::new(system, &mut measure)
}

fn qemu(inputs: &Inputs, orders: &Value, devices: &[&str], console: &Path) -> Result<Child> {
    // A clock cannot be set to a time before the machine's start.
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let job = json!({
        "stock": true,
        "clock_ns": u64::try_from(now.as_nanos())?,
        "entrypoint": [],
        "command": ["/agent", "traffic", orders.to_string()],
    });
    let digits: String = job
        .to_string()
        .bytes()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let line = format!(
        "console=ttyS0 quiet panic=-1 reboot=t root=/dev/vda rootfstype=erofs ro init=/.nexus/init nexus_job={digits}"
    );
    let root = format!(
        "id=root,file={},format=raw,if=none,readonly=on",
        inputs.agent.display()
    );
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args([
        "-M",
        "microvm,acpi=off,rtc=off",
        "-accel",
        "kvm",
        "-cpu",
        "host",
    ])
    .args([
        "-m",
        "256",
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-no-reboot",
    ])
    .arg("-kernel")
    .arg(&inputs.stock_kernel)
    .args(["-append", &line, "-drive", &root])
    .args(["-device", "virtio-blk-device,drive=root"])
    .args(devices)
    .arg("-serial")
    .arg(format!("file:{}", console.display()))
    .stdin(Stdio::null());
    qemu.spawn().context("cannot start qemu-system-x86_64")
}

/// One thing to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// A stream out of the guest.
    Out,
    /// A stream into it.
    In,
    /// Messages there and back.
    Trips,
}

impl Order {
    const ALL: [Self; 3] = [Self::Out, Self::In, Self::Trips];

    /// What the guest is told.
    fn json(self, to: Option<Ipv4Addr>, port: u32) -> Value {
        let mut order = json!({ "to": to.map(|to| to.to_string()), "port": port });
        match self {
            Self::Out => order["send"] = json!(BULK),
            Self::In => order["receive"] = json!(BULK),
            Self::Trips => order["trips"] = json!(TRIPS),
        }
        order
    }
}

impl Cost {
    #[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
    fn new(system: &'static str, measure: &mut impl FnMut(Order) -> Result<u64>) -> Result<Self> {
        let [out, into, trips] = Order::ALL.map(measure);
        Ok(Self {
            system,
            out_per_byte: out? as f64 / BULK as f64,
            in_per_byte: into? as f64 / BULK as f64,
            per_round_trip: trips? as f64 / (TRIPS - WARM_UP) as f64,
        })
    }
}

/// The host's end of one order: a thread that serves one connection and measures.
struct Server {
    port: u32,
    thread: JoinHandle<Result<u64>>,
}

impl Server {
    fn tcp(address: Ipv4Addr, order: Order) -> Result<Self> {
        let listener = TcpListener::bind((address, 0))?;
        let port = listener.local_addr()?.port().into();
        let thread = thread::spawn(move || {
            let (stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            serve(stream, order)
        });
        Ok(Self { port, thread })
    }

    fn vsock(order: Order) -> Result<Self> {
        let (listener, port) = vsock_listener()?;
        let thread = thread::spawn(move || {
            // SAFETY: null pointers ask for no address.
            let fd = unsafe {
                libc::accept(
                    listener.as_raw_fd(),
                    std::ptr::null_mut(),
                    std::ptr::null_mut(),
                )
            };
            ensure!(fd >= 0, "accept: {}", io::Error::last_os_error());
            // SAFETY: the call just returned this descriptor, so nobody else owns it.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            serve(fs::File::from(fd), order)
        });
        Ok(Self { port, thread })
    }

    /// Whether the order is done, now or after a moment.
    fn ends_within(&self, time: Duration) -> bool {
        let started = Instant::now();
        while !self.thread.is_finished() && started.elapsed() < time {
            thread::sleep(Duration::from_millis(10));
        }
        self.thread.is_finished()
    }

    /// Nanoseconds from the first byte to the last.
    fn measured(self) -> Result<u64> {
        let outcome = self.thread.join();
        outcome.map_err(|_| anyhow::anyhow!("a server panicked"))?
    }
}

fn serve(mut stream: impl Read + Write, order: Order) -> Result<u64> {
    let mut buffer = vec![0; 256 << 10];
    let began;
    match order {
        Order::Out => {
            let mut left = BULK;
            left -= stream.read(&mut buffer)? as u64;
            began = Instant::now();
            while left > 0 {
                let length = stream.read(&mut buffer)?;
                ensure!(length > 0, "{left} bytes are missing");
                left -= length as u64;
            }
            stream.write_all(&[0])?;
        }
        Order::In => {
            stream.read_exact(&mut buffer[..1])?;
            began = Instant::now();
            let mut left = BULK;
            while left > 0 {
                let length =
                    usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
                stream.write_all(&buffer[..length])?;
                left -= length as u64;
            }
            stream.read_exact(&mut buffer[..1])?;
        }
        Order::Trips => {
            let mut trip = || -> io::Result<()> {
                stream.read_exact(&mut buffer[..MESSAGE])?;
                stream.write_all(&buffer[..MESSAGE])
            };
            for _ in 0..WARM_UP {
                trip()?;
            }
            began = Instant::now();
            for _ in WARM_UP..TRIPS {
                trip()?;
            }
        }
    }
    Ok(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX))
}

fn vsock_listener() -> Result<(OwnedFd, u32)> {
    // SAFETY: no memory is involved.
    let fd = unsafe { libc::socket(libc::AF_VSOCK, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    ensure!(fd >= 0, "vsock: {}", io::Error::last_os_error());
    // SAFETY: the call just returned this descriptor, so nobody else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut address = libc::sockaddr_vm {
        svm_family: libc::sa_family_t::try_from(libc::AF_VSOCK)?,
        svm_reserved1: 0,
        svm_port: libc::VMADDR_PORT_ANY,
        svm_cid: libc::VMADDR_CID_ANY,
        svm_zero: [0; 4],
    };
    let mut length = libc::socklen_t::try_from(size_of_val(&address))?;
    // SAFETY: the pointer is to a live address of this length.
    let bound = unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), length) };
    ensure!(bound == 0, "vsock: {}", io::Error::last_os_error());
    // SAFETY: both pointers are to live values, and the length is the first one's.
    let named =
        unsafe { libc::getsockname(fd.as_raw_fd(), (&raw mut address).cast(), &raw mut length) };
    ensure!(named == 0, "vsock: {}", io::Error::last_os_error());
    // SAFETY: no memory is involved.
    let listening = unsafe { libc::listen(fd.as_raw_fd(), 1) };
    ensure!(listening == 0, "vsock: {}", io::Error::last_os_error());
    Ok((fd, address.svm_port))
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

/// The table, and a bar for each figure.
fn print(costs: &[Cost; 3]) {
    println!(
        "\n{:<12} {:>14} {:>14} {:>18}",
        "system", "out, per byte", "in, per byte", "round trip"
    );
    for cost in costs {
        println!(
            "{:<12} {:>14.2} {:>14.2} {:>18.0}",
            cost.system, cost.out_per_byte, cost.in_per_byte, cost.per_round_trip
        );
    }
    let [nexus, net, _] = costs;
    println!();
    for (what, limit, of) in [
        (
            "out, per byte",
            1.0 / 2.0,
            (|cost| cost.out_per_byte) as fn(&Cost) -> f64,
        ),
        ("in, per byte", 1.0 / 2.0, |cost| cost.in_per_byte),
        ("round trip", 1.0 / 3.0, |cost| cost.per_round_trip),
    ] {
        let ratio = of(nexus) / of(net);
        let verdict = if ratio <= limit { "met" } else { "MISSED" };
        println!("{what}: {ratio:.2} of virtio-net's (target <= {limit:.2}, {verdict})");
        let most = costs.iter().map(of).fold(0.0, f64::max);
        for cost in costs {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a bar of at most 50 characters"
            )]
            let length = (of(cost) / most * 50.0).round() as usize;
            println!("  {:<12} {}", cost.system, "#".repeat(length));
        }
    }
}
