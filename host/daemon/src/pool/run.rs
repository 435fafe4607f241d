// SPDX-License-Identifier: Apache-2.0
//! One call, from finding an instance to giving it back.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use nexus_backend::runtime_api::{
    ExitReason, Invocation, Outcome, RuntimeError, exit_error_payload,
};

use super::call::{Answer, Call, PoolError, WRITE_FAILED, timeout_payload, write_failed_payload};
use super::{Instance, Place, Pool};
use crate::functions::name::LATEST;
use crate::inputs::Score;
use crate::timeline::{Summary, Timeline, mark};

/// What there is to know of a call beside its outcome.
#[derive(Debug, Default)]
struct Notes {
    cold: bool,
    prefetch: Score,
}

/// What one instance made of one call.
struct Done {
    /// The type of the error, if it is one.
    error_type: Option<String>,
    payload: Bytes,
    /// Whether the instance may take another call.
    reusable: bool,
}

impl Pool {
    pub(super) async fn run(
        self: &Arc<Self>,
        call: Call,
        mut timeline: Timeline,
    ) -> Result<Answer, PoolError> {
        let mut notes = Notes::default();
        let result = self.run_somewhere(&call, &mut timeline, &mut notes).await;
        if call.tried_again && matches!(result, Err(PoolError::Throttled { .. })) {
            return result;
        }
        timeline.mark(mark::DONE);
        let (instance, outcome) = match &result {
            Ok(answer) => (
                Some(answer.instance.clone()),
                answer.error_type.clone().unwrap_or_else(|| "ok".into()),
            ),
            Err(error) => (None, error.to_string()),
        };
        let summary = Summary {
            request_id: call.request_id,
            function: call.name.to_string(),
            instance,
            cold: notes.cold,
            prefetch: notes.prefetch,
            outcome,
        };
        self.history.add(summary, &timeline);
        result
    }

    async fn run_somewhere(
        self: &Arc<Self>,
        call: &Call,
        timeline: &mut Timeline,
        notes: &mut Notes,
    ) -> Result<Answer, PoolError> {
        loop {
            let place = self.place(&call.function).await?;
            timeline.mark(mark::PLACED);
            // While the VM is started or woken.
            let plan = self.inputs.as_ref().map(|inputs| inputs.start(call));
            let begin = |instance: &Instance| {
                let prefetched = plan.as_ref().and_then(|plan| plan.prefetched.clone());
                let asking = !instance.writeback.is_clear();
                instance.inputs.begin(prefetched, asking);
            };
            let (instance, init) = match place {
                Place::Warm(instance) => {
                    begin(&instance);
                    if !wake(&instance).await {
                        // The event was not delivered, so another instance may have it.
                        self.discard(&instance).await;
                        continue;
                    }
                    timeline.mark(mark::RESUMED);
                    (instance, None)
                }
                Place::Cold(slot) => {
                    notes.cold = true;
                    let instance = self.start(call, slot, timeline).await?;
                    instance.console.begin("");
                    begin(&instance);
                    match self.initialise(&instance, call, timeline).await {
                        Ok(Ok(duration)) => {
                            instance.lease();
                            (instance, Some(duration))
                        }
                        Ok(Err(done)) => {
                            let answer = self.conclude(Arc::clone(&instance), done, "").await;
                            return Ok(settle(&instance, call, timeline, answer).await);
                        }
                        Err(error) => {
                            self.discard(&instance).await;
                            return Err(error);
                        }
                    }
                }
            };
            let done = run_on(&instance, call, timeline).await;
            // Before the instance takes its next call.
            let report = instance.inputs.end();
            if let (Some(known), Some(plan)) = (&self.inputs, &plan) {
                notes.prefetch = known.end(call, plan, &report);
            }
            return self.answer(instance, call, timeline, init, done).await;
        }
    }

    /// Waits for the function's first question for an event. The inner error is the function's, and so the answer to the
    /// caller; the outer one is the platform's: the guest did not even get to start the function.
    async fn initialise(
        &self,
        instance: &Instance,
        call: &Call,
        timeline: &mut Timeline,
    ) -> Result<Result<Duration, Done>, PoolError> {
        let limit = self.limits.boot_timeout;
        let result = tokio::time::timeout(limit, instance.runtime.initialised())
            .await
            .unwrap_or_else(|_| {
                let text = format!(
                    "the function was not ready within {} seconds of its start",
                    limit.as_secs()
                );
                Err(RuntimeError::Exited(ExitReason {
                    text,
                    ..ExitReason::default()
                }))
            });
        let booted = instance.machine.booted_at();
        if let Some(booted) = booted {
            timeline.mark_at(mark::GUEST_BOOTED, booted);
        }
        match result {
            Ok(()) => Ok(Ok(instance.started.elapsed())),
            Err(RuntimeError::Exited(reason)) if booted.is_none() => {
                Err(PoolError::Instance(reason.text))
            }
            Err(error) => failure(&call.request_id, error)
                .map(Err)
                .map_err(|error| PoolError::Instance(error.to_string())),
        }
    }

    /// The answer to a call that ran on an instance, which takes its next one, or ends.
    async fn answer(
        self: &Arc<Self>,
        instance: Arc<Instance>,
        call: &Call,
        timeline: &mut Timeline,
        init: Option<Duration>,
        (duration, done): (Duration, Result<Done, RuntimeError>),
    ) -> Result<Answer, PoolError> {
        match done {
            Ok(done) => {
                let lines = end_lines(call, duration, init, &done);
                let answer = self.conclude(Arc::clone(&instance), done, &lines).await;
                Ok(settle(&instance, call, timeline, answer).await)
            }
            Err(error) => {
                self.discard(&instance).await;
                Err(PoolError::Instance(error.to_string()))
            }
        }
    }

