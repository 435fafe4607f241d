// SPDX-License-Identifier: Apache-2.0
//! Scripts of socket calls in the guest and on this machine's own kernel: the same calls, the same outcomes.
//!
//! Linux says what is right: the written scripts name a behaviour and no outcome, and random ones look for what nobody
//! thought of. `NEXUS_MODEL_SCRIPTS` asks for more random ones; a failure prints the shortest script that still differs.

use anyhow::{Context, Result, ensure};
use nexus_socket_model::{Call, Outcome, play, random, scripts};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use serde_json::{Value, json};

use super::Case;
use crate::bed::Bed;

pub(crate) const CASE: Case = Case {
    name: "socket_model",
    guest,
    host,
};

/// Random scripts of each kind, unless the environment asks for more.
const RANDOM: u32 = 150;

fn guest(arguments: &Value) -> Result<Value> {
    let calls: Vec<Call> = serde_json::from_value(arguments["calls"].clone())?;
    Ok(serde_json::to_value(play(&calls))?)
}

fn host(bed: &Bed) -> Result<()> {
    let mut differing = Vec::new();
    for (name, calls) in scripts::all() {
        if let Err(difference) = compare(bed, &calls)? {
            differing.push(format!("{name}: {difference}"));
        }
    }
    ensure!(
        differing.is_empty(),
        "{} of the scripts differ from Linux:\n{}",
        differing.len(),
        differing.join("\n")
    );
    check_random(bed, random::streams()).context("random streams")?;
    check_random(bed, random::datagrams()).context("random datagrams")
}

fn check_random(bed: &Bed, scripts: impl Strategy<Value = Vec<Call>>) -> Result<()> {
    let wanted = std::env::var("NEXUS_MODEL_SCRIPTS");
    let cases = wanted
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(RANDOM);
    let config = Config {
        cases,
        // The same scripts each time: a change that breaks one is noticed, and nobody else is.
        rng_seed: RngSeed::Fixed(7),
        failure_persistence: None,
        ..Config::default()
    };
    let test = |calls: Vec<Call>| match compare(bed, &calls) {
        Ok(outcome) => outcome.map_err(TestCaseError::fail),
        Err(error) => Err(TestCaseError::fail(format!("{error:#}"))),
    };
    TestRunner::new(config)
        .run(&scripts, test)
        .map_err(|error| anyhow::anyhow!("{error}"))
}

/// Plays a script here and there; `Err` within says at which call they differ.
fn compare(bed: &Bed, calls: &[Call]) -> Result<Result<(), String>> {
    let answer = bed.guest(&CASE, &json!({ "calls": calls }))?;
    let there: Vec<Outcome> = serde_json::from_value(answer)?;
    let here = play(calls);
    let difference = here
        .iter()
        .zip(&there)
        .position(|(here, there)| here != there);
    Ok(match difference {
        None => Ok(()),
        // A loaded kernel may process what goes over its loopback a moment later than usual.
        Some(_) if play(calls) == there => Ok(()),
        Some(at) => Err(format!(
            "call {at}, {:?}: Linux {:?}, guest {:?}\n  {calls:?}",
            calls[at], here[at], there[at]
        )),
    })
}
