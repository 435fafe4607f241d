// SPDX-License-Identifier: Apache-2.0
//! Moves datagrams between UDP sockets of the host and a guest's socket, in place: the kernel copies from and to guest
//! memory.
//!
//! One guest socket has one host socket for each family that it speaks, so its peers always see the same port. One task for
//! each guest socket, bounded work for each turn. What fails is told by a record; nothing waits for a destination.
//!
//! - `host`: the host's sockets. `inbound`: those at published ports.

mod host;
mod inbound;

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use nexus_proto::wire::{Family, Record};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use vm_memory::VolatileSlice;

use self::inbound::Inbound;
use super::EndpointPolicy;
use super::connect::{socket_address, wire_address};
use super::listener::shown;
use super::publish::PublishedPort;
use super::raw::errno;
use super::socket::Socket;
use super::state::Step;
use crate::service::{Responder, SERVICE_IP, Services};
use crate::writeback::Writeback;

/// Most datagrams for each direction in one turn, after which other sockets get theirs.
const DATAGRAMS: usize = 32;

/// Questions to services that a socket may have under way; more are dropped, as a busy server would.
const QUESTIONS: usize = 64;

/// Failures that wait to be told; more are forgotten, as networks do.
const FAILURES: usize = 64;

/// Serves a datagram socket until the guest closes it or its VM ends.
pub(super) async fn run(
    socket: Arc<Socket>,
    gate: Arc<Writeback>,
    services: Services,
    policy: Arc<EndpointPolicy>,
    published: Vec<PublishedPort>,
    ended: CancellationToken,
) {
    let mut exchange = Exchange {
        socket: Arc::clone(&socket),
        gate,
        services,
        policy,
        published,
        inbound: Inbound::default(),
        v4: None,
        v6: None,
        allowed: None,
        failures: VecDeque::new(),
        questions: JoinSet::new(),
        answers: VecDeque::new(),
    };
    tokio::select! {
        () = exchange.serve() => {}
        () = ended.cancelled() => {}
    }
    // The host's sockets are closed first, so that the guest's release says that nothing of them is left.
    drop(exchange);
    socket.finish(None);
}

/// What a turn ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    More,
    Wait { write: bool, held: bool },
    Over,
}

struct Exchange {
    socket: Arc<Socket>,
    gate: Arc<Writeback>,
    services: Services,
    policy: Arc<EndpointPolicy>,
    published: Vec<PublishedPort>,
    inbound: Inbound,
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
    /// The last address that the policy allowed: most sockets have one peer.
    allowed: Option<SocketAddr>,
    failures: VecDeque<Record>,
    questions: JoinSet<Option<(SocketAddr, Vec<u8>)>>,
    answers: VecDeque<(SocketAddr, Vec<u8>)>,
}

impl Exchange {
    async fn serve(&mut self) {
        loop {
            if let Some(port) = self.socket.take_published() {
                let takes_v6 = self.socket.family() == Family::V6;
                self.inbound.open(&self.published, port, takes_v6);
            }
            let turn = self.turn();
            self.socket.flush();
            let (write, held) = match turn {
                Turn::Over => return,
                Turn::More => {
                    tokio::task::yield_now().await;
                    continue;
                }
                Turn::Wait { write, held } => (write, held),
            };
            let socket = Arc::clone(&self.socket);
            tokio::select! {
                () = socket.changed() => {}
                () = self.gate.cleared(), if held => {}
                () = host::ready(self.v4.as_ref(), write) => {}
                () = host::ready(self.v6.as_ref(), write) => {}
                () = self.inbound.ready(write) => {}
                Some(answer) = self.questions.join_next() => {
                    // A service that panicked gives no answer.
                    self.answers.extend(answer.ok().flatten());
                }
            }
        }
    }

    fn turn(&mut self) -> Turn {
        let (mut write, mut held) = (false, false);
        let mut moved = 0;
        while moved < DATAGRAMS {
            match self.send() {
                Step::Done => moved += 1,
                Step::Idle => break,
                Step::Blocked => {
                    write = true;
                    break;
                }
                Step::Held => {
                    held = true;
                    break;
                }
                Step::Over => return Turn::Over,
                Step::Violation(error) => {
                    self.socket.violate(error.into());
                    return Turn::Over;
                }
            }
        }
        let received = self.receive();
        if moved == DATAGRAMS || received == DATAGRAMS {
            Turn::More
        } else {
            Turn::Wait { write, held }
        }
    }

