// SPDX-License-Identifier: Apache-2.0
//! A whole daemon within the test, whose functions run as processes.

use std::path::Path;
use std::sync::Arc;

use nexusd::pool::Launcher;
use nexusd::{Config, Daemon};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::http::{Answer, request};
use super::root_image;
use super::runner::ProcessLauncher;

/// A daemon of the test's own.
pub(crate) struct Host {
    pub(crate) folder: TempDir,
    pub(crate) invoke: std::net::SocketAddr,
    stop: CancellationToken,
    daemon: JoinHandle<()>,
}

impl Host {
    pub(crate) async fn start(pool: &str) -> Self {
        Self::start_on(pool, Arc::new(ProcessLauncher)).await
    }

    pub(crate) async fn start_on(pool: &str, launcher: Arc<dyn Launcher>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().display();
        let text = format!(
            "state_dir = \"{state}/state\"\n[listen]\ninvoke = \"127.0.0.1:0\"\nadmin = \"{state}/admin.sock\"\n\
             [vm]\nvmm = \"/bin/sh\"\nkernel = \"/bin/sh\"\n[pool]\n{pool}\n"
        );
        let config = Config::parse(&text, Path::new("test.toml")).expect("valid");
        let daemon = Daemon::open_with(config, None, launcher)
            .await
            .expect("opened");
        let invoke = daemon.invoke_address().expect("an address");
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let daemon = tokio::spawn(async move { daemon.run(stopped).await.expect("ran") });
        Self {
            folder,
            invoke,
            stop,
            daemon,
        }
    }

    pub(crate) async fn admin(&self, method: &str, path: &str, body: &Value) -> Answer {
        let stream = UnixStream::connect(self.folder.path().join("admin.sock"))
            .await
            .expect("connected");
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        request(stream, method, path, &[], body.as_bytes()).await
    }

    pub(crate) async fn deploy(&self, name: &str, function: Value) {
        let mut function = function;
        function["root"] = json!(root_image(self.folder.path()));
        let answer = self
            .admin("PUT", &format!("/v1/functions/{name}"), &function)
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    pub(crate) async fn call(&self, name: &str, headers: &[(&str, &str)], event: &[u8]) -> Answer {
        let stream = TcpStream::connect(self.invoke).await.expect("connected");
        request(
            stream,
            "POST",
            &format!("/2015-03-31/functions/{name}/invocations"),
            headers,
            event,
        )
        .await
    }

    pub(crate) async fn invoke(&self, name: &str, event: Value) -> Answer {
        self.call(name, &[], event.to_string().as_bytes()).await
    }

    pub(crate) async fn instances(&self) -> Vec<Value> {
        let answer = self.admin("GET", "/v1/instances", &Value::Null).await;
        answer.json()["instances"]
            .as_array()
            .expect("a list")
            .clone()
    }

    /// Waits until an instance runs an invocation.
    pub(crate) async fn until_running(&self) {
        super::eventually("an instance runs", async || {
            let instances = self.instances().await;
            instances
                .iter()
                .any(|instance| instance["state"] == "running")
        })
        .await;
    }

    pub(crate) async fn end(self) {
        self.stop.cancel();
        self.daemon.await.expect("ended in order");
        assert!(
            !self.folder.path().join("admin.sock").exists(),
            "the socket is removed"
        );
    }
}
