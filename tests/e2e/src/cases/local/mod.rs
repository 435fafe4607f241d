// SPDX-License-Identifier: Apache-2.0
//! Local mode: an unmodified Python outside any VM, with a function's policy, names and gateway, and with a loopback of its own.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Output, Stdio};
use std::thread;

use anyhow::{Context, Result, ensure};
use nexus_testbed::Deployment;
use serde_json::{Value, json};

use super::Case;
use crate::bed::{self, Bed, FORBIDDEN, NAME, NO_ROUTE, SERVER, SILENT, UNREACHABLE};

pub(crate) const CASE: Case = Case {
    name: "local",
    guest,
    host,
};

const PROGRAM: &str = include_str!("program.py");
const FUNCTION: &str = "local";

fn guest(arguments: &Value) -> Result<Value> {
    anyhow::bail!("no guest takes part in this case: {arguments}")
}

fn host(bed: &Bed) -> Result<()> {
    let testbed = &bed.testbed;
    testbed.create_bucket("local-test")?;
    let file = testbed.folder().join("local-object");
    fs::write(&file, "the content")?;
    testbed.put_object("local-test", "object", &file)?;
    let mut function = Deployment::new(FUNCTION, &bed.root("agent"))
        .with("--bucket", "local-test=read")
        .with("--endpoint", &format!("{NAME}:*"))
        .with("--env", "GREETING=hello");
    for allowed in [SERVER, SILENT, UNREACHABLE, NO_ROUTE] {
        function = function.with("--endpoint", &format!("{allowed}:*"));
    }
    testbed.deploy(&function)?;
    connections(bed)?;
    status(bed)?;
    without_a_function(bed)
}

/// The program checks for itself what it sees.
fn connections(bed: &Bed) -> Result<()> {
    let echo = |mut stream: std::net::TcpStream| {
        let mut buffer = [0; 4096];
        loop {
            match stream.read(&mut buffer)? {
                0 => return Ok(()),
                count => stream.write_all(&buffer[..count])?,
            }
        }
    };
    let closed = TcpListener::bind((SERVER, 0))?;
    let closed_port = closed.local_addr()?.port();
    drop(closed);
    let orders = json!({
        "server": SERVER, "name": NAME,
        "stream": bed::serve(SERVER, echo)?,
        "datagram": datagrams()?,
        "closed": closed_port,
        "forbidden": [FORBIDDEN, bed::serve(FORBIDDEN, |_| Ok(()))?],
        "loopback": bed::serve(std::net::Ipv4Addr::LOCALHOST, |_| Ok(()))?,
        "silent": SILENT, "unreachable": UNREACHABLE, "no_route": NO_ROUTE,
        "admin": bed.testbed.invoke_address().port(),
    });
    let output = python(bed, &[FUNCTION], PROGRAM)
        .arg(orders.to_string())
        .output()?;
    ensure!(
        output.status.success() && output.stdout == b"ok\n",
        "the program did not see what it should: {}",
        said(&output)
    );
    Ok(())
}

/// The program's end is that of `nexus local`, and the other way round.
fn status(bed: &Bed) -> Result<()> {
    let exited = python(bed, &[FUNCTION], "raise SystemExit(7)").status()?;
    ensure!(exited.code() == Some(7), "exit status 7 became {exited}");
    let aborted = python(bed, &[FUNCTION], "import os; os.abort()").status()?;
    ensure!(
        aborted.code() == Some(128 + libc::SIGABRT),
        "SIGABRT became {aborted}"
    );
    // No pause(2), which would wait for ever if the signal came just before it.
    let script = "import signal, sys, time\n\
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n\
        print('ready', flush=True)\n\
        while True: time.sleep(0.1)";
    let mut child = python(bed, &[FUNCTION], script)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut ready = [0; 6];
    child
        .stdout
        .as_mut()
        .context("no standard output")?
        .read_exact(&mut ready)?;
    // SAFETY: plain system call on the id of a child that has not been waited for, so it is that child's.
    unsafe { libc::kill(child.id().cast_signed(), libc::SIGTERM) };
    let ended = child.wait()?;
    ensure!(
        ended.code() == Some(5),
        "SIGTERM was not passed on: {ended}"
    );
    let missing = bed
        .testbed
        .nexus()
        .arg("local")
        .arg("--guest-dir")
        .arg(&bed.guest)
        .args([FUNCTION, "--", "/no/such/program"])
        .output()?;
    ensure!(
        missing.status.code() == Some(1) && said(&missing).contains("/no/such/program"),
        "a program that does not exist: {}",
        said(&missing)
    );
    Ok(())
}

/// What the command line says is the policy; a function that is not there is an error.
fn without_a_function(bed: &Bed) -> Result<()> {
    let port = bed::serve(SERVER, |_| Ok(()))?;
    let script = format!(
        "import socket\n\
         socket.create_connection(('{SERVER}', {port}))\n\
         try: socket.create_connection(('{SERVER}', {other}))\n\
         except PermissionError: print('ok')",
        other = port.wrapping_add(1)
    );
    let rule = format!("{SERVER}:{port}");
    let output = python(bed, &["--endpoint", &rule], &script).output()?;
    ensure!(output.stdout == b"ok\n", "{}", said(&output));
    let unknown = python(bed, &["nobody"], "").output()?;
    ensure!(
        unknown.status.code() == Some(1) && said(&unknown).contains("there is no function nobody"),
        "a function that does not exist: {}",
        said(&unknown)
    );
    Ok(())
}

/// `nexus local` with a Python program.
fn python(bed: &Bed, arguments: &[&str], program: &str) -> Command {
    let mut command = bed.testbed.nexus();
    command.arg("local").arg("--guest-dir").arg(&bed.guest);
    command
        .args(arguments)
        .args(["--", "python3", "-c", program]);
    command
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!(
        "{}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    )
}

/// Sends every datagram back.
fn datagrams() -> Result<u16> {
    let socket = UdpSocket::bind((SERVER, 0))?;
    let port = socket.local_addr()?.port();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            // Whether it arrives is for the program to notice.
            drop(socket.send_to(&buffer[..length], from));
        }
    });
    Ok(port)
}
