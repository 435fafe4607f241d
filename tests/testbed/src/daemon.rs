// SPDX-License-Identifier: Apache-2.0
//! nexusd as a child process, and what the CLI does with it.

use std::fs::{self, File};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::child::KilledOnDrop;

/// How long nexusd may take until it answers. Generous, since it may run in an emulated machine.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// What a testbed is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of `nexusd`, `nexus-vmm` and `nexus`.
    pub programs: PathBuf,
    /// Uncompressed guest kernel.
    pub kernel: PathBuf,
    /// Lines at the end of the configuration file: more of its `[gateway]`, then other tables, such as `[pool]`.
    pub configuration: String,
    /// The object store; nexusd's own, if it is none.
    pub store: Option<Store>,
}

/// An object store that somebody else runs.
#[derive(Clone, Debug)]
pub struct Store {
    /// Its URL.
    pub endpoint: String,
    /// Keys that it knows.
    pub keys: Keys,
    /// Certificates in PEM that nexusd is to trust instead of the system's.
    pub trusted: Option<PathBuf>,
}

/// Keys of the object store, made for one testbed and known to nexusd and its clients alone.
#[derive(Clone)]
pub struct Keys {
    /// Access key id.
    pub access: String,
    /// Secret access key.
    pub secret: String,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys")
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

/// A function as it is to be deployed.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// Function name.
    pub name: String,
    /// Root file system.
    pub root: PathBuf,
    /// Further arguments of `nexus deploy`, such as `--timeout 5`.
    pub arguments: Vec<String>,
}

impl Deployment {
    /// A deployment with the defaults of `nexus deploy` and a timeout that suits emulated machines.
    pub fn new(name: &str, root: &Path) -> Self {
        let arguments = vec!["--timeout".to_owned(), "120".to_owned()];
        Self {
            name: name.to_owned(),
            root: root.to_path_buf(),
            arguments,
        }
    }

    /// Adds a flag of `nexus deploy` that has no value.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.arguments.push(flag.to_owned());
        self
    }

    /// Adds an argument with a value. Of those that may be given once the later one wins.
    #[must_use]
    pub fn with(mut self, flag: &str, value: &str) -> Self {
        if matches!(flag, "--timeout" | "--memory")
            && let Some(at) = self.arguments.iter().position(|known| known == flag)
        {
            self.arguments.drain(at..at + 2);
        }
        self.arguments.extend([flag.to_owned(), value.to_owned()]);
        self
    }
}

/// A running nexusd. Dropping it kills the daemon, whose VMs end by themselves.
#[derive(Debug)]
pub struct Testbed {
    options: Options,
    folder: TempDir,
    keys: Keys,
    invoke: SocketAddr,
    store: SocketAddr,
    daemon: KilledOnDrop,
}

impl Testbed {
    /// Starts nexusd in a new folder and waits until it answers.
    ///
    /// # Errors
    /// If nexusd cannot be started, or does not answer within a minute; the error has its log.
    pub fn start(options: Options) -> Result<Self> {
        // Not below the checkout: in the lab that is a file system without Unix sockets.
        let folder = tempfile::Builder::new()
            .prefix("nexus-")
            .tempdir()
            .context("cannot make a folder")?;
        let keys = match &options.store {
            Some(store) => store.keys.clone(),
            None => Keys {
                access: format!("AK{}", random_hex(9)?),
                secret: random_hex(20)?,
            },
        };
        let (invoke, store) = (free_address()?, free_address()?);
        write_private(&folder.path().join("credentials"), &credentials(&keys))?;
        let vmm = local(folder.path(), &options.programs.join("nexus-vmm"))?;
        let kernel = local(folder.path(), &options.kernel)?;
        let vm = format!(
            "vmm = \"{}\"\nkernel = \"{}\"",
            vmm.display(),
            kernel.display()
        );
        let stores = stores(options.store.as_ref(), folder.path(), store);
        let configuration =
            configuration(&vm, folder.path(), invoke, &stores) + &options.configuration;
        fs::write(folder.path().join("nexusd.toml"), configuration)?;
        let daemon = spawn(&options, folder.path())?;
        let mut bed = Self {
            options,
            folder,
            keys,
            invoke,
            store,
            daemon,
        };
        bed.wait_until_ready()?;
        Ok(bed)
    }

    /// The folder with configuration, logs and state.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the testbed was started with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The store's keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Address of the Invoke API.
    pub fn invoke_address(&self) -> SocketAddr {
        self.invoke
    }

    /// Address of nexusd's own object store.
    pub fn store_address(&self) -> SocketAddr {
        self.store
    }

    /// Where the object store has its buckets, a folder each.
    pub fn store_root(&self) -> PathBuf {
        self.folder().join("store")
    }

    /// Process id of nexusd.
    pub fn daemon_pid(&self) -> u32 {
        self.daemon.id()
    }

