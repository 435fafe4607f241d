// SPDX-License-Identifier: Apache-2.0
//! The services behind the functions: moto's server, and the program that fills it and looks at what it holds.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use nexus_testbed::KilledOnDrop;
use serde_json::{Value, json};

const PROGRAM: &str = include_str!("scenarios.py");

/// The program, running. Dropping it ends it.
pub(crate) struct Services {
    _process: KilledOnDrop,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Where the server listens, without TLS.
    pub(crate) port: u16,
    /// Whom to trust who speaks TLS to it, as PEM.
    pub(super) certificate: String,
}

/// One invocation: the module of the handler, and the event.
pub(super) struct Step {
    pub(super) module: String,
    pub(super) event: Value,
}

impl Services {
    /// Starts it by a Python that has moto.
    pub(crate) fn start(python: &Path) -> Result<Self> {
        let mut program = Command::new(python);
        program
            .args(["-c", PROGRAM])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = KilledOnDrop::spawn(&mut program)
            .with_context(|| format!("cannot start {}", python.display()))?;
        let orders = process.stdin.take().context("no standard input")?;
        let answers = BufReader::new(process.stdout.take().context("no standard output")?);
        let mut services = Self {
            _process: process,
            orders,
            answers,
            port: 0,
            certificate: String::new(),
        };
        let hello = services.answer()?;
        services.port = u16::try_from(hello["port"].as_u64().context("no port")?)?;
        let certificate = hello["certificate"].as_str();
        certificate
            .context("no certificate")?
            .clone_into(&mut services.certificate);
        Ok(services)
    }

    /// Empties the server and puts a scenario's inputs there; returns its steps.
    pub(super) fn prepare(&mut self, scenario: &str) -> Result<Vec<Step>> {
        let steps = self.ask(&json!({ "prepare": scenario }))?;
        let step = |step: &Value| {
            let module = step[0].as_str().context("no module")?.to_owned();
            let event = step[1].clone();
            Ok(Step { module, event })
        };
        let steps = steps.as_array().context("no steps")?;
        steps.iter().map(step).collect()
    }

    /// What the server holds, and who has spoken to it since it was prepared.
    pub(super) fn state(&mut self) -> Result<Value> {
        self.ask(&json!({ "state": null }))
    }

    fn ask(&mut self, order: &Value) -> Result<Value> {
        writeln!(self.orders, "{order}")?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        ensure!(!line.is_empty(), "the services have ended");
        Ok(serde_json::from_str(&line)?)
    }
}
