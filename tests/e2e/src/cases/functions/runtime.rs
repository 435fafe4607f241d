// SPDX-License-Identifier: Apache-2.0
//! AWS Lambda's runtime API for a function that runs beside Nexus: events on one side, outcomes on the other.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use std::{io, sync};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::Outcome;
use crate::bed;

/// How long a function may take for one event, and to start.
const PATIENCE: Duration = Duration::from_secs(300);
/// What a guest asks for before its function starts.
const SETUP: &str = include_str!("setup.py");

/// The API, served until the process ends.
pub(super) struct Runtime {
    events: Sender<Value>,
    outcomes: Receiver<Outcome>,
    /// Where it listens.
    pub(super) port: u16,
}

/// What the connections share.
struct Shared {
    events: sync::Mutex<Receiver<Value>>,
    outcomes: Sender<Outcome>,
    orders: String,
}

impl Runtime {
    /// Serves at an address; `orders` are what [`SETUP`] asks for.
    pub(super) fn serve(address: Ipv4Addr, orders: &Value) -> Result<Self> {
        let (events, waiting) = channel();
        let (done, outcomes) = channel();
        let shared = Arc::new(Shared {
            events: sync::Mutex::new(waiting),
            outcomes: done,
            orders: orders.to_string(),
        });
        let port = bed::serve(address, move |stream| shared.answer(&stream))?;
        Ok(Self {
            events,
            outcomes,
            port,
        })
    }

    /// Has the function handle an event, for as long as `lives` says that there is one.
    pub(super) fn invoke(
        &self,
        event: &Value,
        mut lives: impl FnMut() -> Result<bool>,
    ) -> Result<Outcome> {
        self.events.send(event.clone()).context("nobody serves")?;
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            match self.outcomes.recv_timeout(Duration::from_secs(1)) {
                Ok(outcome) => return Ok(outcome),
                Err(_) => ensure!(lives()?, "the function has ended"),
            }
        }
        bail!("the function does not answer")
    }
}

impl Shared {
    /// Answers the requests of a connection.
    fn answer(&self, stream: &TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        while let Some((path, body)) = request(&mut reader)? {
            match path.rsplit('/').next().unwrap_or_default() {
                "setup" => respond(stream, SETUP)?,
                "orders" => respond(stream, &self.orders)?,
                "next" => {
                    let events = self.events.lock().map_err(|_| io::ErrorKind::Other)?;
                    // Without an event the test is over, and so is the connection.
                    let event = events.recv().map_err(io::Error::other)?;
                    respond(stream, &event.to_string())?;
                }
                "response" => self.done(stream, Outcome::Result(body))?,
                // Of an event, or of the start.
                "error" => self.done(stream, Outcome::of_error(&body))?,
                _ => return Err(io::Error::other(path)),
            }
        }
        Ok(())
    }

    fn done(&self, stream: &TcpStream, outcome: Outcome) -> io::Result<()> {
        self.outcomes.send(outcome).map_err(io::Error::other)?;
        respond(stream, "{}")
    }
}

/// Path and body of the next request, if there is one.
fn request(reader: &mut impl BufRead) -> io::Result<Option<(String, Value)>> {
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let Some(path) = first.split(' ').nth(1) else {
        return Ok(None);
    };
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let text = String::from_utf8_lossy(&body).into_owned();
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Some((path.to_owned(), body)))
}

/// Answers with headers that go with an event, and that no other answer minds. Lambda's runtime client needs each of them.
fn respond(mut stream: &TcpStream, body: &str) -> io::Result<()> {
    let id = "Lambda-Runtime-Aws-Request-Id: 1\r\nLambda-Runtime-Deadline-Ms: 9999999999999";
    let arn = "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:0:function:stock";
    let body_is = format!(
        "Content-Type: application/json\r\nContent-Length: {}",
        body.len()
    );
    let head = format!("HTTP/1.1 200 OK\r\n{id}\r\n{arn}\r\n{body_is}\r\n\r\n");
    stream.write_all((head + body).as_bytes())
}
