// SPDX-License-Identifier: Apache-2.0
//! Names in an unmodified Python image: resolved by the host, allowed by name, refused with the resolver's own errors; and those of
//! services, which lead to the gateway.

use anyhow::{Result, ensure};
use nexus_testbed::Deployment;
use serde_json::{Value, json};

use super::Case;
use crate::bed::{self, Bed, NAME, SERVER};

pub(crate) const CASE: Case = Case {
    name: "names",
    guest,
    host,
};

/// The guest's half proper is `tests/images/functions/echo`; the agent has none.
fn guest(arguments: &Value) -> Result<Value> {
    anyhow::bail!("this case is not for the agent: {arguments}")
}

fn host(bed: &Bed) -> Result<()> {
    let port = bed::serve(SERVER, |_stream| Ok(()))?;
    let function = Deployment::new("names", &bed.root("echo"));
    let rule = format!("{NAME}:{port}");
    bed.testbed.deploy(&function.with("--endpoint", &rule))?;
    let echo = |event: Value| bed.testbed.invoke("names", &event)?.success();

    // Before the name was resolved its address means nothing to the policy.
    let early = echo(json!({ "connect": [SERVER.to_string(), port, 10] }))?;
    ensure!(
        early["errno"] == libc::EACCES,
        "an address that nobody allowed: {early}"
    );
    let found = echo(json!({ "resolve": NAME }))?;
    ensure!(
        found["addresses"] == json!([SERVER.to_string()]),
        "{NAME} is {found}"
    );
    let connected = echo(json!({ "connect": [NAME, port, 10] }))?;
    ensure!(
        connected["connected"] == true,
        "connecting by name: {connected}"
    );
    let other = echo(json!({ "connect": [NAME, port.wrapping_add(1), 10] }))?;
    ensure!(
        other["errno"] == libc::EACCES,
        "a port that the rule does not name: {other}"
    );

    let unknown = echo(json!({ "resolve": "unknown.nexus.test" }))?;
    ensure!(
        unknown["error"].is_i64(),
        "a name that no rule mentions: {unknown}"
    );
    let local = echo(json!({ "resolve": "localhost" }))?;
    ensure!(
        local["addresses"].to_string().contains("127.0.0.1"),
        "localhost is {local}"
    );
    let numeric = echo(json!({ "resolve": "192.0.2.7" }))?;
    ensure!(
        numeric["addresses"] == json!(["192.0.2.7"]),
        "a numeric address is {numeric}"
    );

    // A service's own name, which leads to the gateway: the system trusts who has signed for it.
    let service = echo(json!({ "trust": "s3.us-east-1.amazonaws.com" }))?;
    ensure!(
        service["issuer"] == json!([[["commonName", "Nexus node"]]]),
        "the system does not trust the gateway: {service}"
    );
    Ok(())
}
