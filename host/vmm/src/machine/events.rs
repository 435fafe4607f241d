// SPDX-License-Identifier: Apache-2.0
//! The event loop: one epoll for the disks, the control channel, the backend's life and the vCPUs' end.

use std::os::fd::AsRawFd;

use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};

use super::Machine;
use crate::control::protocol::{Answer, Command, parse};
use crate::control::{Channel, Input};
use crate::exit::{ExitReason, VmmError};

/// Tokens of epoll; disks count from 0.
const TOKEN_EXIT: u64 = 1 << 32;
const TOKEN_CONTROL: u64 = TOKEN_EXIT + 1;
const TOKEN_BACKEND: u64 = TOKEN_EXIT + 2;

/// Events taken at a time.
const BATCH: usize = 16;

impl Machine {
    /// Serves everything but the vCPUs until there is a reason to end.
    pub(super) fn serve(&self, mut control: Option<&mut Channel>) -> Result<ExitReason, VmmError> {
        let epoll = self.watch(control.as_deref())?;
        let mut events = [EpollEvent::default(); BATCH];
        loop {
            let count = match epoll.wait(-1, &mut events) {
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => 0,
                Err(error) => return Err(VmmError::system("wait for events")(error)),
            };
            for event in &events[..count] {
                match (event.data(), &mut control) {
                    (TOKEN_EXIT, _) => {}
                    (TOKEN_BACKEND, _) => self.exit.report(ExitReason::BackendGone),
                    (TOKEN_CONTROL, Some(channel)) => self.obey(channel),
                    (disk, _) => {
                        let index = usize::try_from(disk).unwrap_or(usize::MAX);
                        if let Some(worker) = self.disks.get(index) {
                            worker.process();
                        }
                    }
                }
            }
            if let Some(reason) = self.exit.reason() {
                return Ok(reason);
            }
        }
    }

    fn watch(&self, control: Option<&Channel>) -> Result<Epoll, VmmError> {
        let epoll = Epoll::new().map_err(VmmError::system("create an epoll"))?;
        let add = |fd: i32, events: EventSet, token: u64| {
            epoll
                .ctl(ControlOperation::Add, fd, EpollEvent::new(events, token))
                .map_err(VmmError::system("watch a file descriptor"))
        };
        add(self.exit.wake().as_raw_fd(), EventSet::IN, TOKEN_EXIT)?;
        for (token, disk) in (0..).zip(&self.disks) {
            add(disk.kick().as_raw_fd(), EventSet::IN, token)?;
        }
        if let Some(channel) = control {
            add(channel.as_raw_fd(), EventSet::IN, TOKEN_CONTROL)?;
        }
        if let Some(backend) = &self.backend {
            // Only its end: the answers on this socket belong to the thread that asked.
            let events = EventSet::READ_HANG_UP | EventSet::HANG_UP;
            add(backend.as_raw_fd(), events, TOKEN_BACKEND)?;
        }
        Ok(epoll)
    }

    fn obey(&self, channel: &mut Channel) {
        match channel.receive() {
            Input::Closed => self.exit.report(ExitReason::ControlClosed),
            Input::Lines(lines) => {
                for line in lines.iter().filter(|line| !line.is_empty()) {
                    let answer = match parse(line) {
                        Ok(command) => self.execute(command),
                        Err(error) => Answer::failed(error),
                    };
                    channel.send(&answer);
                }
            }
        }
    }

    fn execute(&self, command: Command) -> Answer {
        match command {
            Command::Pause if self.vcpus.pause() => Answer::done(),
            Command::Pause => Answer::failed("a vCPU did not stop in time; is the backend alive?"),
            Command::Resume => {
                self.vcpus.resume();
                Answer::done()
            }
            Command::Stop => {
                self.exit.report(ExitReason::Stopped);
                Answer::done()
            }
            Command::Stats => self.stats().unwrap_or_else(Answer::failed),
        }
    }
}
