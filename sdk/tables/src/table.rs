// SPDX-License-Identifier: Apache-2.0
//! A service's table: what `sdk/python/nexus_sdk` needs to make its calls.
//!
//! An operation is in it only if every part of its result is understood here. A parameter is in it only if it is plain; with any
//! other the shim hands the call over.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use crate::marshal::Value;
use crate::model::{Model, Operation, Reference, Shape};
use crate::operations::{Entry, Names};
use crate::{errors, operations, shapes};

/// Of the tables, as `nexus_sdk/facade.py` knows it.
const FORMAT: i32 = 6;

/// Parameters that botocore treats in ways of their own.
const SPECIAL: [&str; 4] = ["ContentMD5", "ChecksumMode", "ChecksumAlgorithm", "Expires"];
const SPECIAL_STARTS: [&str; 3] = ["Checksum", "SSECustomer", "CopySourceSSECustomer"];

/// The release since which clients ask for, and send, checksums by themselves.
const CHECKSUMS_SINCE: Version = Version([1, 36, 0]);

/// How deep a document may be, and how many parts its shape may have: more than any that is used here.
const DEPTH_MAX: u32 = 16;
const PARTS_MAX: u32 = 10_000;

/// A release of botocore, as far as its models do not say it.
#[derive(Clone, Debug)]
pub(crate) struct Release {
    version: Version,
    /// Methods of `StreamingBody` that not every release has.
    body: Vec<&'static str>,
}

/// A version of botocore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version([u32; 3]);

impl Release {
    /// Of the text of `__init__.py`, which has the version, and of `response.py`. None if there is no version in it.
    pub(crate) fn of(init: &str, response: &str) -> Option<Self> {
        let version = init
            .lines()
            .find_map(|line| line.strip_prefix("__version__ = "))?;
        let mut numbers = [0; 3];
        let parts = version.trim().trim_matches(['\'', '"']).split('.');
        for (number, part) in numbers.iter_mut().zip(parts) {
            *number = part.parse().ok()?;
        }
        let has = |method: &&str| response.contains(&format!("    def {method}("));
        Some(Self {
            version: Version(numbers),
            body: ["readinto"].into_iter().filter(has).collect(),
        })
    }
}

/// The table of a service. What its model does not have, clients do not have either.
pub(crate) fn of(service: &str, model: &Model, release: &Release) -> Value {
    let mut made = Vec::new();
    let table = Table {
        model,
        release,
        left: Cell::new(PARTS_MAX),
        names: RefCell::default(),
    };
    for entry in operations::of(service) {
        let Some(operation) = model.operations.get(entry.name) else {
            continue;
        };
        let value = match model.metadata.protocol.as_str() {
            "rest-xml" | "rest-json" => table.operation(entry, operation),
            _ => shapes::operation(model, operation, &mut table.names.borrow_mut()),
        };
        if let Some(value) = value {
            made.push((entry.python.to_owned(), Value::written(&value)));
        }
    }
    let made_of: Vec<&Operation> = operations::of(service)
        .iter()
        .filter_map(|entry| model.operations.get(entry.name))
        .collect();
    let errors = errors::of(model, &made_of, &mut table.names.borrow_mut());
    let metadata = &model.metadata;
    let class = metadata.service_id.as_deref().unwrap_or_default();
    Value::Dict(vec![
        ("format".into(), Value::Int(FORMAT)),
        (
            "service".into(),
            Value::text(
                metadata
                    .signing_name
                    .as_deref()
                    .unwrap_or(&metadata.endpoint_prefix),
            ),
        ),
        ("class".into(), Value::text(class.replace(' ', ""))),
        ("body".into(), texts(&release.body)),
        ("errors".into(), Value::written(&errors)),
        ("retried".into(), texts(&errors::RETRIED)),
        (
            "target".into(),
            Value::maybe(metadata.target_prefix.as_deref()),
        ),
        (
            "json".into(),
            Value::maybe(metadata.json_version.as_deref()),
        ),
        (
            "version".into(),
            Value::maybe(metadata.api_version.as_deref()),
        ),
        (
            "shapes".into(),
            Value::written(&shapes::named(model, &table.names.borrow())),
        ),
        ("operations".into(), Value::Dict(made)),
    ])
}

