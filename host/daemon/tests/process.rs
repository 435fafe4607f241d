// SPDX-License-Identifier: Apache-2.0
//! The program itself: what it refuses, how it ends, and what is left after it was killed.

mod support;

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Stdio;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use support::http::{Answer, request};
use support::{eventually, root_image};
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

/// A folder with a configuration that works. The programs of the VM are never run here.
struct Site {
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().expect("a folder");
        let key = folder.path().join("credentials");
        fs::write(
            &key,
            "aws_access_key_id = \"AKIDEXAMPLE\"\naws_secret_access_key = \"secret\"\n",
        )
        .expect("written");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("its own");
        let site = Self { folder };
        site.configure("127.0.0.1:0", "/bin/sh");
        site
    }

    fn configure(&self, invoke: &str, kernel: &str) {
        let at = self.folder.path().display();
        let text = format!(
            "state_dir = \"{at}/state\"\n[listen]\ninvoke = \"{invoke}\"\nadmin = \"{at}/run/admin.sock\"\n\
             [vm]\nvmm = \"/bin/sh\"\nkernel = \"{kernel}\"\n\
             [gateway]\ncredentials = {{ file = \"{at}/credentials\" }}\n\
             [store]\nlisten = \"127.0.0.1:0\"\nroot = \"{at}/store\"\n"
        );
        fs::write(self.folder.path().join("nexusd.toml"), text).expect("written");
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("run/admin.sock")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nexusd"));
        command
            .arg("--config")
            .arg(self.folder.path().join("nexusd.toml"));
        command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Starts the daemon and waits until it answers.
    async fn start(&self) -> Child {
        let child = self
            .command()
            .stderr(Stdio::inherit())
            .spawn()
            .expect("it starts");
        eventually("the daemon answers", async || {
            UnixStream::connect(self.socket()).await.is_ok()
        })
        .await;
        child
    }

    /// Runs the daemon, which should refuse. Returns its exit status and its last words.
    async fn refusal(&self) -> (Option<i32>, String) {
        let output = self.command().output().await.expect("it runs");
        assert!(!self.socket().exists(), "nothing is left behind");
        let text = String::from_utf8(output.stderr).expect("text");
        (
            output.status.code(),
            text.lines().last().unwrap_or_default().to_owned(),
        )
    }

    async fn admin(&self, method: &str, path: &str, body: &Value) -> Answer {
        let stream = UnixStream::connect(self.socket()).await.expect("connected");
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        request(stream, method, path, &[], body.as_bytes()).await
    }
}

fn signal(child: &Child, signal: Signal) {
    let pid = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .expect("it runs");
    kill(Pid::from_raw(pid), signal).expect("sent");
}

#[tokio::test]
async fn functions_outlive_a_killed_daemon() {
    let site = Site::new();
    let function = json!({ "root": root_image(site.folder.path()), "env": { "A": "B" } });
    let mut first = site.start().await;
    assert_eq!(
        site.admin("PUT", "/v1/functions/f", &function).await.status,
        200
    );
    first.kill().await.expect("killed");
    assert!(site.socket().exists(), "nobody was there to remove it");

    let mut second = site.start().await;
    let kept = site.admin("GET", "/v1/functions/f", &Value::Null).await;
    assert_eq!(kept.json()["env"], json!({ "A": "B" }));
    let status = site.admin("GET", "/v1/status", &Value::Null).await.json();
    assert_eq!(status["functions"], 1);
    assert!(status["store"].is_string(), "the store listens: {status}");

    signal(&second, Signal::SIGTERM);
    assert!(second.wait().await.expect("ended").success());
    assert!(
        !site.socket().exists(),
        "an ending daemon removes its socket"
    );
}

#[tokio::test]
async fn no_core_dump_holds_the_keys() {
    let site = Site::new();
    let daemon = site.command();
    let mut idle = Command::new("sleep");
    idle.arg("60");
    let mut dumped = Vec::new();
    for mut command in [daemon, idle] {
        command.current_dir(site.folder.path());
        // SAFETY: between fork and exec the closure makes one system call, which takes numbers.
        unsafe {
            command.pre_exec(|| {
                let most = getrlimit(Resource::RLIMIT_CORE)?.1;
                Ok(setrlimit(Resource::RLIMIT_CORE, most, most)?)
            });
        }
        let is_daemon = dumped.is_empty();
        let mut child = command.spawn().expect("it starts");
        eventually("the program runs", async || {
            !is_daemon || UnixStream::connect(site.socket()).await.is_ok()
        })
        .await;
        signal(&child, Signal::SIGABRT);
        dumped.push(child.wait().await.expect("ended").core_dumped());
    }
    // The second is the control, on systems that dump at all.
    assert!(
        !dumped[0],
        "a dump was made; of another program: {}",
        dumped[1]
    );
}