    /// nexusd's own log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder().join("nexusd.log")).unwrap_or_default()
    }

    /// Kills nexusd with SIGKILL, as a crash would.
    pub fn kill(&mut self) -> Result<()> {
        self.daemon.kill()?;
        self.daemon.wait()?;
        Ok(())
    }

    /// Asks nexusd to end, and returns whether it did so in order.
    pub fn terminate(&mut self) -> Result<bool> {
        let pid = i32::try_from(self.daemon.id())?;
        // SAFETY: plain system call on the id of a child that has not been waited for, so it is that child's.
        unsafe { libc::kill(pid, libc::SIGTERM) };
        Ok(self.daemon.wait()?.success())
    }

    /// Starts nexusd again on the same state.
    pub fn restart(&mut self) -> Result<()> {
        self.daemon = spawn(&self.options, self.folder.path())?;
        self.wait_until_ready()
    }

    /// Deploys a function.
    pub fn deploy(&self, function: &Deployment) -> Result<()> {
        let mut command = self.nexus();
        command
            .arg("deploy")
            .arg(&function.name)
            .arg("--root")
            .arg(local(self.folder(), &function.root)?)
            .args(&function.arguments);
        run(&mut command).map(drop)
    }

    /// Runs `nexus` with these arguments and `--json`.
    pub fn nexus_json(&self, arguments: &[&str]) -> Result<Value> {
        let text = run(self.nexus().args(arguments).arg("--json"))?;
        serde_json::from_str(&text)
            .with_context(|| format!("nexus {arguments:?} printed no JSON: {text}"))
    }

    /// Runs `nexus` with these arguments and returns what it printed.
    pub fn nexus_text(&self, arguments: &[&str]) -> Result<String> {
        run(self.nexus().args(arguments))
    }

    /// A `nexus` command that talks to this daemon.
    pub fn nexus(&self) -> Command {
        let mut command = Command::new(self.options.programs.join("nexus"));
        command.env("NEXUS_SOCKET", self.folder().join("admin.sock"));
        command.stdin(Stdio::null());
        command
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Some(status) = self.daemon.try_wait()? {
                bail!("nexusd ended with {status}: {}", self.log());
            }
            match run(self.nexus().arg("status")) {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    bail!("nexusd does not answer: {error:#}; its log: {}", self.log())
                }
                Err(_) => sleep(Duration::from_millis(100)),
            }
        }
    }
}

/// A file that VMs are made of, in the testbed's own folder. In the lab the checkout is a network file system, and its
/// latency would be what a cold start consists of.
fn local(folder: &Path, file: &Path) -> Result<PathBuf> {
    let name = file
        .file_name()
        .with_context(|| format!("{} has no name", file.display()))?;
    let local = folder.join(name);
    if !local.exists() && fs::hard_link(file, &local).is_err() {
        fs::copy(file, &local).with_context(|| format!("cannot copy {}", file.display()))?;
    }
    Ok(local)
}

/// Runs a command to its end and returns its standard output.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{} {:?}: {}: {}",
            command.get_program().display(),
            command.get_args(),
            output.status,
            text.trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn spawn(options: &Options, folder: &Path) -> Result<KilledOnDrop> {
    let program = options.programs.join("nexusd");
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.join("nexusd.log"))?;
    let mut command = Command::new(&program);
    command
        .arg("--config")
        .arg(folder.join("nexusd.toml"))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    if let Some(trusted) = options
        .store
        .as_ref()
        .and_then(|store| store.trusted.as_ref())
    {
        // As OpenSSL's programs take it, and rustls' for the system's certificates.
        command.env("SSL_CERT_FILE", trusted);
    }
    KilledOnDrop::spawn(&mut command).with_context(|| format!("cannot start {}", program.display()))
}

/// The lines that say that nexusd has an object store, unless there is `another`, and where the gateway's is.
fn stores(another: Option<&Store>, folder: &Path, listen: SocketAddr) -> (String, String) {
    match another {
        Some(store) => (String::new(), store.endpoint.clone()),
        None => (
            format!(
                "[store]\nlisten = \"{listen}\"\nroot = \"{}/store\"\n\n",
                folder.display()
            ),
            format!("http://{listen}"),
        ),
    }
}

fn configuration(
    vm: &str,
    folder: &Path,
    invoke: SocketAddr,
    (store, endpoint): &(String, String),
) -> String {
    let folder = folder.display();
    format!(
        "state_dir = \"{folder}/state\"\n\n\
         [listen]\ninvoke = \"{invoke}\"\nadmin = \"{folder}/admin.sock\"\n\n\
         [vm]\n{vm}\nboot_timeout_s = 120\n\n{store}\
         [gateway]\nregion = \"us-east-1\"\ncredentials = {{ file = \"{folder}/credentials\" }}\nendpoint = \"{endpoint}\"\n",
    )
}

fn credentials(keys: &Keys) -> String {
    format!(
        "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        keys.access, keys.secret
    )
}

fn write_private(path: &Path, text: &str) -> Result<()> {
    let mut options = File::options();
    let file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    fs::write(path, text)?;
    Ok(())
}

/// An address of this host that was free a moment ago.
///
/// # Errors
/// If there is none.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn random_hex(bytes: usize) -> Result<String> {
    let mut random = vec![0; bytes];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}
