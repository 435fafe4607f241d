// SPDX-License-Identifier: Apache-2.0
//! Hints: what a function's reads have in common with its events, learned from both.
//!
//! Each read suggests where bucket and key came from: a text of the event, or nowhere, so that they are the same each time. A
//! suggestion that has been right some times in turn is used; one that is wrong twice in turn is forgotten.

use std::collections::HashMap;

use nexus_backend::prefetch::Object;
use serde_json::Value;

use super::template::{Field, decoded};

/// How often in turn a hint must have been right before it is used.
const RIGHT: u32 = 3;

/// How often in turn a hint may be wrong until it is forgotten.
const WRONG: u32 = 2;

/// Hints that are kept for a function.
const HINTS_MAX: usize = 64;

/// Texts of an event that are looked at, and how deep they may lie.
const TEXTS_MAX: usize = 256;
const DEPTH_MAX: usize = 16;

/// Where a text comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Source {
    Event(Field),
    Always(String),
}

/// An object by where its names come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Hint {
    bucket: Source,
    key: Source,
    range: Option<String>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Record {
    right: u32,
    wrong: u32,
}

/// The hints of one function.
#[derive(Debug, Default)]
pub(super) struct Hints(HashMap<Hint, Record>);

impl Hints {
    /// The objects that an event probably leads to.
    pub(super) fn objects(&self, event: &Value) -> Vec<Object> {
        let mut objects = Vec::new();
        for (hint, record) in &self.0 {
            if record.right >= RIGHT
                && let Some(object) = hint.object(event)
                && !objects.contains(&object)
            {
                objects.push(object);
            }
        }
        objects
    }

    /// Takes in what an invocation with this event read.
    pub(super) fn learn(&mut self, event: &Value, reads: &[Object]) {
        self.0.retain(|hint, record| {
            let right = hint
                .object(event)
                .is_some_and(|object| reads.contains(&object));
            if right {
                record.right += 1;
                record.wrong = 0;
            } else {
                record.wrong += 1;
            }
            record.wrong < WRONG
        });
        let texts = texts(event);
        for read in reads {
            for hint in suggestions(&texts, read) {
                if self.0.len() < HINTS_MAX {
                    self.0.entry(hint).or_insert(Record { right: 1, wrong: 0 });
                }
            }
        }
    }
}

impl Hint {
    fn object(&self, event: &Value) -> Option<Object> {
        Some(Object {
            bucket: self.bucket.of(event)?,
            key: self.key.of(event)?,
            range: self.range.clone(),
        })
    }
}

impl Source {
    fn of(&self, event: &Value) -> Option<String> {
        match self {
            Self::Event(field) => field.of(event),
            Self::Always(text) => Some(text.clone()),
        }
    }
}

/// Where bucket and key of a read may come from.
fn suggestions(texts: &[(Vec<String>, &str)], read: &Object) -> Vec<Hint> {
    let buckets = sources(texts, &read.bucket);
    let keys = sources(texts, &read.key);
    let pairs = buckets
        .iter()
        .flat_map(|bucket| keys.iter().map(move |key| (bucket, key)));
    pairs
        .map(|(bucket, key)| Hint {
            bucket: bucket.clone(),
            key: key.clone(),
            range: read.range.clone(),
        })
        .collect()
}

/// Where a text may come from: all places of the event that have it, else nowhere.
fn sources(texts: &[(Vec<String>, &str)], wanted: &str) -> Vec<Source> {
    let at = |decode: bool| {
        move |(path, text): &(Vec<String>, &str)| {
            let same = if decode {
                *text != wanted && decoded(text).as_deref() == Some(wanted)
            } else {
                *text == wanted
            };
            same.then(|| {
                Source::Event(Field {
                    path: path.clone(),
                    decoded: decode,
                })
            })
        }
    };
    let mut found: Vec<Source> = texts.iter().filter_map(at(false)).collect();
    found.extend(texts.iter().filter_map(at(true)));
    if found.is_empty() {
        found.push(Source::Always(wanted.to_owned()));
    }
    found
}

/// All texts of an event with their paths.
fn texts(event: &Value) -> Vec<(Vec<String>, &str)> {
    let mut found = Vec::new();
    let mut path = Vec::new();
    collect(event, &mut path, &mut found);
    found
}

fn collect<'a>(value: &'a Value, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, &'a str)>) {
    if found.len() >= TEXTS_MAX || path.len() >= DEPTH_MAX {
        return;
    }
    let mut inside = |name: String, value: &'a Value| {
        path.push(name);
        collect(value, path, found);
        path.pop();
    };
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                inside(name.clone(), value);
            }
        }
        Value::Array(items) => {
            for (place, value) in items.iter().enumerate() {
                inside(place.to_string(), value);
            }
        }
        Value::String(text) => found.push((path.clone(), text)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(bucket: &str, key: &str) -> Object {
        Object {
            bucket: bucket.into(),
            key: key.into(),
            range: None,
        }
    }

    fn event(key: &str) -> Value {
        json!({ "detail": { "bucket": "photos", "key": key }, "noise": [1, "x"] })
    }

    #[test]
    fn fields_that_were_right_are_used() {
        let mut hints = Hints::default();
        for key in ["a", "b+c", "d"] {
            assert!(hints.objects(&event("next")).is_empty(), "too early");
            let plain = decoded(key).expect("plain");
            let reads = [object("photos", &plain), object("models", "v1.bin")];
            hints.learn(&event(key), &reads);
        }
        // The one by the text as it is was wrong once, for the key with a plus, and is right again.
        hints.learn(
            &event("e"),
            &[object("photos", "e"), object("models", "v1.bin")],
        );
        let mut objects = hints.objects(&event("next"));
        objects.sort_by(|a, b| a.bucket.cmp(&b.bucket));
        assert_eq!(
            objects,
            [object("models", "v1.bin"), object("photos", "next")]
        );
    }

    #[test]
    fn what_is_wrong_twice_in_turn_is_forgotten() {
        let mut hints = Hints::default();
        for key in ["a", "b", "c"] {
            hints.learn(&event(key), &[object("photos", key)]);
        }
        hints.learn(&event("d"), &[]);
        assert_eq!(hints.objects(&event("e")).len(), 1);
        hints.learn(&event("d"), &[]);
        assert!(hints.objects(&event("e")).is_empty());
    }

    #[test]
    fn hints_are_bounded() {
        let mut hints = Hints::default();
        for round in 0..10 {
            let reads: Vec<_> = (0..100)
                .map(|n| object("b", &format!("{round}-{n}")))
                .collect();
            hints.learn(&event("a"), &reads);
            assert!(hints.0.len() <= HINTS_MAX);
        }
    }
}
