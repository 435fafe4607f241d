// SPDX-License-Identifier: Apache-2.0
//! An unmodified Python image with the stock runtime client, boto3 and Pillow: the thumbnail function's whole job, its
//! own error at the caller, and what a bucket policy forbids.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use nexus_testbed::{Deployment, Testbed};
use serde_json::{Value, json};

use super::Case;
use crate::bed::Bed;

pub(crate) const CASE: Case = Case {
    name: "python_image",
    guest,
    host,
};

/// How often in turn a hint must have been right before it is used.
const RIGHT: u32 = 3;

/// The guest's half proper is `tests/images/thumbnail`; the agent has none.
fn guest(arguments: &Value) -> Result<Value> {
    anyhow::bail!("this case is not for the agent: {arguments}")
}

fn host(bed: &Bed) -> Result<()> {
    let testbed = &bed.testbed;
    deploy(testbed, &bed.root("thumbnail"))?;
    scale(testbed)?;
    by_name(testbed, &bed.root("thumbnail"))?;
    beforehand(testbed, &bed.root("thumbnail"))?;
    beforehand_untold(testbed, &bed.root("thumbnail"))?;
    for (bucket, key, code) in [
        ("photos", "in/nothing", "NoSuchKey"),
        ("private", "in/picture.ppm", "AccessDenied"),
    ] {
        let reply = testbed.invoke(
            "thumbnail",
            &json!({ "bucket": bucket, "key": key, "width": 64 }),
        )?;
        ensure!(
            reply.function_error.is_some(),
            "{bucket}/{key}: no error: {reply:?}"
        );
        let message = reply.payload["errorMessage"]
            .as_str()
            .context("an error without a message")?;
        ensure!(
            message.contains(code),
            "{bucket}/{key}: {message:?} does not speak of {code}"
        );
    }
    // Its calls were the shim's.
    super::secret::guest_has_no_key(bed, "thumbnail", "thumbnail", "AWS_SECRET_ACCESS_KEY")
}

/// Deploys the function, with a picture in a bucket that it may use and in one that it may not.
pub(super) fn deploy(testbed: &Testbed, root: &Path) -> Result<()> {
    testbed.create_bucket("photos")?;
    testbed.create_bucket("private")?;
    let picture = testbed.folder().join("picture.ppm");
    fs::write(&picture, picture_bytes(640, 480))?;
    testbed.put_object("photos", "in/picture.ppm", &picture)?;
    testbed.put_object("private", "in/picture.ppm", &picture)?;
    let function = Deployment::new("thumbnail", root);
    testbed.deploy(&function.with("--memory", "256").with("--bucket", "photos"))
}

/// The same by an SDK that knows no variable for endpoints: it goes to `photos.s3.us-east-1.amazonaws.com`, by TLS.
fn by_name(testbed: &Testbed, root: &Path) -> Result<()> {
    let function = Deployment::new("by-name", root)
        .with("--memory", "256")
        .with("--bucket", "photos")
        .with("--env", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true")
        .with("--env", "AWS_CA_BUNDLE=/etc/nexus/authority.pem");
    testbed.deploy(&function)?;
    scale_by(testbed, "by-name")
}

/// The same with the picture fetched before the function asks for it.
fn beforehand(testbed: &Testbed, root: &Path) -> Result<()> {
    let function = Deployment::new("beforehand", root)
        .with("--memory", "256")
        .with("--bucket", "photos")
        .with("--prefetch", "s3://{bucket}/{key}")
        .with("--prefetch-freshness", "relaxed");
    testbed.deploy(&function)?;
    scale_by(testbed, "beforehand")?;
    ensure_prefetched(testbed, "beforehand", 1)
}

/// The same where the caller says what will be read, and where that was learned.
fn beforehand_untold(testbed: &Testbed, root: &Path) -> Result<()> {
    let function = Deployment::new("untold", root)
        .with("--memory", "256")
        .with("--bucket", "photos")
        // The embedded store answers no conditional reads.
        .with("--prefetch-freshness", "relaxed");
    testbed.deploy(&function)?;
    let caller = [("X-Nexus-Prefetch", "s3://photos/in/picture%2Eppm")];
    let reply = testbed.invoke_with("untold", event().to_string().as_bytes(), &caller)?;
    ensure_scaled(testbed, &reply.success()?)?;
    ensure_prefetched(testbed, "untold", 1)?;
    for _ in 1..RIGHT {
        scale_by(testbed, "untold")?;
    }
    ensure_prefetched(testbed, "untold", 1)?;
    scale_by(testbed, "untold")?;
    ensure_prefetched(testbed, "untold", 2)
}

/// Whether so many objects were there when a function asked for them, and the store was asked for no others.
fn ensure_prefetched(testbed: &Testbed, name: &str, count: u64) -> Result<()> {
    let status = testbed.nexus_json(&["status"])?;
    let deployed = status["deployed"].as_array().context("no functions")?;
    let mut names = deployed.iter();
    let function = names.find(|function| function["name"] == name);
    let prefetched = &function.context("not deployed")?["prefetched"];
    ensure!(
        *prefetched == json!({ "fetched": count, "used": count }),
        "{name}: {count} should be there beforehand: {prefetched}"
    );
    Ok(())
}

/// Has the function scale the picture, and looks at the result.
pub(super) fn scale(testbed: &Testbed) -> Result<()> {
    scale_by(testbed, "thumbnail")
}

fn scale_by(testbed: &Testbed, function: &str) -> Result<()> {
    ensure_scaled(testbed, &testbed.invoke(function, &event())?.success()?)
}

/// Has a function scale the picture.
fn event() -> Value {
    json!({ "bucket": "photos", "key": "in/picture.ppm", "width": 64, "output_key": "out/picture.jpg" })
}

fn ensure_scaled(testbed: &Testbed, result: &Value) -> Result<()> {
    ensure!(
        result["width"] == 64 && result["height"] == 48,
        "wrong size: {result}"
    );
    let scaled = testbed.folder().join("scaled.jpg");
    testbed.get_object("photos", "out/picture.jpg", &scaled)?;
    let bytes = fs::read(&scaled)?;
    ensure!(
        bytes.starts_with(&[0xff, 0xd8, 0xff]),
        "the result is no JPEG"
    );
    ensure!(
        result["bytes"].as_u64() == Some(bytes.len() as u64),
        "the function wrote another number of bytes: {result}"
    );
    Ok(())
}

/// A picture in the simplest format that Pillow reads, with a gradient in it.
fn picture_bytes(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = format!("P6 {width} {height} 255\n").into_bytes();
    for row in 0..height {
        for column in 0..width {
            bytes.extend([
                (column % 256).to_le_bytes()[0],
                (row % 256).to_le_bytes()[0],
                128,
            ]);
        }
    }
    bytes
}
