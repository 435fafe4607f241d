// SPDX-License-Identifier: Apache-2.0
//! Services other than S3 by the SDK's shims in unmodified images: what programs see is what they see without the shim.
//!
//! The services are moto's server, and a Lambda that answers with what it is given to those who sign. The cases run by their names
//! only, for they take long in emulation. The calls are `services` in `tests/images/functions/sdk` and `sdk-node`.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use nexus_testbed::daemon::Keys;
use nexus_testbed::{Deployment, KilledOnDrop, Testbed, free_address};
use serde_json::{Map, Value, json};

use super::functions::Services;
use super::{Case, sdk};
use crate::bed::Bed;

const LAMBDA: &str = include_str!("../../../../host/daemon/tests/functions/signed_lambda.py");

/// What the functions may use.
const SERVICES: [&str; 6] = ["dynamodb", "lambda", "secretsmanager", "sns", "sqs", "ssm"];

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "services_python",
        guest,
        host: |bed| with_and_without(bed, "sdk", &PYTHON_OWN),
    },
    Case {
        name: "services_node",
        guest,
        host: |bed| with_and_without(bed, "sdk-node", &NODE_OWN),
    },
];

/// What the shims have to do by themselves.
const PYTHON_OWN: [&str; 6] = [
    "items",
    "tables",
    "failures",
    "queue",
    "topic",
    "secrets_and_parameters",
];
const NODE_OWN: [&str; 10] = [
    "queue",
    "topic",
    "functions",
    "secretsAndParameters",
    "errorsOfItems",
    "errorsOfSecrets",
    "errorsOfParameters",
    "errorsOfQueues",
    "errorsOfTopics",
    "errorsOfFunctions",
];

/// The guest's half proper is in the images; the agent has none.
fn guest(arguments: &Value) -> Result<Value> {
    anyhow::bail!("this case is not for the agent: {arguments}")
}

fn with_and_without(bed: &Bed, image: &str, own: &[&str]) -> Result<()> {
    let shim = seen(bed, image, true).context("with the shim")?;
    let bare = seen(bed, image, false).context("without the shim")?;
    sdk::judge(&shim, &bare, own)
}

/// What a function sees of services that nobody has used before.
fn seen(bed: &Bed, image: &str, has_shim: bool) -> Result<Value> {
    let needs = bed.needs.as_ref().context("run it by its name")?;
    let moto = Services::start(&needs.python)?;
    // It checks signatures by the testbed's key, which is made after the configuration.
    let lambda = free_address()?.port();
    let mut options = bed.testbed.options().clone();
    let endpoint = |service| {
        let port = if service == "lambda" {
            lambda
        } else {
            moto.port
        };
        format!("{service} = \"http://127.0.0.1:{port}\"")
    };
    let endpoints = SERVICES.map(endpoint).join("\n");
    // In emulation moto may take minutes to load a service.
    options.configuration = format!("read_timeout_s = 600\n[gateway.endpoints]\n{endpoints}\n");
    let testbed = Testbed::start(options)?;
    let _lambda = start_lambda(&needs.python, lambda, testbed.keys())?;
    let mut function = Deployment::new("services", &bed.root(image))
        .with("--memory", "512")
        .with("--timeout", "900");
    for service in SERVICES {
        function = function.with("--service", service);
    }
    if !has_shim {
        function = function.with("--env", "NEXUS_SDK=off");
    }
    testbed.deploy(&function)?;
    let mut all = Map::new();
    let ask = |name: &Value| {
        let reply = testbed.invoke("services", &json!({ "services": name }))?;
        reply.success().with_context(|| format!("case {name}"))
    };
    let names = ask(&Value::Null)?;
    for name in names.as_array().context("no names")? {
        let text = name.as_str().context("a name that is no text")?;
        all.insert(text.to_owned(), ask(name)?);
    }
    Ok(all.into())
}

/// A Lambda that takes calls signed with these keys, on a port of its own. Dropping it ends it.
fn start_lambda(python: &Path, port: u16, keys: &Keys) -> Result<KilledOnDrop> {
    let mut program = Command::new(python);
    program
        .args(["-c", LAMBDA, &keys.access, &keys.secret, &port.to_string()])
        .stdout(Stdio::piped());
    let mut process = KilledOnDrop::spawn(&mut program)
        .with_context(|| format!("cannot start {}", python.display()))?;
    // It says so when it listens.
    let output = process.stdout.take().context("no standard output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    ensure!(
        line.trim() == port.to_string(),
        "it does not listen on {port}: {line:?}"
    );
    Ok(process)
}