struct Table<'a> {
    model: &'a Model,
    release: &'a Release,
    /// Parts of documents that may still be added: a model may be as deep, or refer to itself, as its author likes.
    left: Cell<u32>,
    /// Shapes of documents that are written, or read as a whole.
    names: RefCell<BTreeSet<String>>,
}

impl Table<'_> {
    /// The table of an operation, or None if its result is not understood.
    fn operation(&self, entry: &Entry, operation: &Operation) -> Option<Value> {
        let empty = Shape::default();
        let of = |reference: &Option<Reference>| match reference {
            Some(reference) => self.model.shapes.get(&reference.shape),
            None => Some(&empty),
        };
        let (input, output) = (of(&operation.input)?, of(&operation.output)?);
        let checksums = self.release.version >= CHECKSUMS_SINCE;
        let header = |member: &Option<String>| {
            let member = input.members.get(member.as_ref()?)?;
            member.location_name.as_deref().filter(|_| checksums)
        };
        let checksum = operation.http_checksum.as_ref();
        let text = |texts: Names| Value::Tuple(texts.iter().copied().map(Value::text).collect());
        self.left.set(PARTS_MAX);
        let (payload_out, document) = self.payload(output)?;
        let wrapped = output
            .payload
            .as_deref()
            .filter(|_| document != Value::None);
        let decoded = entry.decoded.map_or(Value::None, |(top, nested)| {
            let pair = |(name, child): &(&str, &str)| {
                Value::Tuple(vec![Value::text(*name), Value::text(*child)])
            };
            Value::Tuple(vec![
                text(top),
                Value::Tuple(nested.iter().map(pair).collect()),
            ])
        });
        Some(Value::Dict(vec![
            ("name".into(), Value::text(&*operation.name)),
            ("method".into(), Value::text(&*operation.http.method)),
            ("uri".into(), Value::text(&*operation.http.request_uri)),
            (
                "protocol".into(),
                Value::text(&*self.model.metadata.protocol),
            ),
            ("query".into(), text(entry.query)),
            (
                "required".into(),
                Value::Tuple(input.required.iter().map(Value::text).collect()),
            ),
            ("parameters".into(), Value::Dict(self.parameters(input))),
            ("payload_in".into(), Value::Bool(input.payload.is_some())),
            (
                "checksum".into(),
                Value::maybe(checksum.and_then(|c| header(&c.request_algorithm_member))),
            ),
            (
                "md5".into(),
                Value::Bool(!checksums && checksum.is_some_and(|c| c.request_checksum_required)),
            ),
            (
                "validation".into(),
                Value::maybe(checksum.and_then(|c| header(&c.request_validation_mode_member))),
            ),
            ("members".into(), Value::Dict(self.members(output)?)),
            ("status".into(), status(output)),
            ("prefixed".into(), prefixed(output)),
            (
                "expires".into(),
                Value::Bool(output.members.contains_key("Expires")),
            ),
            ("payload_out".into(), payload_out),
            ("document".into(), document),
            ("wrapped".into(), Value::maybe(wrapped)),
            ("decoded".into(), decoded),
        ]))
    }

    fn shape(&self, reference: &Reference) -> Option<&Shape> {
        self.model.shapes.get(&reference.shape)
    }

    /// The parameters that are plain: where each goes, under which name, and as what.
    fn parameters(&self, input: &Shape) -> Vec<(String, Value)> {
        let parameter = |(name, member): (&String, &Reference)| {
            let shape = self.shape(member)?;
            let special = SPECIAL.contains(&name.as_str())
                || SPECIAL_STARTS.iter().any(|start| name.starts_with(start));
            // The store wants a checksum with these, which older releases make of all bodies, and the shim of none for them.
            let locks = self.release.version < CHECKSUMS_SINCE && name.starts_with("ObjectLock");
            if special || locks {
                return None;
            }
            let is_payload = input.payload.as_ref() == Some(name);
            let kind = scalar(shape);
            let (place, kind) = match (member.location.as_deref(), shape.kind.as_str()) {
                (None, "blob") if is_payload => ("body", "blob"),
                (None, "structure") if is_payload => {
                    let mut names = self.names.borrow_mut();
                    if !shapes::document(self.model, &member.shape, &mut names) {
                        return None;
                    }
                    ("document", &*member.shape)
                }
                (Some("header"), _) if name == "CopySource" => ("header", "source"),
                (Some("headers"), "map") => ("headers", "map"),
                (Some(place @ ("header" | "uri" | "querystring")), _) => {
                    (place, kind.filter(|kind| *kind != "timestamp")?)
                }
                _ => return None,
            };
            let wire = member.location_name.as_deref().unwrap_or(name);
            Some((name.clone(), texts(&[place, wire, kind])))
        };
        input.members.iter().filter_map(parameter).collect()
    }

    /// The members of a result that are headers, by the header's name: place in the model's order, name, and kind.
    fn members(&self, output: &Shape) -> Option<Vec<(String, Value)>> {
        let mut members = Vec::new();
        for (index, (name, member)) in output.members.iter().enumerate() {
            if member.location.as_deref() != Some("header") || name == "Expires" {
                continue;
            }
            let kind = scalar(self.shape(member)?)?;
            let header = member.location_name.as_deref().unwrap_or(name);
            let place = Value::Int(i32::try_from(index).ok()?);
            let value = Value::Tuple(vec![place, Value::text(&**name), Value::text(kind)]);
            members.push((header.to_ascii_lowercase(), value));
        }
        Some(members)
    }

    /// The name of the member that is a stream, or the shape of the document: of one member, if that is all of it.
    fn payload(&self, output: &Shape) -> Option<(Value, Value)> {
        if let Some(payload) = &output.payload {
            let member = output.members.get(payload)?;
            let shape = self.shape(member)?;
            return match shape.kind.as_str() {
                "blob" => Some((Value::text(&**payload), Value::None)),
                "structure" => Some((Value::None, self.structure(shape, 0)?)),
                _ => None,
            };
        }
        let in_body = |(_, member): &(&String, &Reference)| member.location.is_none();
        if !output.members.iter().any(|member| in_body(&member)) {
            return Some((Value::None, Value::None));
        }
        Some((Value::None, self.structure(output, 0)?))
    }

    /// The shape of a structure in a document: each member's name, element, kind, what it is made of, and whether its
    /// list has no element of its own.
    fn structure(&self, shape: &Shape, depth: u32) -> Option<Value> {
        let members = shape
            .members
            .iter()
            .filter(|(_, member)| member.location.is_none());
        let members = members.map(|(name, member)| {
            let inner = self.shape(member)?;
            let is_flat = inner.kind == "list" && inner.flattened;
            let element = match &inner.member {
                // A flattened list's items may be named by the list's own member.
                Some(item) if is_flat => item
                    .location_name
                    .as_deref()
                    .or(member.location_name.as_deref()),
                _ => member.location_name.as_deref(),
            };
            let (kind, inside) = self.node(inner, depth + 1)?;
            let flat = if is_flat {
                Value::Bool(true)
            } else {
                Value::None
            };
            let element = Value::text(element.unwrap_or(name));
            Some(Value::Tuple(vec![
                Value::text(&**name),
                element,
                Value::text(kind),
                inside,
                flat,
            ]))
        });
        if shape.members.values().any(|member| member.xml_attribute) {
            return None;
        }
        Some(Value::Tuple(members.collect::<Option<_>>()?))
    }

    /// The kind of a part of a document, and what it is made of.
    fn node(&self, shape: &Shape, depth: u32) -> Option<(&'static str, Value)> {
        self.left.set(self.left.get().checked_sub(1)?);
        if depth > DEPTH_MAX {
            return None;
        }
        match shape.kind.as_str() {
            "structure" => Some(("structure", self.structure(shape, depth)?)),
            "list" => {
                let member = shape.member.as_ref()?;
                let (kind, inside) = self.node(self.shape(member)?, depth + 1)?;
                let name = member.location_name.as_deref().unwrap_or("member");
                Some((
                    "list",
                    Value::Tuple(vec![Value::text(kind), inside, Value::text(name)]),
                ))
            }
            _ => Some((scalar(shape)?, Value::None)),
        }
    }
}

