// SPDX-License-Identifier: Apache-2.0
//! The serial console: a 16550 whose output goes to a log.

use std::fs::File;
use std::io::{self, Write};

use vm_superio::Trigger;
use vm_superio::serial::{NoEvents, Serial};
use vmm_sys_util::eventfd::EventFd;

/// Bytes of a line that are collected before they are written.
const LINE: usize = 256;

/// Bytes that a guest may write in its life. A hostile one must not fill the host's disk.
pub const LOG_LIMIT: u64 = 16 << 20;

/// Raises the console's interrupt.
#[derive(Debug)]
pub struct InterruptLine(pub EventFd);

impl Trigger for InterruptLine {
    type E = io::Error;

    fn trigger(&self) -> io::Result<()> {
        self.0.write(1)
    }
}

/// Writes whole lines where possible, and no more than [`LOG_LIMIT`] bytes.
#[derive(Debug)]
pub struct SerialLog {
    out: File,
    line: Vec<u8>,
    left: u64,
}

impl SerialLog {
    /// A log that goes to `out`.
    pub fn new(out: File) -> Self {
        Self {
            out,
            line: Vec::with_capacity(LINE),
            left: LOG_LIMIT,
        }
    }

    fn emit(&mut self) -> io::Result<()> {
        let allowed = usize::try_from(self.left).unwrap_or(usize::MAX);
        let length = self.line.len().min(allowed);
        self.left -= length as u64;
        let result = self.out.write_all(&self.line[..length]);
        if length > 0 && self.left == 0 {
            self.out.write_all(b"\n[nexus-vmm: log full]\n").ok();
        }
        self.line.clear();
        result
    }
}

impl Write for SerialLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            self.line.push(*byte);
            if *byte == b'\n' || self.line.len() == LINE {
                self.emit()?;
            }
        }
        Ok(bytes.len())
    }

    /// vm-superio flushes after each byte; lines are what makes it cheap, so this is left to [`SerialPort::finish`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The console's registers and its log.
#[derive(Debug)]
pub struct SerialPort {
    uart: Serial<InterruptLine, NoEvents, SerialLog>,
    failed: bool,
}

impl SerialPort {
    /// A console with the interrupt line `interrupt` that logs to `out`.
    pub fn new(interrupt: EventFd, out: File) -> Self {
        Self {
            uart: Serial::new(InterruptLine(interrupt), SerialLog::new(out)),
            failed: false,
        }
    }

    /// The guest writes register `offset` (0 to 7).
    pub fn write(&mut self, offset: u16, value: u8) {
        let result = self.uart.write(low(offset), value);
        if let Err(error) = result
            && !self.failed
        {
            self.failed = true;
            tracing::warn!("serial log: {error}; further errors of it are not shown");
        }
    }

    /// The guest reads register `offset` (0 to 7).
    pub fn read(&mut self, offset: u16) -> u8 {
        self.uart.read(low(offset))
    }

    /// Writes what is left of the last line.
    pub fn finish(&mut self) {
        // The machine is ending; there is nowhere left to tell.
        self.uart.writer_mut().emit().ok();
    }
}

fn low(offset: u16) -> u8 {
    u8::try_from(offset & 7).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use super::*;

    fn content(file: &mut File) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn lines_come_out_whole_and_the_rest_at_the_end() -> io::Result<()> {
        let mut file = tempfile::tempfile()?;
        let mut port = SerialPort::new(EventFd::new(0)?, file.try_clone()?);
        for byte in b"one\ntw" {
            port.write(0, *byte);
        }
        assert_eq!(content(&mut file)?, b"one\n");
        port.finish();
        assert_eq!(content(&mut file)?, b"one\ntw");
        Ok(())
    }

    #[test]
    fn log_is_bounded() -> io::Result<()> {
        let mut file = tempfile::tempfile()?;
        let mut log = SerialLog::new(file.try_clone()?);
        log.left = 300;
        for _ in 0..10 {
            log.write_all(&[b'x'; LINE])?;
        }
        let bytes = content(&mut file)?;
        assert_eq!(&bytes[..301], [vec![b'x'; 300], vec![b'\n']].concat());
        assert!(bytes.ends_with(b"log full]\n"));
        Ok(())
    }
}
