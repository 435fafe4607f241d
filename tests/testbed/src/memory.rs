// SPDX-License-Identifier: Apache-2.0
//! A VM's memory, seen from outside through the file that nexus-vmm made for it.

use std::fs::{self, File};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Name that nexus-vmm gives to the file with the guest's memory.
const MEMORY_NAME: &str = "nexus-guest-memory";

/// The guest memory file of a nexus-vmm process.
///
/// # Errors
/// If there is no such process or it has no such file.
pub fn guest_memory(vmm: u32) -> Result<PathBuf> {
    let folder = format!("/proc/{vmm}/fd");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {folder}"))?;
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|fd| {
            fs::read_link(fd).is_ok_and(|target| target.to_string_lossy().contains(MEMORY_NAME))
        })
        .with_context(|| format!("process {vmm} has no file named {MEMORY_NAME}"))
}

/// Counts how often `needle` occurs in the memory of a process: in all that it maps and can read.
///
/// # Errors
/// If there is no such process, or it may not be looked into.
pub fn occurrences_in_process(pid: u32, needle: &[u8]) -> Result<usize> {
    let maps = format!("/proc/{pid}/maps");
    let maps = fs::read_to_string(&maps).with_context(|| format!("cannot read {maps}"))?;
    let path = format!("/proc/{pid}/mem");
    let mut memory = File::open(&path).with_context(|| format!("cannot open {path}"))?;
    let mut count = 0;
    for line in maps.lines() {
        let mut words = line.split(' ');
        let (range, access) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let Some((start, end)) = range.split_once('-').filter(|_| access.starts_with('r')) else {
            continue;
        };
        let (start, end) = (
            u64::from_str_radix(start, 16)?,
            u64::from_str_radix(end, 16)?,
        );
        // What the kernel maps for itself lies beyond what a file's offset can say.
        if memory.seek(SeekFrom::Start(start)).is_ok() {
            // Mappings of devices cannot be read.
            count += occurrences_in((&memory).take(end - start), needle).unwrap_or(0);
        }
    }
    Ok(count)
}

/// Counts how often `needle` occurs in a file.
///
/// # Errors
/// If the file cannot be read.
pub fn occurrences(file: &Path, needle: &[u8]) -> Result<usize> {
    let open = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    occurrences_in(BufReader::new(open), needle)
}

fn occurrences_in(mut reader: impl Read, needle: &[u8]) -> Result<usize> {
    const CHUNK: usize = 1 << 20;
    let mut window = Vec::with_capacity(CHUNK + needle.len());
    let mut count = 0;
    loop {
        let read = reader
            .by_ref()
            .take(CHUNK as u64)
            .read_to_end(&mut window)?;
        count += count_in(&window, needle);
        if read == 0 {
            return Ok(count);
        }
        // What may be the start of a match stays for the next round, too short to be counted again.
        let keep = window.len().min(needle.len() - 1);
        window.drain(..window.len() - keep);
    }
}

/// Non-overlapping matches; skips quickly over bytes that cannot start one, since memory is mostly zeroes.
fn count_in(window: &[u8], needle: &[u8]) -> usize {
    let Some(&first) = needle.first() else {
        return 0;
    };
    let (mut at, mut count) = (0, 0);
    while let Some(found) = window[at..].iter().position(|&byte| byte == first) {
        let start = at + found;
        if window[start..].starts_with(needle) {
            count += 1;
            at = start + needle.len();
        } else {
            at = start + 1;
        }
    }
    count
}

/// Private and shared memory of a process in KiB, from its `smaps_rollup`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Memory that no other process maps.
    pub private_kib: u64,
    /// Private memory plus a fair part of what is shared.
    pub proportional_kib: u64,
}

/// Memory of a process without the guest's, for which only the process's own mappings count.
///
/// # Errors
/// If the process is gone.
pub fn usage(pid: u32) -> Result<Usage> {
    let path = format!("/proc/{pid}/smaps");
    let smaps = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let mut usage = Usage::default();
    let mut guest = false;
    for line in smaps.lines() {
        let Some((name, value)) = line.split_once(':').filter(|(name, _)| !name.contains('-'))
        else {
            guest = line.contains(MEMORY_NAME);
            continue;
        };
        let kib = || {
            value
                .trim()
                .trim_end_matches(" kB")
                .parse::<u64>()
                .unwrap_or(0)
        };
        match name {
            "Private_Clean" | "Private_Dirty" if !guest => usage.private_kib += kib(),
            "Pss" if !guest => usage.proportional_kib += kib(),
            _ => {}
        }
    }
    Ok(usage)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn finds_what_lies_across_chunks() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut bytes = vec![0; (1 << 20) - 3];
        bytes.extend_from_slice(b"needle");
        bytes.extend_from_slice(&[1; 100]);
        bytes.extend_from_slice(b"needleneedle");
        file.write_all(&bytes).unwrap();
        assert_eq!(occurrences(file.path(), b"needle").unwrap(), 3);
        assert_eq!(occurrences(file.path(), b"haystack").unwrap(), 0);
    }

    #[test]
    fn finds_what_a_process_holds() {
        let text = format!("{}-{}", "held by", std::process::id());
        let found = occurrences_in_process(std::process::id(), text.as_bytes()).unwrap();
        assert!(found > 0);
    }

    #[test]
    fn reads_this_process() {
        let usage = usage(std::process::id()).unwrap();
        assert!(
            usage.private_kib > 0 && usage.proportional_kib > 0,
            "{usage:?}"
        );
    }
}
