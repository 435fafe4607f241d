// SPDX-License-Identifier: Apache-2.0
//! What the host's halves stand on: a network namespace of their own, and a Nexus in it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{io, thread};

use anyhow::{Context, Result, ensure};
use nexus_testbed::{Deployment, Options, Reply, Testbed};
use serde_json::{Value, json};

use crate::cases::{Case, Needs};
use crate::watchdog::Subject;

/// Address of the test servers: of the range for benchmarks (RFC 2544), on an interface of the tests' own.
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// An address on that interface which nobody has: connecting to it times out.
pub(crate) const SILENT: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
/// An address to which the host has an `unreachable` route.
pub(crate) const UNREACHABLE: Ipv4Addr = Ipv4Addr::new(198, 18, 1, 1);
/// An address that the host has no route to.
pub(crate) const NO_ROUTE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// An address that the functions' policy does not allow, though a server listens there.
pub(crate) const FORBIDDEN: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 3);

/// A name that the host resolves to [`SERVER`].
pub(crate) const NAME: &str = "server.nexus.test";

/// A Nexus with the test functions.
pub(crate) struct Bed {
    /// The running daemon.
    pub(crate) testbed: Testbed,
    images: PathBuf,
    /// Folder of what goes into a guest, the preload library among it.
    pub(crate) guest: PathBuf,
    /// What the cases `functions` need beside this.
    pub(crate) needs: Option<Needs>,
    /// The guests' kernel looks for faults, which takes memory and time.
    checked_kernel: bool,
}

impl Bed {
    /// Starts a Nexus and deploys the function `agent`.
    pub(crate) fn start(
        options: Options,
        images: &Path,
        guest: &Path,
        checked_kernel: bool,
    ) -> Result<Self> {
        let bed = Self {
            testbed: Testbed::start(options)?,
            images: images.to_path_buf(),
            guest: guest.to_path_buf(),
            needs: None,
            checked_kernel,
        };
        bed.testbed.deploy(&bed.agent("agent"))?;
        Ok(bed)
    }

    /// What there is to look at when a case does not end.
    pub(crate) fn subject(&self) -> Subject {
        Subject {
            daemon: self.testbed.daemon_pid().cast_signed(),
            folder: self.testbed.folder().to_path_buf(),
            checked_kernel: self.checked_kernel,
        }
    }

    /// How many files nexusd has open.
    pub(crate) fn open_files(&self) -> Result<usize> {
        let folder = format!("/proc/{}/fd", self.testbed.daemon_pid());
        Ok(fs::read_dir(folder)?.count())
    }

    /// nexusd's own memory in KiB, without what it shares with guests (`RssAnon`, proc_pid_status(5)).
    pub(crate) fn memory(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.testbed.daemon_pid()))?;
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix("RssAnon:"));
        let number = line.context("no RssAnon")?.trim().trim_end_matches(" kB");
        Ok(number.parse()?)
    }

    /// Root file system of a test image.
    pub(crate) fn root(&self, image: &str) -> PathBuf {
        self.images.join(format!("{image}.erofs"))
    }

    /// The agent as a function of this name, allowed to reach the test servers.
    pub(crate) fn agent(&self, name: &str) -> Deployment {
        let mut function = Deployment::new(name, &self.root("agent"));
        if self.checked_kernel {
            function = function.with("--memory", "512").with("--timeout", "900");
        }
        for allowed in [SERVER, SILENT, UNREACHABLE, NO_ROUTE] {
            function = function.with("--endpoint", &format!("{allowed}:*"));
        }
        function
    }

    /// Runs the guest's half of a case and returns its result.
    pub(crate) fn guest(&self, case: &Case, arguments: &Value) -> Result<Value> {
        self.guest_of("agent", case, arguments)?.success()
    }

    /// Runs the guest's half of a case in a function of another name.
    pub(crate) fn guest_of(&self, function: &str, case: &Case, arguments: &Value) -> Result<Reply> {
        self.testbed.invoke(
            function,
            &json!({ "case": case.name, "arguments": arguments }),
        )
    }
}

/// A TCP server on the host whose connections are each served by a thread.
pub(crate) fn serve(
    address: Ipv4Addr,
    serve: impl Fn(std::net::TcpStream) -> io::Result<()> + Send + Sync + 'static,
) -> Result<u16> {
    let listener =
        TcpListener::bind((address, 0)).with_context(|| format!("cannot listen on {address}"))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        let serve = std::sync::Arc::new(serve);
        for stream in listener.incoming().flatten() {
            let serve = std::sync::Arc::clone(&serve);
            // What goes wrong with a connection is for the guest's half to notice.
            thread::spawn(move || drop(serve(stream)));
        }
    });
    Ok(port)
}

/// Moves this process into a network namespace with the addresses and the name above. To be called before there are other
/// threads.
pub(crate) fn enter_network() -> Result<()> {
    // SAFETY: no memory is involved; only this process's view of network and mounts changes.
    let result = unsafe { libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS) };
    ensure!(
        result == 0,
        "cannot make a network namespace: {}; are you root?",
        io::Error::last_os_error()
    );
    for command in [
        "link set lo up".to_owned(),
        "link add nexus-test type dummy".to_owned(),
        format!("address add {SERVER}/24 dev nexus-test"),
        format!("address add {FORBIDDEN}/32 dev nexus-test"),
        "link set nexus-test up".to_owned(),
        format!("route add unreachable {UNREACHABLE}/32"),
        // Guests have a way for what is sent to multicast groups, so Linux, their model, has one.
        "route add 224.0.0.0/4 dev nexus-test".to_owned(),
    ] {
        let status = Command::new("ip")
            .args(command.split(' '))
            .status()
            .context("cannot start ip, of iproute2")?;
        ensure!(status.success(), "ip {command}: {status}");
    }
    name_server()?;
    // Two retransmissions of a SYN, about seven seconds, instead of two minutes.
    fs::write("/proc/sys/net/ipv4/tcp_syn_retries", "2")
        .context("cannot shorten the connect timeout")?;
    // Linux is the model of guests, which are told of every refused datagram.
    for limit in ["ipv4/icmp_ratelimit", "ipv6/icmp/ratelimit"] {
        fs::write(format!("/proc/sys/net/{limit}"), "0")
            .with_context(|| format!("cannot lift the limit {limit}"))?;
    }
    Ok(())
}

/// Gives [`SERVER`] its name, for this mount namespace only.
fn name_server() -> Result<()> {
    let hosts = std::env::temp_dir().join(format!("nexus-e2e-hosts-{}", std::process::id()));
    fs::write(&hosts, format!("127.0.0.1 localhost\n{SERVER} {NAME}\n"))?;
    let mount = |arguments: &[&str]| -> Result<()> {
        let status = Command::new("mount")
            .args(arguments)
            .status()
            .context("cannot start mount")?;
        ensure!(status.success(), "mount {arguments:?}: {status}");
        Ok(())
    };
    mount(&["--make-rprivate", "/"])?;
    mount(&["--bind", &hosts.to_string_lossy(), "/etc/hosts"])?;
    // The mount holds the file; its name is not needed any more.
    fs::remove_file(&hosts)?;
    Ok(())
}
