// SPDX-License-Identifier: Apache-2.0
//! Templates: which objects an event speaks of.
//!
//! `s3://{Records.0.s3.bucket.name}/{Records.0.s3.object.key:decoded}#bytes=0-65535`: what is in braces is a path into the event,
//! by member names and places in arrays. `:decoded` undoes the encoding that S3's own events have keys in. What follows `#`
//! is the range that is read, if it is not the whole object.

use std::fmt;
use std::str::FromStr;

use nexus_backend::prefetch::Object;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    bucket: Vec<Piece>,
    key: Vec<Piece>,
    range: Option<String>,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(Field),
}

/// A text of an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Field {
    pub(super) path: Vec<String>,
    pub(super) decoded: bool,
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no template for objects: {reason}; write s3://BUCKET/KEY with {{path.into.event}} in either"
)]
pub struct TemplateError {
    text: String,
    reason: &'static str,
}

impl Template {
    /// The object that an event speaks of; None if it has not all of the fields, as texts or numbers.
    pub(super) fn expand(&self, event: &Value) -> Option<Object> {
        let object = Object {
            bucket: filled(&self.bucket, event)?,
            key: filled(&self.key, event)?,
            range: self.range.clone(),
        };
        let empty = object.bucket.is_empty() || object.key.is_empty();
        (!empty).then_some(object)
    }
}

impl Field {
    /// Its value in an event.
    pub(super) fn of(&self, event: &Value) -> Option<String> {
        let value = self
            .path
            .iter()
            .try_fold(event, |value, name| match value {
                Value::Object(members) => members.get(name),
                Value::Array(items) => items.get(name.parse::<usize>().ok()?),
                _ => None,
            })?;
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        Some(if self.decoded { decoded(&text)? } else { text })
    }
}

/// What S3's events mean by a key (`+` is a space).
pub(super) fn decoded(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    let text = percent_decode_str(&text).decode_utf8().ok()?;
    Some(text.into_owned())
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |reason| TemplateError {
            text: text.to_owned(),
            reason,
        };
        let rest = text
            .strip_prefix("s3://")
            .ok_or_else(|| wrong("it does not begin with s3://"))?;
        let (rest, range) = match rest.split_once('#') {
            Some((rest, range)) if range.starts_with("bytes=") => (rest, Some(range.to_owned())),
            Some(_) => return Err(wrong("what follows # is no bytes=FIRST-LAST")),
            None => (rest, None),
        };
        let (bucket, key) = rest.split_once('/').ok_or_else(|| wrong("it has no key"))?;
        let (bucket, key) = (pieces(bucket).map_err(wrong)?, pieces(key).map_err(wrong)?);
        if bucket.is_empty() || key.is_empty() {
            return Err(wrong("bucket or key is empty"));
        }
        Ok(Self {
            bucket,
            key,
            range,
            text: text.to_owned(),
        })
    }
}

impl TryFrom<String> for Template {
    type Error = TemplateError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.text
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn filled(pieces: &[Piece], event: &Value) -> Option<String> {
    let fill = |piece: &Piece| match piece {
        Piece::Text(text) => Some(text.clone()),
        Piece::Field(field) => field.of(event),
    };
    pieces.iter().map(fill).collect()
}

fn pieces(mut text: &str) -> Result<Vec<Piece>, &'static str> {
    let mut pieces = Vec::new();
    while !text.is_empty() {
        let (before, rest) = text.split_once('{').unwrap_or((text, ""));
        if before.contains('}') {
            return Err("a } has no {");
        }
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        if before.len() == text.len() {
            break;
        }
        let (field, after) = rest.split_once('}').ok_or("a { has no }")?;
        let (path, decoded) = match field.strip_suffix(":decoded") {
            Some(path) => (path, true),
            None => (field, false),
        };
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            return Err("a path into the event is empty, or a part of it is");
        }
        pieces.push(Piece::Field(Field { path, decoded }));
        text = after;
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn expand(template: &str, event: &Value) -> Option<(String, String, Option<String>)> {
        let template: Template = template.parse().expect("a template");
        let object = template.expand(event)?;
        Some((object.bucket, object.key, object.range))
    }

    #[test]
    fn events_fill_templates() {
        let event = json!({
            "Records": [{ "s3": { "bucket": { "name": "photos" }, "object": { "key": "in/a+b%C3%A4.jpg" } } }],
            "page": 7,
        });
        let s3 = "s3://{Records.0.s3.bucket.name}/{Records.0.s3.object.key:decoded}";
        let (bucket, key, range) = expand(s3, &event).expect("an object");
        assert_eq!(
            (bucket.as_str(), key.as_str(), range),
            ("photos", "in/a bä.jpg", None)
        );
        let (bucket, key, range) =
            expand("s3://b/pages/{page}.json#bytes=0-9", &event).expect("an object");
        assert_eq!((bucket.as_str(), key.as_str()), ("b", "pages/7.json"));
        assert_eq!(range.as_deref(), Some("bytes=0-9"));
        for nothing in [
            "s3://b/{missing}",
            "s3://b/{Records}",
            "s3://b/{Records.1.s3}",
            "s3://{page}/{page.x}",
        ] {
            assert_eq!(expand(nothing, &event), None, "{nothing}");
        }
    }

    #[test]
    fn what_is_no_template() {
        for text in [
            "b/k",
            "s3://b",
            "s3:///k",
            "s3://b/",
            "s3://b/{a",
            "s3://b/a}",
            "s3://b/{}",
            "s3://b/{a..b}",
            "s3://b/k#1-2",
        ] {
            assert!(text.parse::<Template>().is_err(), "{text}");
        }
        let text = "s3://{a}/x{b.c:decoded}y";
        assert_eq!(text.parse::<Template>().expect("one").to_string(), text);
    }
}
