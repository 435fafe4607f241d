// SPDX-License-Identifier: Apache-2.0
//! Lines over a Unix stream socket.

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::Serialize;

/// Longest line of a command.
const LINE_MAX: usize = 4096;

/// How long the other end may leave an answer unread. It is our master; one that does not read is gone or broken.
const WRITE_LIMIT: Duration = Duration::from_secs(5);

/// What a read brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Whole lines, without their ends.
    Lines(Vec<Vec<u8>>),
    /// The other end is gone.
    Closed,
}

/// Our end of the channel.
#[derive(Debug)]
pub(crate) struct Channel {
    stream: UnixStream,
    partial: Vec<u8>,
}

impl Channel {
    pub(crate) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_write_timeout(Some(WRITE_LIMIT))?;
        Ok(Self {
            stream,
            partial: Vec::new(),
        })
    }

    /// Takes what has arrived. Called when the socket is readable, so it does not wait.
    pub(crate) fn receive(&mut self) -> Input {
        let mut bytes = [0; LINE_MAX];
        let count = match self.stream.read(&mut bytes) {
            Ok(0) => return Input::Closed,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(_) => return Input::Closed,
        };
        let mut lines = Vec::new();
        for byte in &bytes[..count] {
            if *byte == b'\n' {
                lines.push(std::mem::take(&mut self.partial));
            } else {
                self.partial.push(*byte);
            }
        }
        if self.partial.len() > LINE_MAX {
            return Input::Closed;
        }
        Input::Lines(lines)
    }

    /// Sends one line. A line that cannot be sent is lost; the closed channel shows itself at the next read.
    pub(crate) fn send(&mut self, message: &impl Serialize) {
        let sent = serde_json::to_vec(message)
            .map_err(io::Error::other)
            .and_then(|mut line| {
                line.push(b'\n');
                self.stream.write_all(&line)
            });
        if let Err(error) = sent {
            tracing::debug!("control channel: {error}");
        }
    }
}

impl AsRawFd for Channel {
    fn as_raw_fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_arrive_whole_however_they_are_cut() -> io::Result<()> {
        let (ours, mut theirs) = UnixStream::pair()?;
        let mut channel = Channel::new(ours)?;
        theirs.write_all(b"one\ntw")?;
        assert_eq!(channel.receive(), Input::Lines(vec![b"one".to_vec()]));
        theirs.write_all(b"o\n\n")?;
        assert_eq!(
            channel.receive(),
            Input::Lines(vec![b"two".to_vec(), Vec::new()])
        );
        drop(theirs);
        assert_eq!(channel.receive(), Input::Closed);
        Ok(())
    }

    #[test]
    fn endless_line_closes() -> io::Result<()> {
        let (ours, mut theirs) = UnixStream::pair()?;
        let mut channel = Channel::new(ours)?;
        theirs.write_all(&[b'x'; LINE_MAX])?;
        assert_eq!(channel.receive(), Input::Lines(vec![]));
        theirs.write_all(b"x")?;
        assert_eq!(channel.receive(), Input::Closed);
        Ok(())
    }
}
