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

/// Places of an event that one read is held against; more that have the same text tell nothing.
const PLACES_MAX: usize = 4;

/// Longest bucket, key or range that is learned, in bytes.
const TEXT_MAX: usize = 1024;

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
        for read in reads.iter().filter(|read| is_short(read)) {
            if self.0.len() >= HINTS_MAX {
                return;
            }
            for hint in suggestions(&texts, read) {
                self.0.entry(hint).or_insert(Record { right: 1, wrong: 0 });
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

/// Whether a read is of what may be remembered.
fn is_short(read: &Object) -> bool {
    let range = read.range.as_ref().map_or(0, String::len);
    read.bucket.len().max(read.key.len()).max(range) <= TEXT_MAX
}

/// Where bucket and key of a read may come from.
fn suggestions(texts: &[Text<'_>], read: &Object) -> Vec<Hint> {
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

/// Where a text may come from: places of the event that have it, else nowhere.
fn sources(texts: &[Text<'_>], wanted: &str) -> Vec<Source> {
    let place = |text: &Text<'_>| {
        let plain = text.plain == wanted;
        let same = plain || text.decoded.as_deref() == Some(wanted);
        same.then(|| {
            Source::Event(Field {
                path: text.path.clone(),
                decoded: !plain,
            })
        })
    };
    let mut found: Vec<Source> = texts.iter().filter_map(place).take(PLACES_MAX).collect();
    if found.is_empty() {
        found.push(Source::Always(wanted.to_owned()));
    }
    found
}

/// A text of an event, and what it is when it is decoded, if that is something else.
struct Text<'a> {
    path: Vec<String>,
    plain: &'a str,
    decoded: Option<String>,
}

/// All texts of an event with their paths.
fn texts(event: &Value) -> Vec<Text<'_>> {
    let mut found = Vec::new();
    let mut path = Vec::new();
    collect(event, &mut path, &mut found);
    found
}

fn collect<'a>(value: &'a Value, path: &mut Vec<String>, found: &mut Vec<Text<'a>>) {
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
        Value::String(text) if text.len() <= TEXT_MAX => found.push(Text {
            path: path.clone(),
            plain: text,
            decoded: decoded(text).filter(|decoded| decoded != text),
        }),
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
