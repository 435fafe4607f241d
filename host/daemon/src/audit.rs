// SPDX-License-Identifier: Apache-2.0
//! The audit log: a line of JSON for each call that a function makes of a service, in a file for the daemon's user alone.
//!
//! A thread writes, so that no call waits for the disk. If the disk falls behind by more than the queue holds, entries are lost,
//! and how many is the next line.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{SystemTime, UNIX_EPOCH};

use nexus_backend::gateway::{Audit, Entry};
use serde::Serialize;

use crate::private;

/// Entries that may wait for the disk.
const QUEUE: usize = 16 * 1024;

/// The audit log.
#[derive(Debug)]
pub struct AuditLog {
    entries: SyncSender<Line>,
    lost: Arc<AtomicU64>,
}

/// A line of the file.
#[derive(Debug, Serialize)]
struct Line {
    /// Microseconds since 1970.
    time_us: u64,
    #[serde(flatten)]
    entry: Entry,
}

/// The line that stands for those that are missing.
#[derive(Debug, Serialize)]
struct Lost {
    lost_entries: u64,
}

impl AuditLog {
    /// Appends to the file at `path`, which is made if there is none.
    ///
    /// # Errors
    /// If it cannot be opened, or no thread can be started.
    pub fn open(path: &Path) -> io::Result<Arc<Self>> {
        let file = private::create().append(true).open(path)?;
        let (entries, queue) = sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            queue,
            lost: Arc::clone(&lost),
            file: BufWriter::new(file),
        };
        std::thread::Builder::new()
            .name("audit".into())
            .spawn(move || writer.run())?;
        Ok(Arc::new(Self { entries, lost }))
    }
}

impl Audit for AuditLog {
    fn record(&self, entry: Entry) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let time_us = since.map_or(0, |since| since.as_micros());
        let line = Line {
            time_us: u64::try_from(time_us).unwrap_or(u64::MAX),
            entry,
        };
        if self.entries.try_send(line).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct Writer {
    queue: Receiver<Line>,
    lost: Arc<AtomicU64>,
    file: BufWriter<File>,
}

impl Writer {
    /// Writes until the log is dropped.
    fn run(mut self) {
        while let Ok(line) = self.queue.recv() {
            if let Err(error) = self.write_all(&line) {
                tracing::error!(%error, "entries of the audit log are lost");
            }
        }
    }

    /// Writes a line and all that are waiting behind it.
    fn write_all(&mut self, line: &Line) -> io::Result<()> {
        self.write(line)?;
        while let Ok(line) = self.queue.try_recv() {
            self.write(&line)?;
        }
        let lost_entries = self.lost.swap(0, Ordering::Relaxed);
        if lost_entries > 0 {
            tracing::error!(lost_entries, "the audit log's disk is too slow");
            self.write(&Lost { lost_entries })?;
        }
        self.file.flush()
    }

    fn write(&mut self, line: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.file, line)?;
        self.file.write_all(b"\n")
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use nexus_backend::gateway::How;

    use super::*;

    #[test]
    fn each_call_is_a_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.log");
        let log = AuditLog::open(&path).expect("opens");
        for how in [How::Done, How::Deferred] {
            log.record(Entry {
                store: None,
                role: None,
                function: "f".into(),
                service: "s3".into(),
                method: "PUT".into(),
                resource: "/b/\"k\"\n".into(),
                action: None,
                how,
                status: 200,
                request_id: Some("1".into()),
            });
        }
        let deadline = Instant::now() + Duration::from_secs(60);
        let lines: Vec<serde_json::Value> = loop {
            let text = std::fs::read_to_string(&path).expect("readable");
            if text.lines().count() == 2 && text.ends_with('\n') {
                let parse = |line| serde_json::from_str(line).expect("JSON");
                break text.lines().map(parse).collect();
            }
            assert!(Instant::now() < deadline, "nothing is written: {text}");
            std::thread::sleep(Duration::from_millis(5));
        };
        assert_eq!(lines[0]["how"], "done");
        assert_eq!(lines[1]["how"], "deferred");
        assert_eq!(lines[1]["resource"], "/b/\"k\"\n");
        assert!(lines[0]["time_us"].as_u64() > Some(0));
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(&path).expect("there").permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
    }
}
