// SPDX-License-Identifier: Apache-2.0
//! Python's marshal format, in the part of its version 2 that every Python 3 reads (Python/marshal.c).

/// A Python value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Int(i32),
    Text(String),
    Bytes(Vec<u8>),
    Tuple(Vec<Self>),
    Dict(Vec<(String, Self)>),
}

impl Value {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A value in its written form, for whoever reads it when it is needed.
    pub(crate) fn written(value: &Self) -> Self {
        Self::Bytes(write(value))
    }

    /// The text, or None.
    pub(crate) fn maybe(text: Option<&str>) -> Self {
        text.map_or(Self::None, Self::text)
    }
}

/// The bytes that `marshal.loads` makes `value` of.
pub(crate) fn write(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    append(&mut bytes, value);
    bytes
}

fn append(bytes: &mut Vec<u8>, value: &Value) {
    match value {
        Value::None => bytes.push(b'N'),
        Value::Bool(true) => bytes.push(b'T'),
        Value::Bool(false) => bytes.push(b'F'),
        Value::Int(number) => {
            bytes.push(b'i');
            bytes.extend(number.to_le_bytes());
        }
        Value::Text(text) => append_text(bytes, text),
        Value::Bytes(value) => {
            bytes.push(b's');
            append_length(bytes, value.len());
            bytes.extend(value);
        }
        Value::Tuple(values) => {
            bytes.push(b'(');
            append_length(bytes, values.len());
            for value in values {
                append(bytes, value);
            }
        }
        Value::Dict(pairs) => {
            bytes.push(b'{');
            for (key, value) in pairs {
                append_text(bytes, key);
                append(bytes, value);
            }
            bytes.push(b'0');
        }
    }
}

fn append_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.push(b'u');
    append_length(bytes, text.len());
    bytes.extend(text.bytes());
}

/// No table comes near this limit.
fn append_length(bytes: &mut Vec<u8>, length: usize) {
    bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn python_reads_it() {
        let value = Value::Dict(vec![
            (
                "a".into(),
                Value::Tuple(vec![Value::Int(-3), Value::None, Value::Bool(true)]),
            ),
            (
                "ü".into(),
                Value::Dict(vec![
                    ("b".into(), Value::text("c\0")),
                    ("d".into(), Value::Bytes(vec![0, 1])),
                ]),
            ),
        ]);
        let hex: String = write(&value)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let program = format!("import marshal; print(marshal.loads(bytes.fromhex('{hex}')))");
        let output = Command::new("python3")
            .args(["-c", &program])
            .output()
            .expect("python3 runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(
            text.trim(),
            r"{'a': (-3, None, True), 'ü': {'b': 'c\x00', 'd': b'\x00\x01'}}",
            "{output:?}"
        );
    }
}
