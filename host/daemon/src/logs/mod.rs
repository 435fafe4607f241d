// SPDX-License-Identifier: Apache-2.0
//! What functions print: bounded in memory for those who look now, and bounded on disk for those who look later.

pub mod console;
pub mod ring;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::functions::FunctionName;
use crate::private;
use ring::Ring;

/// Bytes of a function's log that are kept in memory.
const RING_BYTES: usize = 128 * 1024;

/// Size at which a log file becomes the old one; so a function's logs take at most twice that.
const FILE_BYTES: u64 = 8 * 1024 * 1024;

/// The logs of all functions.
#[derive(Debug)]
pub struct Logs {
    folder: PathBuf,
    functions: Mutex<HashMap<FunctionName, Arc<FunctionLog>>>,
}

impl Logs {
    /// Keeps log files in `folder`, which is made if missing.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        private::make_folder(&folder)?;
        Ok(Self {
            folder,
            functions: Mutex::default(),
        })
    }

    /// The log of a function.
    pub fn of(&self, name: &FunctionName) -> Arc<FunctionLog> {
        let mut functions = self
            .functions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let log = functions.entry(name.clone());
        Arc::clone(
            log.or_insert_with(|| {
                Arc::new(FunctionLog::new(self.folder.join(format!("{name}.log"))))
            }),
        )
    }

    /// Forgets the log of a function that was removed, on disk too.
    pub fn remove(&self, name: &FunctionName) {
        let mut functions = self
            .functions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        functions.remove(name);
        for file in [format!("{name}.log"), format!("{name}.log.old")] {
            match fs::remove_file(self.folder.join(&file)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(file, %error, "cannot remove a log file");
                }
                _ => {}
            }
        }
    }
}

/// The log of one function, written by all its instances.
#[derive(Debug)]
pub struct FunctionLog {
    inner: Mutex<Inner>,
    end: watch::Sender<u64>,
}

#[derive(Debug)]
struct Inner {
    ring: Ring,
    path: PathBuf,
    file: Option<(File, u64)>,
}

impl FunctionLog {
    fn new(path: PathBuf) -> Self {
        let mut ring = Ring::new(RING_BYTES);
        // What was printed before the daemon started is still worth a look.
        ring.push(&tail_of(&path));
        let end = watch::Sender::new(ring.end());
        Self {
            inner: Mutex::new(Inner {
                ring,
                path,
                file: None,
            }),
            end,
        }
    }

    /// Adds `text`, which should end with a newline.
    pub fn append(&self, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        let mut inner = self.lock();
        inner.ring.push(text);
        if let Err(error) = inner.write(text) {
            tracing::warn!(path = %inner.path.display(), %error, "cannot write a function's log");
            inner.file = None;
        }
        self.end.send_replace(inner.ring.end());
    }

    /// What is there from position `from` on, and the position behind it. Positions count all bytes ever appended; what
    /// has been overwritten is skipped.
    pub fn read(&self, from: u64) -> (Vec<u8>, u64) {
        let inner = self.lock();
        (inner.ring.read(from), inner.ring.end())
    }

    /// Tells the position behind the last byte, whenever it changes.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.end.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        let (file, size) = if let Some(open) = &mut self.file {
            open
        } else {
            let file = private::create().append(true).open(&self.path)?;
            let size = file.metadata()?.len();
            self.file.insert((file, size))
        };
        file.write_all(text)?;
        *size += text.len() as u64;
        if *size >= FILE_BYTES {
            fs::rename(&self.path, self.path.with_extension("log.old"))?;
            self.file = None;
        }
        Ok(())
    }
}

fn tail_of(path: &std::path::Path) -> Vec<u8> {
    use std::io::{Read, Seek, SeekFrom};

    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let start = file.metadata()?.len().saturating_sub(RING_BYTES as u64);
        file.seek(SeekFrom::Start(start))?;
        let mut text = Vec::new();
        file.take(RING_BYTES as u64).read_to_end(&mut text)?;
        Ok(text)
    };
    // No file is the usual case, and an unreadable one shows at the first write.
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::{FILE_BYTES, Logs};

    #[test]
    fn a_log_is_read_while_it_grows() {
        let folder = tempfile::tempdir().expect("a folder");
        let logs = Logs::open(folder.path().join("logs")).expect("opens");
        let log = logs.of(&"f".parse().expect("a name"));
        log.append(b"one\n");
        let mode = fs::metadata(folder.path().join("logs/f.log"))
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "what functions print may be secret");
        let (text, next) = log.read(0);
        assert_eq!(text, b"one\n");
        log.append(b"two\n");
        assert_eq!(log.read(next).0, b"two\n");
        assert_eq!(*log.watch().borrow(), 8);
    }

    #[test]
    fn a_log_outlives_the_daemon() {
        let folder = tempfile::tempdir().expect("a folder");
        let name = "f".parse().expect("a name");
        Logs::open(folder.path().to_owned())
            .expect("opens")
            .of(&name)
            .append(b"before\n");
        let logs = Logs::open(folder.path().to_owned()).expect("opens again");
        assert_eq!(logs.of(&name).read(0).0, b"before\n");
        logs.remove(&name);
        assert_eq!(logs.of(&name).read(0).0, b"");
    }

    #[test]
    fn files_are_bounded() {
        let folder = tempfile::tempdir().expect("a folder");
        let logs = Logs::open(folder.path().to_owned()).expect("opens");
        let log = logs.of(&"f".parse().expect("a name"));
        let line = vec![b'x'; 1024 * 1024];
        for _ in 0..20 {
            log.append(&line);
        }
        let total: u64 = folder
            .path()
            .read_dir()
            .expect("a folder")
            .map(|entry| entry.and_then(|e| e.metadata()).expect("a file").len())
            .sum();
        assert!(total <= 2 * FILE_BYTES + line.len() as u64, "{total}");
    }
}
