// SPDX-License-Identifier: Apache-2.0
//! Errors of a service: their codes, their classes and what is in their documents.

use std::collections::BTreeSet;

use crate::marshal::Value;
use crate::model::{Model, Operation, Shape};
use crate::shapes;

/// Codes of errors after which botocore makes a call again, in whichever of its ways: `retries/standard.py`, `data/_retry.json`.
pub(crate) const RETRIED: [&str; 17] = [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "ReplicatedWriteConflictException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeout",
    "RequestTimeoutException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
];

/// Code, class and shape of each error, in botocore's order; the shape is empty if it has no members. There is none if botocore
/// has to look at the error: because it is none of these operations', a call is made again after it, or a part of it is not
/// understood. The shapes that the others need are put into `names`.
pub(crate) fn of(model: &Model, operations: &[&Operation], names: &mut BTreeSet<String>) -> Value {
    let expected: BTreeSet<&str> = operations
        .iter()
        .flat_map(|operation| &operation.errors)
        .map(|error| error.shape.as_str())
        .collect();
    // S3's operations have errors that they do not name. After which of them a call is made again, their status and code say.
    let is_s3 = model.metadata.protocol == "rest-xml";
    let errors = model.shapes.iter().filter(|(_, shape)| shape.exception);
    let errors = errors.map(|(name, shape)| {
        let code = code(name, shape);
        let is_final = expected.contains(name.as_str())
            && shape.retryable.is_none()
            && !RETRIED.contains(&code);
        let shape = match (is_final || is_s3, shape.members.is_empty()) {
            (false, _) => Value::None,
            (true, true) => Value::text(""),
            (true, false) => Value::maybe(shapes::document(model, name, names).then_some(&**name)),
        };
        Value::Tuple(vec![Value::text(code), Value::text(&**name), shape])
    });
    Value::Tuple(errors.collect())
}

fn code<'a>(name: &'a str, shape: &'a Shape) -> &'a str {
    let error = shape.error.as_ref();
    error
        .and_then(|error| error.code.as_deref())
        .unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Code, class and shape of each error of a service with one operation.
    fn made(protocol: &str) -> Value {
        let expected = ["Missing", "Named", "Throttling", "Again", "Late"]
            .map(|name| format!(r#"{{"shape": "{name}"}}"#));
        let text = format!(
            r#"{{"metadata": {{"endpointPrefix": "x", "protocol": "{protocol}"}}, "operations": {{"Op": {{"name": "Op",
                "http": {{"method": "POST", "requestUri": "/"}}, "errors": [{}]}}}}, "shapes": {SHAPES}}}"#,
            expected.join(", ")
        );
        let model: Model = serde_json::from_str(&text).expect("a model");
        let mut names = BTreeSet::new();
        let errors = of(&model, &[&model.operations["Op"]], &mut names);
        assert!(names.contains("Missing") && names.contains("S"));
        errors
    }

    fn rows(rows: &[(&str, &str, Option<&str>)]) -> Value {
        let row = |&(code, name, shape): &(&str, &str, Option<&str>)| {
            Value::Tuple(vec![
                Value::text(code),
                Value::text(name),
                Value::maybe(shape),
            ])
        };
        Value::Tuple(rows.iter().map(row).collect())
    }

    const SHAPES: &str = r#"{
        "Missing": {"type": "structure", "members": {"message": {"shape": "S"}}, "exception": true},
        "Named": {"type": "structure", "members": {}, "error": {"code": "Other"}, "exception": true},
        "Elsewhere": {"type": "structure", "members": {}, "exception": true},
        "Throttling": {"type": "structure", "members": {}, "exception": true},
        "Again": {"type": "structure", "members": {}, "exception": true, "retryable": {"throttling": false}},
        "Late": {"type": "structure", "members": {"after": {"shape": "S", "location": "header"}}, "exception": true},
        "S": {"type": "string"}}"#;

    #[test]
    fn only_errors_that_end_a_call_have_shapes() {
        let expected = [
            ("Missing", "Missing", Some("Missing")),
            ("Other", "Named", Some("")),
            ("Elsewhere", "Elsewhere", None),
            ("Throttling", "Throttling", None),
            ("Again", "Again", None),
            ("Late", "Late", None),
        ];
        assert_eq!(made("json"), rows(&expected));
    }

    #[test]
    fn errors_of_s3_are_those_of_all_operations() {
        let expected = [
            ("Missing", "Missing", Some("Missing")),
            ("Other", "Named", Some("")),
            ("Elsewhere", "Elsewhere", Some("")),
            ("Throttling", "Throttling", Some("")),
            ("Again", "Again", Some("")),
            ("Late", "Late", None),
        ];
        assert_eq!(made("rest-xml"), rows(&expected));
    }
}
