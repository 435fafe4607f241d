// SPDX-License-Identifier: Apache-2.0
//! The end-to-end tests' function image: static programs, no C library, nothing else. So these tests reach the guest's
//! sockets by raw system calls' shortest way, and prove that static programs are offloaded too.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::guest;
use crate::setup::kernel::Kernel;
use crate::{paths, step};

/// Builds the image as an OCI layout folder.
pub(crate) fn image(kernel: &Kernel) -> Result<PathBuf> {
    let garble = guest::garble(kernel)?;
    step::run("end-to-end tests", |step| {
        let program = guest::program(
            "nexus-e2e",
            "nexus-e2e",
            "-C target-feature=+crt-static",
            step,
        )?;
        let layout = paths::images().join("agent.oci");
        if layout.exists() {
            fs::remove_dir_all(&layout)?;
        }
        fs::create_dir_all(layout.join("blobs/sha256"))
            .with_context(|| format!("cannot create {}", layout.display()))?;
        let mut files = vec![
            ("agent".to_owned(), program),
            ("garble.ko".to_owned(), garble.clone()),
        ];
        files.extend(guest::checks(step)?);
        write(&layout, &files)?;
        Ok(layout)
    })
}

fn write(layout: &Path, files: &[(String, PathBuf)]) -> Result<()> {
    let layer = blob(
        layout,
        &layer(files)?,
        "application/vnd.oci.image.layer.v1.tar",
    )?;
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        // Its tests of the driver's robustness load a module, so it is root in its own VM.
        "config": { "Entrypoint": ["/agent"], "Cmd": ["agent"], "User": "0:0", "WorkingDir": "/" },
        "rootfs": { "type": "layers", "diff_ids": [layer["digest"]] },
    });
    let config = blob(
        layout,
        config.to_string().as_bytes(),
        "application/vnd.oci.image.config.v1+json",
    )?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": [layer],
    });
    let manifest = blob(
        layout,
        manifest.to_string().as_bytes(),
        "application/vnd.oci.image.manifest.v1+json",
    )?;
    fs::write(
        layout.join("index.json"),
        json!({ "schemaVersion": 2, "manifests": [manifest] }).to_string(),
    )?;
    fs::write(
        layout.join("oci-layout"),
        json!({ "imageLayoutVersion": "1.0.0" }).to_string(),
    )?;
    Ok(())
}

fn layer(files: &[(String, PathBuf)]) -> Result<Vec<u8>> {
    let mut layer = tar::Builder::new(Vec::new());
    layer.mode(tar::HeaderMode::Deterministic);
    for (name, path) in files {
        let mut file =
            File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        layer.append_file(name, &mut file)?;
    }
    Ok(layer.into_inner()?)
}

/// Writes a blob and returns its descriptor.
fn blob(layout: &Path, bytes: &[u8], media_type: &str) -> Result<Value> {
    let digest: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    File::create(layout.join("blobs/sha256").join(&digest))?.write_all(bytes)?;
    Ok(
        json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len() }),
    )
}
