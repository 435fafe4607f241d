// SPDX-License-Identifier: Apache-2.0
//! Where a runtime stands between two events, and what it may do there.
//!
//! The phases are those of Lambda's own: a runtime starts, asks for an event (`next`), runs, answers, asks again. The
//! caller's side runs beside it: an event may be there before the runtime asks for it.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::{Outcome, RuntimeError};

/// Where the runtime stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It has not asked for an event yet.
    Started,
    /// It asked for an event and has none.
    Ready,
    /// It has an event.
    Running,
    /// It is sending its response or error.
    Answering,
    /// It answered and has not asked for the next event.
    ResponseSent,
}

/// What the runtime asks for; the names are those of the error texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transition {
    InitError,
    InvocationResponse,
    InvocationError,
}

/// Why the runtime may not do what it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No invocation has this id, or it has been answered.
    InvalidRequestId,
    /// Not in this phase.
    InvalidTransition(Phase, Transition),
    /// The instance has failed and gets no more events.
    Failed,
}

/// An event as the runtime gets it.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) request_id: String,
    pub(super) headers: http::HeaderMap,
    pub(super) payload: bytes::Bytes,
}

/// An invocation without an outcome.
#[derive(Debug)]
struct Current {
    event: Arc<Event>,
    outcome: oneshot::Sender<Outcome>,
}

/// The state of one VM's runtime.
#[derive(Debug)]
pub(super) struct State {
    phase: Phase,
    current: Option<Current>,
    /// Id of the last invocation that has an outcome.
    answered: Option<String>,
    /// Outstanding `next` requests.
    waiters: usize,
    failure: Option<RuntimeError>,
    marks: Vec<(&'static str, Instant)>,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Started,
            current: None,
            answered: None,
            waiters: 0,
            failure: None,
            marks: Vec::new(),
        }
    }

    pub(super) fn failure(&self) -> Option<&RuntimeError> {
        self.failure.as_ref()
    }

    pub(super) fn initialised(&self) -> bool {
        self.phase != Phase::Started
    }

    /// Whether the runtime waits for an event, and none is there.
    pub(super) fn waiting(&self) -> bool {
        self.phase == Phase::Ready && self.waiters > 0 && self.current.is_none()
    }

    pub(super) fn marks(&self) -> &[(&'static str, Instant)] {
        &self.marks
    }

    pub(super) fn mark(&mut self, name: &'static str) {
        self.marks.push((name, Instant::now()));
    }

    /// The caller hands an event over.
    pub(super) fn begin(
        &mut self,
        event: Arc<Event>,
        outcome: oneshot::Sender<Outcome>,
    ) -> Result<(), RuntimeError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        if self.current.is_some() {
            return Err(RuntimeError::Busy);
        }
        self.current = Some(Current { event, outcome });
        self.marks
            .retain(|(name, _)| *name == super::mark::INITIALISED);
        self.mark(super::mark::HANDED_OVER);
        Ok(())
    }

    /// The caller went away, or has the outcome.
    pub(super) fn end(&mut self, request_id: &str) {
        if self
            .current
            .as_ref()
            .is_some_and(|current| current.event.request_id == request_id)
        {
            self.fail(RuntimeError::Abandoned);
        }
    }

    /// No more events. The first reason stays: it is the cause of those that follow.
    pub(super) fn fail(&mut self, reason: RuntimeError) {
        self.failure.get_or_insert(reason);
        self.current = None;
    }

    /// The runtime asks for an event. While it has one, it gets the same again.
    pub(super) fn next_begins(&mut self) {
        if self.phase == Phase::Started {
            self.mark(super::mark::INITIALISED);
        }
        if !matches!(self.phase, Phase::Running | Phase::Answering) {
            self.phase = Phase::Ready;
        }
        self.waiters += 1;
    }

    pub(super) fn next_ends(&mut self) {
        self.waiters -= 1;
    }

    /// The event for a `next`, if there is one.
    pub(super) fn take(&mut self) -> Option<Result<Arc<Event>, Refusal>> {
        if self.failure.is_some() {
            return Some(Err(Refusal::Failed));
        }
        let event = self.current.as_ref()?.event.clone();
        if self.phase == Phase::Ready {
            self.phase = Phase::Running;
            self.mark(super::mark::TAKEN);
        }
        Some(Ok(event))
    }

    /// The runtime begins its answer to `request_id`.
    pub(super) fn answer_begins(
        &mut self,
        request_id: &str,
        transition: Transition,
    ) -> Result<(), Refusal> {
        if self.failure.is_some() {
            return Err(Refusal::Failed);
        }
        let current = self
            .current
            .as_ref()
            .is_some_and(|current| current.event.request_id == request_id);
        match self.phase {
            Phase::Running if current => {
                self.phase = Phase::Answering;
                self.mark(super::mark::ANSWER_BEGINS);
                Ok(())
            }
            Phase::Running | Phase::Answering => Err(Refusal::InvalidRequestId),
            _ if self.answered.as_deref() == Some(request_id) => Err(Refusal::InvalidRequestId),
            phase => Err(Refusal::InvalidTransition(phase, transition)),
        }
    }

    /// The answer is complete, whether or not it is one that the caller can have.
    pub(super) fn answer_ends(&mut self, outcome: Outcome) {
        self.mark(super::mark::ANSWERED);
        self.phase = Phase::ResponseSent;
        if let Some(current) = self.current.take() {
            self.answered = Some(current.event.request_id.clone());
            // Nobody waits any more: then there is nobody to tell.
            current.outcome.send(outcome).ok();
        }
    }

    /// The runtime may say that it cannot start.
    pub(super) fn init_error(&mut self) -> Result<(), Refusal> {
        match self.phase {
            _ if self.failure.is_some() => Err(Refusal::Failed),
            Phase::Started => Ok(()),
            phase => Err(Refusal::InvalidTransition(phase, Transition::InitError)),
        }
    }
}