#[tokio::test]
async fn nobody_else_may_look() {
    use std::os::unix::fs::PermissionsExt;

    let site = Site::new();
    let at = |name: &str| site.folder.path().join(name);
    // As an older daemon made it.
    fs::create_dir(at("state")).expect("made");
    fs::set_permissions(at("state"), fs::Permissions::from_mode(0o755)).expect("open to all");
    let mut daemon = site.start().await;
    let function = json!({ "root": root_image(site.folder.path()), "env": { "KEY": "secret" } });
    let deployed = site.admin("PUT", "/v1/functions/f", &function).await;
    assert_eq!(deployed.status, 200);
    for (name, mode) in [
        ("state", 0o700),
        ("state/functions", 0o700),
        ("state/functions/f.json", 0o600),
        ("state/logs", 0o700),
        ("store", 0o700),
    ] {
        let found = fs::metadata(at(name)).expect("there").permissions().mode() & 0o777;
        assert_eq!(found, mode, "{name} has {found:o}");
    }
    daemon.kill().await.expect("killed");
}

#[tokio::test]
async fn a_second_daemon_is_refused() {
    let site = Site::new();
    let mut first = site.start().await;
    let output = site.command().output().await.expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).expect("text");
    assert!(text.contains("another nexusd listens on"), "{text}");
    assert_eq!(
        site.admin("GET", "/v1/status", &Value::Null).await.status,
        200,
        "the first is not disturbed"
    );
    signal(&first, Signal::SIGINT);
    assert!(first.wait().await.expect("ended").success());
}

#[tokio::test]
async fn a_function_whose_vm_cannot_start() {
    let site = Site::new();
    let mut daemon = site.start().await;
    let function = json!({ "root": root_image(site.folder.path()) });
    assert_eq!(
        site.admin("PUT", "/v1/functions/f", &function).await.status,
        200
    );
    // /bin/sh does not know --kernel: a VMM that ends at once.
    let answer = site
        .admin("POST", "/2015-03-31/functions/f/invocations", &json!({}))
        .await;
    assert_eq!(answer.status, 500, "{answer:?}");
    assert_eq!(answer.header("x-amzn-errortype"), "ServiceException");
    let message = answer.json()["Message"]
        .as_str()
        .expect("a message")
        .to_owned();
    assert!(
        message.contains("the VM ended") && message.contains("exit status: 2"),
        "{message}"
    );
    let instances = site.admin("GET", "/v1/instances", &Value::Null).await;
    assert_eq!(
        instances.json()["instances"],
        json!([]),
        "nothing is left of it"
    );
    daemon.kill().await.expect("killed");
}

#[tokio::test]
async fn what_cannot_be_had_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let site = Site::new();
    site.configure(&address, "/bin/sh");
    let (code, text) = site.refusal().await;
    assert_eq!(code, Some(1));
    assert!(
        text.starts_with(&format!(
            "nexusd: cannot listen on {address}; set listen.invoke"
        )),
        "{text}"
    );

    site.configure("127.0.0.1:0", "/no/vmlinux");
    let (code, text) = site.refusal().await;
    assert_eq!(code, Some(2));
    assert!(
        text.contains("nexusd.toml:7: vm.kernel: cannot read /no/vmlinux"),
        "{text}"
    );

    site.configure("127.0.0.1:0", "/bin/sh");
    fs::remove_dir_all(site.folder.path().join("state")).expect("there since the port was tried");
    fs::write(site.folder.path().join("state"), "in the way").expect("written");
    let (code, text) = site.refusal().await;
    assert_eq!(code, Some(1));
    assert!(text.contains("cannot use the state folder"), "{text}");

    fs::remove_file(site.folder.path().join("nexusd.toml")).expect("removed");
    let (code, text) = site.refusal().await;
    assert_eq!(code, Some(2));
    assert!(
        text.contains("cannot read the configuration") && text.contains("--config"),
        "{text}"
    );
}