/// What a shape without parts is to Python; None if it has parts, or a form that the shim does not read.
fn scalar(shape: &Shape) -> Option<&'static str> {
    match shape.kind.as_str() {
        "string" | "character" => Some("string"),
        "integer" | "long" => Some("integer"),
        "boolean" => Some("boolean"),
        "timestamp" => Some("timestamp"),
        _ => None,
    }
}

/// The member that is the answer's status: place, name.
fn status(output: &Shape) -> Value {
    let mut members = output.members.iter().enumerate();
    let found = members.find(|(_, (_, member))| member.location.as_deref() == Some("statusCode"));
    found.map_or(Value::None, |(index, (name, _))| {
        let place = i32::try_from(index).unwrap_or(i32::MAX);
        Value::Tuple(vec![Value::Int(place), Value::text(&**name)])
    })
}

/// The member that collects headers with a prefix: place, name, prefix.
fn prefixed(output: &Shape) -> Value {
    let members = output.members.iter().enumerate();
    let mut prefixed =
        members.filter(|(_, (_, member))| member.location.as_deref() == Some("headers"));
    prefixed
        .next()
        .map_or(Value::None, |(index, (name, member))| {
            let prefix = member.location_name.as_deref().unwrap_or_default();
            Value::Tuple(vec![
                Value::Int(i32::try_from(index).unwrap_or(i32::MAX)),
                Value::text(&**name),
                Value::text(prefix.to_ascii_lowercase()),
            ])
        })
}

