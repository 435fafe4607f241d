// SPDX-License-Identifier: Apache-2.0
//! Operations whose arguments and results are documents as a whole (the protocols json and query), and the shapes of those.
//!
//! Shapes may refer to themselves, so that they are in a table by name.

use std::collections::BTreeSet;

use crate::marshal::Value;
use crate::model::{Model, Operation, Reference, Shape};

/// The table of an operation, or None if a part of it is not understood. The shapes that it needs are put into `shapes`.
pub(crate) fn operation(
    model: &Model,
    operation: &Operation,
    shapes: &mut BTreeSet<String>,
) -> Option<Value> {
    let metadata = &model.metadata;
    // Its name would have to be made of arguments.
    if operation.endpoint.is_some() || metadata.protocol != "json" && metadata.protocol != "query" {
        return None;
    }
    let mut needed = BTreeSet::new();
    let mut document = |reference: &Option<Reference>| {
        let Some(reference) = reference else {
            return Some(Value::None);
        };
        collect(model, &reference.shape, &mut needed)?;
        Some(Value::text(&*reference.shape))
    };
    let (input, output) = (document(&operation.input)?, document(&operation.output)?);
    let is_formatted = |name: &String| {
        let shape = model.shapes.get(name);
        shape.is_some_and(|shape| shape.timestamp_format.is_some())
    };
    if needed.iter().any(is_formatted) {
        return None;
    }
    shapes.extend(needed);
    let wrapper = operation
        .output
        .as_ref()
        .and_then(|output| output.result_wrapper.as_deref());
    Some(Value::Dict(vec![
        ("name".into(), Value::text(&*operation.name)),
        ("method".into(), Value::text(&*operation.http.method)),
        ("uri".into(), Value::text(&*operation.http.request_uri)),
        ("protocol".into(), Value::text(&*metadata.protocol)),
        ("input".into(), input),
        ("output".into(), output),
        ("wrapper".into(), Value::maybe(wrapper)),
    ]))
}

/// Whether a document of this shape can be written. The shapes that it needs are put into `shapes`.
pub(crate) fn document(model: &Model, name: &str, shapes: &mut BTreeSet<String>) -> bool {
    let mut needed = BTreeSet::new();
    let is_understood = collect(model, name, &mut needed).is_some();
    if is_understood {
        shapes.extend(needed);
    }
    is_understood
}

/// The shapes of these names, by name.
pub(crate) fn named(model: &Model, names: &BTreeSet<String>) -> Value {
    let pairs = names
        .iter()
        .filter_map(|name| Some((name.clone(), value(model.shapes.get(name)?)?)));
    Value::Dict(pairs.collect())
}

/// Adds a shape and those that it is made of; None if one of them is not understood.
fn collect(model: &Model, name: &str, names: &mut BTreeSet<String>) -> Option<()> {
    if !names.insert(name.to_owned()) {
        return Some(());
    }
    let shape = model.shapes.get(name)?;
    // In forms and their answers, a list without an element of its own is another matter.
    if shape.flattened && model.metadata.protocol == "query" {
        return None;
    }
    value(shape)?;
    let parts = [&shape.member, &shape.key, &shape.value];
    let parts = parts.into_iter().flatten().chain(shape.members.values());
    parts
        .into_iter()
        .try_for_each(|part| collect(model, &part.shape, names))
}

/// A shape: its kind, the least that its value or length may be, and what it is made of.
fn value(shape: &Shape) -> Option<Value> {
    if shape.document || shape.eventstream {
        return None;
    }
    let kind = match shape.kind.as_str() {
        "string" | "character" => "string",
        "integer" | "long" => "integer",
        "float" | "double" => "float",
        // Operations that read such a time are left out, and calls that write one are handed over.
        "timestamp" if shape.timestamp_format.is_some() => "formatted",
        kind @ ("boolean" | "blob" | "timestamp" | "list" | "map" | "structure") => kind,
        _ => return None,
    };
    let minimum = shape
        .min
        .filter(|min| min.fract() == 0.0 && min.abs() <= f64::from(i32::MAX));
    if shape.min.is_some() && minimum.is_none() {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is a whole number of that size"
    )]
    let minimum = minimum.map_or(Value::None, |min| Value::Int(min as i32));
    let part = |reference: &Option<Reference>| {
        let reference = reference.as_ref()?;
        Some(Value::Tuple(vec![
            Value::text(&*reference.shape),
            Value::maybe(reference.location_name.as_deref()),
        ]))
    };
    let mut all = vec![Value::text(kind), minimum];
    match kind {
        "list" => all.extend([part(&shape.member)?, Value::Bool(shape.flattened)]),
        "map" => all.extend([part(&shape.key)?, part(&shape.value)?]),
        "structure" => all.extend([
            Value::Dict(members(shape)?),
            Value::Tuple(shape.required.iter().map(Value::text).collect()),
            Value::Bool(shape.union),
        ]),
        _ => {}
    }
    Some(Value::Tuple(all))
}

/// The members of a structure: each one's shape, and its name in a document.
fn members(shape: &Shape) -> Option<Vec<(String, Value)>> {
    let member = |(name, member): (&String, &Reference)| {
        // Given a value by botocore, or put elsewhere than into the document.
        let special = member.idempotency_token || member.json_value || member.xml_attribute;
        if special || member.location.is_some() || member.timestamp_format.is_some() {
            return None;
        }
        let wire = member.location_name.as_deref().unwrap_or(name);
        let pair = Value::Tuple(vec![Value::text(&*member.shape), Value::text(wire)]);
        Some((name.clone(), pair))
    };
    shape.members.iter().map(member).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(shapes: &str) -> Option<usize> {
        let text = format!(
            r#"{{"metadata": {{"endpointPrefix": "x", "protocol": "json"}}, "operations": {{"Op": {{"name": "Op",
                "http": {{"method": "POST", "requestUri": "/"}}, "input": {{"shape": "A"}}}}}}, "shapes": {shapes}}}"#
        );
        let model: Model = serde_json::from_str(&text).expect("a model");
        let mut names = BTreeSet::new();
        operation(&model, &model.operations["Op"], &mut names)?;
        Some(names.len())
    }

    #[test]
    fn shapes_may_refer_to_themselves() {
        let shapes = r#"{"A": {"type": "structure", "members": {"L": {"shape": "B"}, "S": {"shape": "C"}}},
            "B": {"type": "list", "member": {"shape": "A"}}, "C": {"type": "string", "min": 1}, "D": {"type": "string"}}"#;
        assert_eq!(made(shapes), Some(3));
    }

    #[test]
    fn what_is_not_understood_is_left_out() {
        for member in [
            r#"{"shape": "B", "idempotencyToken": true}"#,
            r#"{"shape": "B", "location": "header"}"#,
            r#"{"shape": "C"}"#,
            r#"{"shape": "missing"}"#,
        ] {
            let shapes = format!(
                r#"{{"A": {{"type": "structure", "members": {{"x": {member}}}}}, "B": {{"type": "string"}},
                    "C": {{"type": "structure", "document": true}}}}"#
            );
            assert_eq!(made(&shapes), None, "{member}");
        }
    }
}
