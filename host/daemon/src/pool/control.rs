// SPDX-License-Identifier: Apache-2.0
//! The line to a VMM: one JSON object a line, both ways.
//!
//! Commands are answered in order. In between the VMM may say why it is about to end.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::sync::oneshot;

use super::launch::MachineError;

/// Longest line that a VMM may send. Its guest may have taken it over.
const LINE_MAX: u64 = 64 * 1024;

/// Commands that may wait for their answers.
const PENDING_MAX: usize = 16;

/// What a VMM gets to answer. Its commands take microseconds; one that takes longer than this hangs.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// The daemon's end of the line.
#[derive(Debug)]
pub struct Control {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// None once the line is closed.
    write: Option<UnixStream>,
    pending: VecDeque<oneshot::Sender<Reply>>,
    exit: Option<ExitEvent>,
}

/// Why a VMM is about to end, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ExitEvent {
    /// A name that programs may rely on.
    pub reason: String,
    /// The exit status of the process.
    pub status: i32,
    /// For people.
    pub message: String,
}

#[derive(Debug, Deserialize)]
struct Reply {
    ok: bool,
    #[serde(default)]
    error: String,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Message {
    Exited(ExitedMessage),
    Reply(Reply),
}

#[derive(Debug, Deserialize)]
struct ExitedMessage {
    event: String,
    #[serde(flatten)]
    exit: ExitEvent,
}

impl Control {
    /// Talks over `stream`, until the other end closes it.
    pub fn new(stream: UnixStream) -> io::Result<Arc<Self>> {
        stream.set_nonblocking(true)?;
        let read = tokio::net::UnixStream::from_std(stream.try_clone()?)?;
        let inner = Inner {
            write: Some(stream),
            pending: VecDeque::new(),
            exit: None,
        };
        let control = Arc::new(Self {
            inner: Mutex::new(inner),
        });
        let reader = Arc::clone(&control);
        tokio::spawn(async move {
            if let Err(error) = reader.read(read).await {
                tracing::warn!(%error, "the line to a VMM broke");
            }
            reader.close();
        });
        Ok(control)
    }

    /// Sends a command and waits for its answer. A VMM that gives none within some seconds counts as gone: the line is
    /// closed, which tells it to end.
    pub async fn command(
        &self,
        command: &'static str,
    ) -> Result<serde_json::Map<String, serde_json::Value>, MachineError> {
        self.command_within(command, ANSWER_LIMIT).await
    }

    async fn command_within(
        &self,
        command: &'static str,
        limit: Duration,
    ) -> Result<serde_json::Map<String, serde_json::Value>, MachineError> {
        let answer = self.send(command)?;
        let Ok(answer) = tokio::time::timeout(limit, answer).await else {
            tracing::warn!(command, "a VMM does not answer");
            self.close();
            return Err(MachineError::Gone);
        };
        let reply = answer.map_err(|_| MachineError::Gone)?;
        if reply.ok {
            Ok(reply.rest)
        } else {
            Err(MachineError::Refused {
                command,
                reason: reply.error,
            })
        }
    }

    /// What the VMM said about its end, if it did.
    pub fn exit(&self) -> Option<ExitEvent> {
        self.lock().exit.clone()
    }

    /// The line is so short that it fits into the socket's buffer, or the VMM has long stopped reading.
    fn send(&self, command: &'static str) -> Result<oneshot::Receiver<Reply>, MachineError> {
        let mut inner = self.lock();
        if inner.pending.len() == PENDING_MAX {
            return Err(MachineError::Refused {
                command,
                reason: "it does not answer".into(),
            });
        }
        let line = format!("{{\"cmd\":\"{command}\"}}\n");
        let write = inner.write.as_mut().ok_or(MachineError::Gone)?;
        if write.write_all(line.as_bytes()).is_err() {
            inner.write = None;
            return Err(MachineError::Gone);
        }
        let (sender, receiver) = oneshot::channel();
        inner.pending.push_back(sender);
        Ok(receiver)
    }

    async fn read(&self, stream: tokio::net::UnixStream) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        loop {
            line.clear();
            (&mut stream)
                .take(LINE_MAX)
                .read_until(b'\n', &mut line)
                .await?;
            if line.is_empty() {
                return Ok(());
            }
            match serde_json::from_slice(&line)? {
                Message::Reply(reply) => {
                    let Some(waiting) = self.lock().pending.pop_front() else {
                        return Err(io::Error::other("an answer that nobody waits for"));
                    };
                    // Who asked may have gone; the answer still had to be taken off the line.
                    drop(waiting.send(reply));
                }
                Message::Exited(message) if message.event == "exited" => {
                    self.lock().exit = Some(message.exit);
                }
                Message::Exited(message) => {
                    tracing::debug!(event = message.event, "unknown event from a VMM");
                }
            }
        }
    }

    fn close(&self) {
        let mut inner = self.lock();
        inner.pending.clear();
        if let Some(write) = inner.write.take() {
            // The reader has a descriptor of its own, so dropping this one is not enough. That it fails says that the other
            // end has closed already.
            drop(write.shutdown(Shutdown::Both));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use super::{Control, ExitEvent, MachineError};

    fn pair() -> (Arc<Control>, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        (Control::new(ours).expect("a line"), theirs)
    }

    #[tokio::test]
    async fn answers_reach_who_asked_and_events_are_kept() {
        let (control, mut peer) = pair();
        let vmm = thread::spawn(move || {
            let mut lines = BufReader::new(peer.try_clone().expect("a copy")).lines();
            assert_eq!(
                lines.next().expect("a line").expect("read"),
                r#"{"cmd":"stats"}"#
            );
            peer.write_all(b"{\"ok\":true,\"exits\":{\"mmio\":7}}\n")
                .expect("written");
            assert_eq!(
                lines.next().expect("a line").expect("read"),
                r#"{"cmd":"pause"}"#
            );
            peer.write_all(b"{\"event\":\"exited\",\"reason\":\"guest_reset\",\"status\":10,\"message\":\"reset\"}\n")
                .expect("written");
            peer.write_all(b"{\"ok\":false,\"error\":\"no\"}\n")
                .expect("written");
        });
        let stats = control.command("stats").await.expect("answered");
        assert_eq!(stats["exits"]["mmio"], 7);
        let refused = control.command("pause").await.expect_err("refused");
        assert!(
            matches!(refused, MachineError::Refused { command: "pause", reason } if reason == "no")
        );
        assert_eq!(
            control.exit(),
            Some(ExitEvent {
                reason: "guest_reset".into(),
                status: 10,
                message: "reset".into()
            })
        );
        vmm.join().expect("the peer is content");
        assert!(matches!(
            control.command("resume").await,
            Err(MachineError::Gone)
        ));
    }

    #[tokio::test]
    async fn a_vmm_that_does_not_answer_is_hung_up_on() {
        let (control, peer) = pair();
        let silence = control.command_within("resume", Duration::from_millis(50));
        assert!(matches!(silence.await, Err(MachineError::Gone)));
        assert!(matches!(
            control.command("stats").await,
            Err(MachineError::Gone)
        ));
        let said = BufReader::new(peer).lines().collect::<Vec<_>>();
        assert_eq!(said.len(), 1, "the command, then the end: {said:?}");
    }

    #[tokio::test]
    async fn nonsense_ends_the_line() {
        let (control, mut peer) = pair();
        let asked = control.send("stats").expect("sent");
        peer.write_all(&vec![b'{'; 100_000]).expect("written");
        assert!(asked.await.is_err(), "who waits is told");
        assert!(matches!(
            control.command("stats").await,
            Err(MachineError::Gone)
        ));
    }
}
