// SPDX-License-Identifier: Apache-2.0
//! What happened when during an invocation, and the last invocations' records.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::inputs::Score;

/// Invocations that are remembered.
const HISTORY: usize = 1000;

/// Names of the daemon's own marks. The runtime API adds its own, from the start of the function to its answer.
pub mod mark {
    /// The request was read.
    pub const ARRIVAL: &str = "arrival";
    /// It is known which instance will run it: a warm one, or one to be started.
    pub const PLACED: &str = "placed";
    /// The VM's process runs.
    pub const INSTANCE_STARTED: &str = "instance started";
    /// The guest's init asked for its configuration.
    pub const GUEST_BOOTED: &str = "guest booted";
    /// The VM's processors run again.
    pub const RESUMED: &str = "resumed";
    /// The function's deferred writes are done; the caller's answer waited for them.
    pub const DURABLE: &str = "durable";
    /// The caller's answer is made.
    pub const DONE: &str = "done";
}

/// The marks of a running invocation.
#[derive(Debug, Clone)]
pub struct Timeline {
    arrived_at: SystemTime,
    arrival: Instant,
    marks: Vec<(&'static str, Instant)>,
}

impl Timeline {
    /// Starts now.
    pub fn start() -> Self {
        let arrival = Instant::now();
        Self {
            arrived_at: SystemTime::now(),
            arrival,
            marks: vec![(mark::ARRIVAL, arrival)],
        }
    }

    /// Marks now.
    pub fn mark(&mut self, name: &'static str) {
        self.mark_at(name, Instant::now());
    }

    /// Marks what happened at `when`; nothing, if that was before the arrival, at an instance's earlier invocation.
    pub fn mark_at(&mut self, name: &'static str, when: Instant) {
        if when >= self.arrival {
            self.marks.push((name, when));
        }
    }

    /// Microseconds since the arrival, in order of time.
    fn marks(&self) -> Vec<Mark> {
        let mut marks: Vec<Mark> = self
            .marks
            .iter()
            .map(|(name, when)| Mark {
                name,
                at_us: micros(when.saturating_duration_since(self.arrival)),
            })
            .collect();
        marks.sort_by_key(|mark| mark.at_us);
        marks
    }
}

/// One mark of a finished invocation.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Mark {
    /// What happened.
    pub name: &'static str,
    /// Microseconds since the arrival.
    pub at_us: u64,
}

/// A finished invocation.
#[derive(Debug, Serialize)]
pub struct Record {
    /// The invocation's UUID.
    pub request_id: String,
    /// The function's name.
    pub function: String,
    /// The instance that ran it, if one did.
    pub instance: Option<String>,
    /// Whether the instance was started for it.
    pub cold: bool,
    /// Objects that were fetched before the function asked, and those of them that it read.
    pub prefetch: Score,
    /// `ok`, or the type of the error.
    pub outcome: String,
    /// When the request was read, in milliseconds since 1970.
    pub arrived_at_ms: u64,
    /// What happened when.
    pub marks: Vec<Mark>,
}

/// Who ran an invocation, and what came of it.
#[derive(Debug)]
pub struct Summary {
    /// The invocation's UUID.
    pub request_id: String,
    /// The function's name.
    pub function: String,
    /// The instance that ran it, if one did.
    pub instance: Option<String>,
    /// Whether the instance was started for it.
    pub cold: bool,
    /// Objects that were fetched before the function asked, and those of them that it read.
    pub prefetch: Score,
    /// `ok`, or the type of the error.
    pub outcome: String,
}

/// The last invocations.
#[derive(Debug, Default)]
pub struct History {
    records: Mutex<VecDeque<Arc<Record>>>,
}

impl History {
    /// Remembers an invocation, and forgets the oldest if there are too many.
    pub fn add(&self, summary: Summary, timeline: &Timeline) {
        let since = timeline
            .arrived_at
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let record = Record {
            request_id: summary.request_id,
            function: summary.function,
            instance: summary.instance,
            cold: summary.cold,
            prefetch: summary.prefetch,
            outcome: summary.outcome,
            arrived_at_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            marks: timeline.marks(),
        };
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() == HISTORY {
            records.pop_front();
        }
        records.push_back(Arc::new(record));
    }

    /// The invocation with this id, if it is remembered.
    pub fn get(&self, request_id: &str) -> Option<Arc<Record>> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records
            .iter()
            .rev()
            .find(|record| record.request_id == request_id)
            .cloned()
    }
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{HISTORY, History, Summary, Timeline, mark};

    fn summary(id: usize) -> Summary {
        Summary {
            request_id: id.to_string(),
            function: "f".into(),
            instance: None,
            cold: false,
            prefetch: crate::inputs::Score::default(),
            outcome: "ok".into(),
        }
    }

    #[test]
    fn marks_are_in_order_of_time() {
        let mut timeline = Timeline::start();
        let start = timeline.arrival;
        timeline.mark_at(mark::DONE, start + Duration::from_micros(70));
        timeline.mark_at(mark::PLACED, start + Duration::from_micros(5));
        let marks: Vec<_> = timeline
            .marks()
            .into_iter()
            .map(|mark| (mark.name, mark.at_us))
            .collect();
        assert_eq!(
            marks,
            [(mark::ARRIVAL, 0), (mark::PLACED, 5), (mark::DONE, 70)]
        );
    }

    #[test]
    fn the_history_is_bounded() {
        let history = History::default();
        let timeline = Timeline::start();
        for id in 0..=HISTORY {
            history.add(summary(id), &timeline);
        }
        assert!(history.get("0").is_none());
        assert!(history.get("1").is_some());
        assert!(history.get(&HISTORY.to_string()).is_some());
    }
}
