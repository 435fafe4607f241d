// SPDX-License-Identifier: Apache-2.0
//! The demo's part that needs KVM: store, deploy, invoke, look.

use std::fs;

use anyhow::{Context, Result, ensure};
use nexus_testbed::{Deployment, Options, Testbed, memory};
use serde_json::json;

use super::Inputs;

const BUCKET: &str = "photos";
const SOURCE: &str = "originals/photo.jpg";
const RESULT: &str = "thumbnails/photo.jpg";

/// Runs the main job.
pub(crate) fn job(inputs: &Inputs) -> Result<()> {
    let testbed = Testbed::start(Options {
        programs: inputs.programs.clone(),
        kernel: inputs.kernel.clone(),
        configuration: String::new(),
        store: None,
    })?;
    println!(
        "\n1. nexusd runs, with an object store at http://{}",
        testbed.store_address()
    );
    testbed.create_bucket(BUCKET)?;
    testbed.put_object(BUCKET, SOURCE, &inputs.photograph)?;
    println!(
        "   put {} ({} bytes) to s3://{BUCKET}/{SOURCE}",
        inputs.photograph.display(),
        size(&inputs.photograph)?
    );

    let thumbnail = Deployment::new("thumbnail", &inputs.thumbnail)
        .with("--memory", "256")
        .with("--bucket", BUCKET);
    testbed.deploy(&thumbnail)?;
    testbed.deploy(&Deployment::new("echo", &inputs.echo))?;
    println!("   deployed `thumbnail` (Python, boto3, Pillow, stock awslambdaric) and `echo`");

    main_job(&testbed, inputs)?;
    own_error(&testbed)?;
    no_network_stack(&testbed)?;
    no_secret(&testbed, inputs)?;
    println!("\nAll of it worked.");
    Ok(())
}

/// Invokes the function twice, cold and warm, and fetches what it made.
fn main_job(testbed: &Testbed, inputs: &Inputs) -> Result<()> {
    let event = json!({ "bucket": BUCKET, "key": SOURCE, "width": 256, "output_key": RESULT });
    println!("\n2. invoking `thumbnail` with {event}");
    for start in ["cold", "warm"] {
        let reply = testbed.invoke("thumbnail", &event)?;
        let request = reply.request_id.clone();
        println!("   {start}: {}", reply.success()?);
        timeline(testbed, &request)?;
    }
    let scaled = inputs.folder.join("thumbnail.jpg");
    testbed.get_object(BUCKET, RESULT, &scaled)?;
    println!("   result: {} ({} bytes)", scaled.display(), size(&scaled)?);
    let vmm = testbed.vmm("thumbnail")?;
    let usage = memory::usage(vmm)?;
    let guest = fs::metadata(memory::guest_memory(vmm)?)?;
    println!(
        "   memory of its VM: guest {} of {} MiB in use, nexus-vmm itself {:.1} MiB private",
        std::os::unix::fs::MetadataExt::blocks(&guest) / 2048,
        guest.len() >> 20,
        mib(usage.private_kib)
    );
    println!(
        "   nexusd: {:.1} MiB private",
        mib(memory::usage(testbed.daemon_pid())?.private_kib)
    );
    Ok(())
}

fn timeline(testbed: &Testbed, request: &str) -> Result<()> {
    let text = testbed.nexus_text(&["trace", request])?;
    for line in text.lines() {
        println!("      {line}");
    }
    Ok(())
}

/// The function's own error arrives at the caller as Lambda reports it.
fn own_error(testbed: &Testbed) -> Result<()> {
    let event = json!({ "bucket": BUCKET, "key": "no/such/photo.jpg", "width": 256 });
    println!("\n3. invoking `thumbnail` with a key that does not exist");
    let reply = testbed.invoke("thumbnail", &event)?;
    let kind = reply
        .function_error
        .context("the function reported no error")?;
    println!("   HTTP {}, X-Amz-Function-Error: {kind}", reply.status);
    println!("   errorType: {}", reply.payload["errorType"]);
    println!("   errorMessage: {}", reply.payload["errorMessage"]);
    Ok(())
}

/// The guest kernel has no INET: what owns the socket families is shown from inside.
fn no_network_stack(testbed: &Testbed) -> Result<()> {
    println!("\n4. claim: the guest has no TCP/IP stack");
    let found = testbed
        .invoke("echo", &json!({ "socket_family_owner": true }))?
        .success()?;
    let families = &found["families"];
    println!(
        "   from inside the guest, kernel {}:",
        found["kernel"].as_str().unwrap_or_default()
    );
    println!(
        "   modules {}, protocols {}",
        found["modules"], found["protocols"]
    );
    println!(
        "   AF_INET: {}, AF_INET6: {}",
        families["AF_INET"], families["AF_INET6"]
    );
    println!(
        "   /proc/net/tcp: {}, /proc/sys/net/ipv4: {}",
        found["has_proc_net_tcp"], found["has_sysctl_ipv4"]
    );
    let protocols = found["protocols"]
        .as_array()
        .context("no list of protocols")?;
    ensure!(
        !protocols.contains(&json!("TCP")),
        "the guest kernel has TCP"
    );
    ensure!(
        found["has_proc_net_tcp"] == json!(false) && found["has_sysctl_ipv4"] == json!(false),
        "the guest kernel has INET"
    );
    ensure!(
        found["modules"] == json!(["nexus"]),
        "something else than nexus.ko may own the families"
    );
    Ok(())
}

/// The store's secret key is nowhere in the guest; that the search works is shown with the guest's placeholder.
fn no_secret(testbed: &Testbed, inputs: &Inputs) -> Result<()> {
    println!("\n5. claim: the store's secret key is nowhere in the guest");
    let memory = memory::guest_memory(testbed.vmm("thumbnail")?)?;
    let secret = testbed.keys().secret.as_bytes();
    let environment = testbed
        .invoke("echo", &json!({ "environ": true }))?
        .success()?
        .to_string();
    let in_environment = usize::from(environment.contains(&testbed.keys().secret));
    let (in_memory, in_root) = (
        memory::occurrences(&memory, secret)?,
        memory::occurrences(&inputs.thumbnail, secret)?,
    );
    println!(
        "   found in guest memory {in_memory} times, in the root image {in_root}, in the environment {in_environment}"
    );
    let control = memory::occurrences(&memory, b"AWS_SECRET_ACCESS_KEY=")?;
    println!("   control: the placeholder's variable is found in guest memory {control} times");
    ensure!(
        in_memory + in_root + in_environment == 0,
        "the secret key is in the guest"
    );
    ensure!(
        control > 0,
        "the search found nothing at all, so it proves nothing"
    );
    Ok(())
}

fn size(path: &std::path::Path) -> Result<u64> {
    Ok(fs::metadata(path)
        .with_context(|| format!("cannot find {}", path.display()))?
        .len())
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
