// SPDX-License-Identifier: Apache-2.0
//! What the daemon's tests share.
#![allow(dead_code, reason = "each test program uses its own part of it")]

pub(crate) mod host;
pub(crate) mod http;
pub(crate) mod runner;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A file that passes for a root image: the superblock's magic number is where it belongs.
pub(crate) fn root_image(folder: &Path) -> PathBuf {
    let path = folder.join("root.erofs");
    let mut image = vec![0; 4096];
    image[1024..1028].copy_from_slice(&0xE0F5_E1E2_u32.to_le_bytes());
    fs::write(&path, image).expect("written");
    path
}

/// Waits until `condition` holds. The limit is only for a test that would otherwise hang.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "never happened: {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