fn texts(texts: &[&str]) -> Value {
    Value::Tuple(texts.iter().copied().map(Value::text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether an operation whose result is the shape A gets into the table.
    fn is_in(shapes: &str) -> bool {
        let operation = |name: &str| {
            format!(
                r#""{name}": {{"name": "{name}", "http": {{"method": "GET", "requestUri": "/"}}, "output": {{"shape": "A"}}}}"#
            )
        };
        let operations: Vec<String> = operations::of("s3")
            .iter()
            .map(|entry| operation(entry.name))
            .collect();
        let text = format!(
            r#"{{"metadata": {{"endpointPrefix": "s3", "protocol": "rest-xml"}}, "operations": {{{}}}, "shapes": {shapes}}}"#,
            operations.join(",")
        );
        let model = serde_json::from_str(&text).expect("a model");
        let release = Release::of("__version__ = '1.40.0'", "").expect("a version");
        let table = of("s3", &model, &release);
        let Value::Dict(pairs) = table else {
            panic!("no dictionary");
        };
        let operations = pairs.into_iter().find(|(name, _)| name == "operations");
        !matches!(operations, Some((_, Value::Dict(operations))) if operations.is_empty())
    }

    #[test]
    fn shapes_without_end_are_left_out() {
        let plain = r#"{"A": {"type": "structure", "members": {"x": {"shape": "T"}}}, "T": {"type": "string"}}"#;
        assert!(is_in(plain));
        assert!(!is_in(
            r#"{"A": {"type": "structure", "members": {"x": {"shape": "A"}}}}"#
        ));
        let list = r#"{"A": {"type": "structure", "members": {"x": {"shape": "L"}}}, "L": {"type": "list", "member": {"shape": "L"}}}"#;
        assert!(!is_in(list));
        let doubling = |level: u32| {
            let next = level + 1;
            format!(
                r#""A{level}": {{"type": "structure", "members": {{"x": {{"shape": "A{next}"}}, "y": {{"shape": "A{next}"}}}}}}"#
            )
        };
        let levels: Vec<String> = (1..40).map(doubling).collect();
        let start = r#""A": {"type": "structure", "members": {"x": {"shape": "A1"}}}"#;
        assert!(!is_in(&format!("{{{start},{}}}", levels.join(","))));
    }

    #[test]
    fn a_release_is_read_from_its_sources() {
        let init = "import os\n\n__version__ = '1.36.2'\n";
        let old = Release::of(init, "class StreamingBody(IOBase):\n    def read(self):\n")
            .expect("a version");
        assert_eq!((old.version, old.body.len()), (Version([1, 36, 2]), 0));
        assert!(old.version >= CHECKSUMS_SINCE && Version([1, 35, 99]) < CHECKSUMS_SINCE);
        let new = Release::of(init, "    def readinto(self, b):\n").expect("a version");
        assert_eq!(new.body, ["readinto"]);
        assert!(Release::of("__version__ = 'dev'", "").is_none());
        assert!(Release::of("", "").is_none());
    }
}
