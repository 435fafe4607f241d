// SPDX-License-Identifier: Apache-2.0
//! Services other than S3 behind the gateway: boto3 with a placeholder key on one side, and on the other moto's server, which checks
//! signatures with botocore's own code.

mod support;

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use nexus_backend::gateway::{Gateway, GatewayConfig, Policy, RoleArn, ServiceRule, Upstream};
use nexus_backend::service::Service as _;
use serde_json::Value;
use support::{eventually, venv};

/// The release of moto that the test installs; it brings the boto3 that it is made for.
const MOTO: &str = "5.2.5";

/// What a function may do in this test.
const ALLOWED: [(&str, &[&str]); 7] = [
    ("dynamodb", &[]),
    ("lambda", &["Invoke"]),
    ("secretsmanager", &["Get*", "CreateSecret"]),
    ("sns", &[]),
    ("sqs", &[]),
    ("ssm", &["PutParameter", "GetParameter"]),
    ("sts", &["*"]),
];

/// A server of the test, ended with it.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    /// Starts moto. After its first three actions it answers only those who sign.
    fn moto(python: &Path) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let process = Command::new(python)
            .args(["-m", "moto.server", "-p", &port.to_string()])
            .env("INITIAL_NO_AUTH_ACTION_COUNT", "3")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("moto starts");
        Self { process, port }
    }

    /// Starts the Lambda that checks signatures.
    fn lambda(python: &Path, id: &str, secret: &str) -> Self {
        let mut process = Command::new(python)
            .arg(program("signed_lambda.py"))
            .args([id, secret])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let output = process.stdout.take().expect("piped");
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("a line");
        let port = line.trim().parse().expect("a port");
        Self { process, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// A program of `tests/functions`.
fn program(name: &str) -> PathBuf {
    let folder = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").expect("cargo says it"));
    folder.join("tests/functions").join(name)
}

/// Runs a program of `tests/functions` and returns what it printed.
async fn run(python: &Path, name: &str, arguments: &[&str]) -> String {
    let output = tokio::process::Command::new(python)
        .arg(program(name))
        .args(arguments)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .await
        .expect("it runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

/// The way to the services with the host's key.
async fn upstream(moto: u16, lambda: u16, key: Credentials) -> Arc<Upstream> {
    let endpoint = |service: &str| {
        let port = if service == "lambda" { lambda } else { moto };
        (service.to_owned(), format!("http://127.0.0.1:{port}"))
    };
    let services = ALLOWED.iter().map(|(service, _)| endpoint(service));
    let config = GatewayConfig::new("us-east-1", services.collect());
    Upstream::new(config, SharedCredentialsProvider::new(key))
        .await
        .expect("valid")
}

/// A gateway on a TCP port, of a function with a role or none, and the port.
async fn gateway(upstream: &Arc<Upstream>, role: Option<RoleArn>) -> u16 {
    let allowed = |(service, actions): &(&str, &[&str])| ServiceRule {
        service: (*service).into(),
        actions: actions.iter().map(|action| (*action).into()).collect(),
    };
    let policy = Policy {
        services: ALLOWED.iter().map(allowed).collect(),
        role,
        ..Policy::default()
    };
    let gateway = Gateway::new(Arc::clone(upstream), Arc::new(policy), "f".into());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(Arc::clone(&gateway).serve(Box::pin(stream)));
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn services_by_the_generic_path() {
    let environment = venv(&format!("moto-{MOTO}"), &[&format!("moto[server]=={MOTO}")]);
    let python = environment.join("bin/python");
    let moto = Server::moto(&python);
    eventually("moto listens", async || {
        tokio::net::TcpStream::connect(("127.0.0.1", moto.port))
            .await
            .is_ok()
    })
    .await;
    let moto_url = format!("http://127.0.0.1:{}", moto.port);
    let made = run(&python, "moto_user.py", &[&moto_url]).await;
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let text = |name: &str| made[name].as_str().expect("a text").to_owned();
    let key = Credentials::new(
        text("AccessKeyId"),
        text("SecretAccessKey"),
        None,
        None,
        "test",
    );
    let (id, secret) = (text("AccessKeyId"), text("SecretAccessKey"));
    let lambda = Server::lambda(&python, &id, &secret);
    let upstream = upstream(moto.port, lambda.port, key).await;
    let role: RoleArn = text("Role").parse().expect("a role");
    for (role, program) in [(None, "services_client.py"), (Some(role), "role_client.py")] {
        let port = gateway(&upstream, role).await;
        let url = format!("http://127.0.0.1:{port}");
        let seen = run(&python, program, &[&url, &moto_url]).await;
        assert!(seen.ends_with("all of it\n"), "{program}: {seen}");
        assert!(!seen.contains(&secret));
    }
}
