// SPDX-License-Identifier: Apache-2.0
//! A guest that writes garbage into its rings is stopped, the log says why, and its neighbour does not notice.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::{io, thread};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Case;
use crate::bed::Bed;

pub(crate) const CASE: Case = Case {
    name: "hostile_guest",
    guest,
    host,
};

/// Loads the module that garbles the rings, in the way asked for. Without a way, is a good neighbour.
fn guest(arguments: &Value) -> Result<Value> {
    let Some(kind) = arguments["kind"].as_str() else {
        return Ok(json!("here"));
    };
    let module = File::open("/garble.ko")?;
    let parameters = CString::new(format!("kind={kind}"))?;
    // SAFETY: the descriptor and the string live until the call returns.
    let result = unsafe {
        libc::syscall(
            libc::SYS_finit_module,
            module.as_raw_fd(),
            parameters.as_ptr(),
            0,
        )
    };
    ensure!(
        result == 0,
        "cannot load garble.ko: {}",
        io::Error::last_os_error()
    );
    // Stopped from outside, or the test fails on the answer that never should come.
    thread::sleep(std::time::Duration::from_secs(60));
    Ok(json!("still alive"))
}

fn host(bed: &Bed) -> Result<()> {
    let neighbour = bed.testbed.vmm("agent").or_else(|_| {
        bed.guest(&CASE, &json!({}))?;
        bed.testbed.vmm("agent")
    })?;
    for kind in ["message", "desc", "avail"] {
        let function = format!("hostile-{kind}");
        let logged = bed.testbed.log().len();
        bed.testbed.deploy(&bed.agent(&function))?;
        let reply = bed.guest_of(&function, &CASE, &json!({ "kind": kind }))?;
        ensure!(
            reply.function_error.is_some(),
            "{kind}: the guest was not stopped: {reply:?}"
        );
        ensure!(
            reply.payload.to_string().contains("Runtime.ExitError"),
            "{kind}: the caller is told {}",
            reply.payload
        );
        ensure!(
            bed.testbed.instance(&function).is_err(),
            "{kind}: the instance is still there"
        );
        let log = bed.testbed.log().split_off(logged);
        ensure!(
            log.contains("violated virtio-nexus"),
            "{kind}: nexusd's log does not say why: {log}"
        );
        ensure!(
            bed.guest(&CASE, &json!({}))? == json!("here"),
            "{kind}: the neighbour is disturbed"
        );
    }
    let now = bed.testbed.vmm("agent").context("the neighbour is gone")?;
    ensure!(now == neighbour, "the neighbour is another VM than before");
    Ok(())
}
