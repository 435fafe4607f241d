// SPDX-License-Identifier: Apache-2.0
//! `nexus invoke`: runs a function once. Its result goes to standard output, its log to standard error.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clap::Args;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::Outcome;
use super::trace::timeline_table;
use crate::admin::{Admin, Answer};
use crate::output::Output;

/// Invoke a function and print its result; the exit status tells whether it failed.
#[derive(Debug, Args)]
pub(crate) struct Invoke {
    /// The function's name.
    name: String,
    /// The event: JSON, a file, or `-` for standard input.
    #[arg(long, short, default_value = "{}")]
    event: String,
    /// Print the end of the log on standard error.
    #[arg(long)]
    log: bool,
    /// Print what happened when on standard error.
    #[arg(long)]
    timeline: bool,
    /// Do not wait for the result.
    #[arg(long = "async")]
    later: bool,
}

impl Invoke {
    pub(super) async fn run(self, admin: &Admin, output: Output) -> Outcome {
        let event = read_event(&self.event)?;
        let kind = if self.later {
            "Event"
        } else {
            "RequestResponse"
        };
        let headers = [
            ("X-Amz-Invocation-Type", kind),
            ("X-Amz-Log-Type", if self.log { "Tail" } else { "None" }),
        ];
        let path = format!("/2015-03-31/functions/{}/invocations", self.name);
        let answer = admin.raw(Method::POST, &path, &headers, event).await?;
        if !answer.status.is_success() {
            return Err(refusal(&answer).into());
        }
        if self.log {
            print_log(&answer)?;
        }
        let id = answer.header("x-amzn-requestid").unwrap_or_default();
        let timeline = if self.timeline && answer.status == StatusCode::OK {
            Some(admin.get(&format!("/v1/invocations/{id}")).await?)
        } else {
            None
        };
        let failed = answer.header("x-amz-function-error").is_some();
        if output.json {
            print_json(&answer, id, failed, timeline)?;
        } else {
            print_result(&answer, timeline.as_ref())?;
        }
        Ok(if failed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }
}

fn read_event(event: &str) -> Result<Bytes, String> {
    if event == "-" {
        let mut text = Vec::new();
        io::stdin()
            .read_to_end(&mut text)
            .map_err(|error| format!("standard input: {error}"))?;
        return Ok(text.into());
    }
    if serde_json::from_str::<Value>(event).is_ok() {
        return Ok(Bytes::copy_from_slice(event.as_bytes()));
    }
    let file = std::fs::read(event).map(Bytes::from);
    file.map_err(|error| {
        format!("the event {event:?} is neither JSON nor a file that can be read: {error}")
    })
}

fn refusal(answer: &Answer) -> String {
    let code = answer.header("x-amzn-errortype").unwrap_or("an error");
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let message = body
        .get("message")
        .or_else(|| body.get("Message"))
        .and_then(Value::as_str);
    format!("{code}: {}", message.unwrap_or("no reason given"))
}

fn print_log(answer: &Answer) -> io::Result<()> {
    let tail = answer
        .header("x-amz-log-result")
        .and_then(|tail| STANDARD.decode(tail).ok());
    io::stderr().write_all(&tail.unwrap_or_default())
}

fn print_result(answer: &Answer, timeline: Option<&Value>) -> io::Result<()> {
    if let Some(timeline) = timeline {
        io::stderr().write_all(timeline_table(timeline).as_bytes())?;
    }
    let mut out = io::stdout();
    out.write_all(&answer.body)?;
    if !answer.body.is_empty() && !answer.body.ends_with(b"\n") {
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn print_json(answer: &Answer, id: &str, failed: bool, timeline: Option<Value>) -> io::Result<()> {
    let mut value = json!({
        "request_id": id,
        "status": answer.status.as_u16(),
        "instance": answer.header("x-nexus-instance"),
        "failed": failed,
        "payload": serde_json::from_slice::<Value>(&answer.body).unwrap_or_default(),
    });
    if let Some(timeline) = timeline {
        value["timeline"] = timeline;
    }
    writeln!(io::stdout(), "{value:#}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{read_event, timeline_table};

    #[test]
    fn an_event_is_json_or_a_file() {
        assert_eq!(read_event("{\"a\": 1}").expect("JSON"), "{\"a\": 1}");
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(&file, "[1]").expect("written");
        assert_eq!(
            read_event(file.path().to_str().expect("text")).expect("a file"),
            "[1]"
        );
        assert!(
            read_event("{nonsense")
                .expect_err("neither")
                .contains("neither JSON nor a file")
        );
    }

    #[test]
    fn a_timeline_for_people() {
        let timeline = json!({ "marks": [{ "name": "arrival", "at_us": 0 }, { "name": "done", "at_us": 12345 }] });
        assert_eq!(
            timeline_table(&timeline),
            "WHAT     AT         STEP\narrival  0.000 ms   +0.000 ms\ndone     12.345 ms  +12.345 ms\n"
        );
    }
}
