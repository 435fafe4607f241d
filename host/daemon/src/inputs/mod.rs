// SPDX-License-Identifier: Apache-2.0
//! What a function will read, told from its event: by templates of its owner, by the caller, by what it read before.

mod hints;
mod template;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nexus_backend::gateway::Prefetcher;
use nexus_backend::prefetch::{Budget, Prefetched, Report};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::hints::Hints;
pub use self::template::{Template, TemplateError};
use crate::functions::{Function, FunctionName};
use crate::pool::Call;

/// Longest event that is looked into, in bytes.
const EVENT_MAX: usize = 256 * 1024;

/// What may be here of objects that were fetched for one function, in bytes: a few of the largest.
const FUNCTION_BYTES: usize = 64 * 1024 * 1024;

/// What is to be fetched for a function before it asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Prefetch {
    /// Objects that each event speaks of.
    pub objects: Vec<Template>,
    /// Whether to learn from reads which ones these are.
    pub learn: Learn,
    /// What becomes of an object that changes between the event and the read.
    pub freshness: Freshness,
}

/// Whether reads are learned from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Learn {
    /// They are.
    #[default]
    On,
    /// They are not: nothing is fetched but what templates and callers name.
    Off,
}

/// How fresh a read is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Freshness {
    /// As fresh as without any of this: the store is asked whether the object has changed.
    #[default]
    Strict,
    /// As fresh as the event.
    Relaxed,
}

/// How often it was right.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Score {
    /// Objects that the store was asked for.
    pub fetched: u64,
    /// Those of them that were read, and were still the same.
    pub used: u64,
}

/// Fetches what functions will read, and learns what that is.
#[derive(Debug)]
pub struct Inputs {
    prefetcher: Prefetcher,
    functions: Mutex<HashMap<FunctionName, Known>>,
}

#[derive(Debug)]
struct Known {
    function: Option<Arc<Function>>,
    budget: Budget,
    hints: Hints,
    score: Score,
}

/// What is fetched for one call.
#[derive(Debug)]
pub struct Plan {
    event: Option<Value>,
    /// For the instance that takes the call.
    pub prefetched: Option<Arc<Prefetched>>,
}

impl Inputs {
    /// Knows nothing yet.
    pub fn new(prefetcher: Prefetcher) -> Self {
        Self {
            prefetcher,
            functions: Mutex::default(),
        }
    }

    /// Starts to fetch what `call` will lead to.
    pub fn start(&self, call: &Call) -> Plan {
        let spec = &call.function.prefetch;
        let is_wanted = spec.learn == Learn::On || !spec.objects.is_empty();
        let event = (is_wanted && call.payload.len() <= EVENT_MAX)
            .then(|| serde_json::from_slice::<Value>(&call.payload).ok())
            .flatten();
        let mut objects = call.objects.clone();
        let mut functions = self.lock();
        let known = functions.entry(call.name.clone()).or_default();
        let known = known.of(&call.function);
        if let Some(event) = &event {
            let templates = spec.objects.iter();
            objects.extend(templates.filter_map(|object| object.expand(event)));
            if spec.learn == Learn::On {
                objects.extend(known.hints.objects(event));
            }
        }
        let budget = known.budget.clone();
        drop(functions);
        let mut seen = Vec::new();
        for object in objects {
            if !seen.contains(&object) {
                seen.push(object);
            }
        }
        let prefetched = (!seen.is_empty()).then(|| {
            let policy = call.function.policy.gateway_policy();
            let unasked = spec.freshness == Freshness::Relaxed;
            self.prefetcher
                .start(call.name.as_str(), policy, unasked, &budget, seen)
        });
        Plan { event, prefetched }
    }

    /// Takes in what became of a plan, and returns how often it was right.
    pub fn end(&self, call: &Call, plan: &Plan, report: &Report) -> Score {
        let score = Score {
            fetched: plan.prefetched.as_ref().map_or(0, |those| those.fetched()),
            used: report.used.len() as u64,
        };
        let mut functions = self.lock();
        let known = functions.get_mut(&call.name);
        // What an earlier deployment reads is nothing to the present one.
        let Some(known) = known.filter(|known| known.is_of(&call.function)) else {
            return score;
        };
        known.score.fetched += score.fetched;
        known.score.used += score.used;
        if call.function.prefetch.learn == Learn::On
            && let Some(event) = &plan.event
        {
            known.hints.learn(event, &report.reads);
        }
        score
    }

    /// A function is gone, or replaced.
    pub fn forget(&self, name: &FunctionName) {
        self.lock().remove(name);
    }

    /// How often it was right for a function.
    pub fn score(&self, name: &FunctionName) -> Score {
        self.lock()
            .get(name)
            .map_or_else(Score::default, |known| known.score)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FunctionName, Known>> {
        self.functions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Known {
    fn default() -> Self {
        Self {
            function: None,
            budget: Budget::new(FUNCTION_BYTES),
            hints: Hints::default(),
            score: Score::default(),
        }
    }
}

impl Known {
    fn is_of(&self, function: &Arc<Function>) -> bool {
        let same = |known: &Arc<Function>| Arc::ptr_eq(known, function);
        self.function.as_ref().is_some_and(same)
    }

    /// What is known of exactly this deployment.
    fn of(&mut self, function: &Arc<Function>) -> &mut Self {
        if !self.is_of(function) {
            *self = Self {
                function: Some(Arc::clone(function)),
                ..Self::default()
            };
        }
        self
    }
}