    /// Closes the invocation's log and gives the instance back, or ends it.
    async fn conclude(
        self: &Arc<Self>,
        instance: Arc<Instance>,
        done: Done,
        lines: &str,
    ) -> Answer {
        let reusable = done.reusable && !instance.is_retired();
        if !reusable {
            // First, so that its last words are in the log.
            self.discard(&instance).await;
        }
        let log_tail = instance.console.finish(lines);
        let id = instance.id.clone();
        if reusable {
            self.release(instance);
        }
        Answer {
            instance: id,
            error_type: done.error_type,
            payload: done.payload,
            log_tail,
        }
    }
}

impl Done {
    fn failed(error_type: &str, payload: Bytes) -> Self {
        Self {
            error_type: Some(error_type.into()),
            payload,
            reusable: false,
        }
    }
}

impl From<Outcome> for Done {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Response { payload, .. } => Self {
                error_type: None,
                payload,
                reusable: true,
            },
            Outcome::Error {
                error_type,
                payload,
            } => Self {
                error_type: Some(error_type.unwrap_or_else(|| "Unhandled".into())),
                payload,
                reusable: true,
            },
        }
    }
}

/// Runs a call, and says how long that took.
async fn run_on(
    instance: &Instance,
    call: &Call,
    timeline: &mut Timeline,
) -> (Duration, Result<Done, RuntimeError>) {
    let id = &call.request_id;
    let timeout = Duration::from_secs(call.function.timeout_s.into());
    instance
        .console
        .begin(&format!("START RequestId: {id} Version: {LATEST}\n"));
    let start = Instant::now();
    let invocation = Invocation {
        request_id: id.clone(),
        function_arn: call.arn.clone(),
        deadline: SystemTime::now() + timeout,
        trace_id: Some(call.trace_id.clone()),
        client_context: call.client_context.clone(),
        payload: call.payload.clone(),
    };
    let result = tokio::time::timeout(timeout, instance.runtime.invoke(invocation)).await;
    let duration = start.elapsed();
    for (name, when) in instance.runtime.marks() {
        timeline.mark_at(name, when);
    }
    let done = match result {
        Ok(Ok(outcome)) => Ok(Done::from(outcome)),
        Ok(Err(error)) => failure(id, error),
        Err(_) => Ok(Done::failed(
            "Sandbox.Timedout",
            timeout_payload(id, timeout),
        )),
    };
    (duration, done)
}

/// Holds the answer until all writes that the function was told of as done are durable. If one is not, that is the answer. The
/// instance goes on meanwhile.
async fn settle(
    instance: &Instance,
    call: &Call,
    timeline: &mut Timeline,
    answer: Answer,
) -> Answer {
    let writeback = &instance.writeback;
    if writeback.is_clear() {
        return answer;
    }
    match writeback.settled(writeback.point()).await {
        Ok(()) => {
            timeline.mark(mark::DURABLE);
            answer
        }
        Err(failure) => Answer {
            error_type: Some(WRITE_FAILED.into()),
            payload: write_failed_payload(&call.request_id, &failure),
            ..answer
        },
    }
}

/// Gets a warm instance to where it can take an event. False if it ended or hangs.
async fn wake(instance: &Instance) -> bool {
    let limit = Duration::from_secs(instance.function.timeout_s.into());
    if let Err(error) = instance.wake().await {
        tracing::warn!(instance = instance.id, %error, "cannot resume an idle instance");
        return false;
    }
    tokio::select! {
        biased;
        _ = instance.machine.ended() => false,
        result = tokio::time::timeout(limit, instance.runtime.wait_until_waiting()) => result.is_ok(),
    }
}

/// What the caller gets for a runtime that failed. An error is a mistake of the pool.
fn failure(request_id: &str, error: RuntimeError) -> Result<Done, RuntimeError> {
    match error {
        RuntimeError::Init {
            error_type,
            payload,
        } => {
            let error_type = Some(error_type.unwrap_or_else(|| "Runtime.Unknown".into()));
            Ok(Done {
                error_type,
                payload,
                reusable: false,
            })
        }
        RuntimeError::Exited(reason) => Ok(Done::failed(
            "Runtime.ExitError",
            exit_error_payload(request_id, &reason),
        )),
        error @ (RuntimeError::Busy | RuntimeError::Abandoned | RuntimeError::Invalid { .. }) => {
            Err(error)
        }
    }
}

/// The lines that Lambda writes at the end of an invocation.
fn end_lines(call: &Call, duration: Duration, init: Option<Duration>, done: &Done) -> String {
    let id = &call.request_id;
    let millis = |duration: Duration| duration.as_secs_f64() * 1000.0;
    let death = if done.reusable {
        String::new()
    } else {
        format!("{}\n", String::from_utf8_lossy(&done.payload))
    };
    let init = init.map_or_else(String::new, |init| {
        format!("\tInit Duration: {:.2} ms", millis(init))
    });
    let (ms, memory) = (millis(duration), call.function.memory_mib);
    format!(
        "{death}END RequestId: {id}\nREPORT RequestId: {id}\tDuration: {ms:.2} ms\tBilled Duration: {:.0} ms\t\
         Memory Size: {memory} MB{init}\n",
        ms.ceil()
    )
}