    /// Sends the guest's next datagram.
    fn send(&mut self) -> Step {
        let socket = Arc::clone(&self.socket);
        socket.send_record(|record, payload| {
            let sent = self.send_to(record, &payload);
            match &sent {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    let error = errno(error.raw_os_error().unwrap_or(libc::EIO));
                    self.fail(Record {
                        length: 0,
                        error: Some(error),
                        address: record.address,
                    });
                }
                _ => {}
            }
            sent
        })
    }

    fn send_to(&mut self, record: &Record, payload: &[VolatileSlice<'_>; 2]) -> io::Result<()> {
        let refused = |code| io::Error::from_raw_os_error(code);
        let to = socket_address(&record.address, self.socket.family())
            .ok_or_else(|| refused(libc::EAFNOSUPPORT))?;
        if let Some(service) = self.services.responder(&to) {
            self.ask(service, to, payload);
            return Ok(());
        }
        if let Some((host, to)) = self.inbound.route(&to) {
            return send(host, payload, to);
        }
        if to.ip() == IpAddr::V4(SERVICE_IP) {
            return Err(refused(libc::ECONNREFUSED));
        }
        if self.allowed != Some(to) {
            self.policy
                .check(to)
                .map_err(|refusal| refused(refusal.errno().into()))?;
            self.allowed = Some(to);
        }
        let host = match to {
            SocketAddr::V4(_) => &mut self.v4,
            SocketAddr::V6(_) => &mut self.v6,
        };
        if host.is_none() {
            *host = Some(host::open(to.is_ipv4())?);
        }
        match host {
            Some(host) => send(host, payload, to),
            None => Ok(()),
        }
    }

    /// Asks a service inside the process.
    fn ask(
        &mut self,
        service: Arc<dyn Responder>,
        to: SocketAddr,
        payload: &[VolatileSlice<'_>; 2],
    ) {
        if self.questions.len() >= QUESTIONS {
            return;
        }
        let mut question = Vec::new();
        for run in payload {
            let start = question.len();
            question.resize(start + run.len(), 0);
            run.copy_to(&mut question[start..]);
        }
        self.questions.spawn(async move {
            let answer = service.respond(question).await?;
            Some((to, answer))
        });
    }

    fn fail(&mut self, record: Record) {
        if self.failures.len() < FAILURES {
            self.failures.push_back(record);
        }
    }

    /// Gives the guest what there is; says how many datagrams.
    fn receive(&mut self) -> usize {
        let family = self.socket.family();
        let hosts = [&self.v4, &self.v6].into_iter().flatten();
        for host in hosts.chain(self.inbound.sockets()) {
            let room = FAILURES - self.failures.len();
            let failures = host::failures_of(host, room).into_iter();
            self.failures.extend(failures.map(|(to, error)| Record {
                length: 0,
                error: Some(error),
                address: wire_address(to, family),
            }));
        }
        let mut moved = 0;
        while moved < DATAGRAMS && (self.tell_failure() || self.give_answer()) {
            moved += 1;
        }
        for host in [&self.v4, &self.v6] {
            while moved < DATAGRAMS && host.as_ref().is_some_and(|host| self.receive_from(host)) {
                moved += 1;
            }
        }
        for at in 0..self.inbound.sockets().len() {
            while moved < DATAGRAMS && self.receive_inbound(at) {
                moved += 1;
            }
        }
        moved
    }

    fn tell_failure(&mut self) -> bool {
        let Some(record) = self.failures.front().copied() else {
            return false;
        };
        let told = matches!(
            self.socket.receive_record(0, |_| Ok(Some(record))),
            Step::Done
        );
        if told {
            self.failures.pop_front();
        }
        told
    }

    fn give_answer(&mut self) -> bool {
        let Some((from, answer)) = self.answers.front() else {
            return false;
        };
        let Ok(length) = u32::try_from(answer.len()) else {
            self.answers.pop_front();
            return true;
        };
        let record = Record {
            length,
            error: None,
            address: wire_address(*from, self.socket.family()),
        };
        let step = self.socket.receive_record(length, |runs| {
            let mut rest = &answer[..];
            for run in &runs {
                let (now, later) = rest.split_at(run.len().min(rest.len()));
                run.copy_from(now);
                rest = later;
            }
            Ok(Some(record))
        });
        let given = matches!(step, Step::Done);
        if given {
            self.answers.pop_front();
        }
        given
    }

    /// Receives one datagram into the rx ring, or drops it if its sender is none that the guest may talk to.
    fn receive_from(&self, host: &UdpSocket) -> bool {
        let family = self.socket.family();
        self.receive_at(host, |from| {
            let wanted = self.allowed == Some(from) || self.policy.check(from).is_ok();
            (wanted && (from.is_ipv4() || family == Family::V6)).then_some(from)
        })
    }

    /// Receives one datagram from a published port, whoever sent it.
    fn receive_inbound(&mut self, at: usize) -> bool {
        let mut inbound = std::mem::take(&mut self.inbound);
        let mut heard = None;
        let moved = inbound.sockets().get(at).is_some_and(|host| {
            self.receive_at(host, |from| {
                heard = Some(from);
                Some(shown(from))
            })
        });
        if let Some(from) = heard {
            inbound.hear(from, at);
        }
        self.inbound = inbound;
        moved
    }

    /// Receives one datagram, whose sender the guest sees as `admit` says, if at all.
    fn receive_at(
        &self,
        host: &UdpSocket,
        admit: impl FnOnce(SocketAddr) -> Option<SocketAddr>,
    ) -> bool {
        let waiting = host.try_io(Interest::READABLE, || host::length_of_next(host));
        let Ok(Ok(length)) = waiting.map(u32::try_from) else {
            return false;
        };
        let family = self.socket.family();
        let step = self.socket.receive_record(length, |runs| {
            let (length, from) = host::receive(host, &runs)?;
            Ok(admit(from).map(|from| Record {
                length: u32::try_from(length).unwrap_or(0),
                error: None,
                address: wire_address(from, family),
            }))
        });
        matches!(step, Step::Done)
    }
}

/// Sends a datagram, or says that the host's socket would block.
fn send(host: &UdpSocket, payload: &[VolatileSlice<'_>; 2], to: SocketAddr) -> io::Result<()> {
    let attempt = || host.try_io(Interest::WRITABLE, || host::send(host, payload, to));
    match attempt() {
        // What an earlier datagram met, and not this one; its record comes from the error queue.
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => attempt(),
        outcome => outcome,
    }
}
