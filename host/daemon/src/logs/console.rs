// SPDX-License-Identifier: Apache-2.0
//! The console of one instance: a pipe that its machine writes, cut into lines for the function's log.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd;
use tokio::net::unix::pipe;

use super::FunctionLog;
use super::ring::Ring;

/// A line that is longer is cut: a function must not fill the daemon's memory with one.
const LINE_MAX: usize = 16 * 1024;

/// What the Invoke API returns of an invocation's log (Lambda's API model, `LogResult`).
const TAIL_BYTES: usize = 4096;

/// The reading end of an instance's console.
#[derive(Debug)]
pub struct Console {
    pipe: pipe::Receiver,
    log: Arc<FunctionLog>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    line: Vec<u8>,
    tail: Ring,
}

impl Console {
    /// Makes a console that writes to `log`. Returns the pipe's other end, for the machine.
    pub fn open(log: Arc<FunctionLog>) -> io::Result<(Arc<Self>, OwnedFd)> {
        let (read, write) = unistd::pipe2(OFlag::O_CLOEXEC)?;
        let state = Mutex::new(State {
            line: Vec::new(),
            tail: Ring::new(TAIL_BYTES),
        });
        // Only the reading end becomes non-blocking: a serial port that cannot write has nowhere to put its byte.
        let pipe = pipe::Receiver::from_owned_fd(read)?;
        Ok((Arc::new(Self { pipe, log, state }), write))
    }

    /// Reads until the machine closes its end.
    pub async fn run(&self) -> io::Result<()> {
        let mut buffer = [0; 1024];
        loop {
            self.pipe.readable().await?;
            // Locked before it reads, so that nobody who reads later is written earlier.
            let mut state = self.lock();
            match self.pipe.try_read(&mut buffer) {
                Ok(0) => {
                    self.flush(&mut state);
                    return Ok(());
                }
                Ok(count) => self.take(&mut state, &buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Starts an invocation: what comes from now on is its log.
    pub fn begin(&self, start_line: &str) {
        let mut state = self.lock();
        self.catch_up(&mut state);
        state.tail.clear();
        self.emit(&mut state, start_line.as_bytes());
    }

    /// Ends an invocation: takes in what the function has printed so far, adds the platform's lines, and returns the last
    /// 4 KiB.
    pub fn finish(&self, end_lines: &str) -> Vec<u8> {
        let mut state = self.lock();
        self.catch_up(&mut state);
        self.emit(&mut state, end_lines.as_bytes());
        state.tail.read(0)
    }

    /// Whatever the machine wrote before now is in the pipe, so that reading it dry is reading all of it.
    fn catch_up(&self, state: &mut State) {
        if let Err(error) = self.drain(state) {
            tracing::warn!(%error, "cannot read an instance's console");
        }
        self.flush(state);
    }

    /// Reads what is there, past the event loop, which may not have heard of it yet.
    fn drain(&self, state: &mut State) -> io::Result<()> {
        let mut buffer = [0; 4096];
        loop {
            match unistd::read(&self.pipe, &mut buffer) {
                Ok(0) | Err(Errno::EAGAIN) => return Ok(()),
                Ok(count) => self.take(state, &buffer[..count]),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn take(&self, state: &mut State, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = LINE_MAX - state.line.len();
            let newline = bytes.iter().position(|byte| *byte == b'\n');
            let count = newline.map_or(bytes.len(), |at| at + 1).min(room);
            state.line.extend_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            if state.line.ends_with(b"\n") || state.line.len() == LINE_MAX {
                self.flush(state);
            }
        }
    }

    fn flush(&self, state: &mut State) {
        let mut line = std::mem::take(&mut state.line);
        if line.is_empty() {
            return;
        }
        // Serial consoles end lines with CR LF.
        while line.ends_with(b"\r\n") || line.ends_with(b"\n") || line.ends_with(b"\r") {
            line.pop();
        }
        line.push(b'\n');
        self.emit(state, &line);
        line.clear();
        state.line = line;
    }

    fn emit(&self, state: &mut State, text: &[u8]) {
        state.tail.push(text);
        self.log.append(text);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use std::path::Path;

    use super::super::Logs;
    use super::{Arc, Console, FunctionLog, LINE_MAX};

    fn log(folder: &Path) -> Arc<FunctionLog> {
        Logs::open(folder.to_owned())
            .expect("opens")
            .of(&"f".parse().expect("a name"))
    }

    #[tokio::test]
    async fn an_invocation_gets_its_own_lines() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = log(folder.path());
        let (console, end) = Console::open(log.clone()).expect("a pipe");
        let mut guest = File::from(end);

        guest.write_all(b"booting\r\nloading").expect("written");
        console.begin("START\n");
        guest.write_all(b"hello\r\n").expect("written");
        assert_eq!(console.finish("END\n"), b"START\nhello\nEND\n");
        assert_eq!(log.read(0).0, b"booting\nloading\nSTART\nhello\nEND\n");

        guest.write_all(b"bye").expect("written");
        drop(guest);
        console.run().await.expect("read to its end");
        assert!(log.read(0).0.ends_with(b"END\nbye\n"));
    }

    #[tokio::test]
    async fn an_endless_line_is_cut() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = log(folder.path());
        let (console, end) = Console::open(log.clone()).expect("a pipe");
        let mut guest = File::from(end);
        guest
            .write_all(&vec![b'x'; LINE_MAX + 1])
            .expect("fits into a pipe");
        drop(guest);
        console.run().await.expect("read to its end");
        let text = log.read(0).0;
        assert_eq!(text.len(), LINE_MAX + 3);
        assert_eq!(text.split(|byte| *byte == b'\n').count(), 3);
    }
}
