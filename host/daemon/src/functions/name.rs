// SPDX-License-Identifier: Apache-2.0
//! How clients name a function: a name, a partial ARN or an ARN, each with an optional version or alias.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest name in bytes (Lambda's API model, `FunctionName`).
const NAME_MAX: usize = 64;

/// The account that ARNs name. There are no accounts here; SDKs only want the digits.
const ACCOUNT: &str = "000000000000";

/// The only version there is.
pub const LATEST: &str = "$LATEST";

/// A function's name: 1 to 64 letters, digits, hyphens and underscores. Safe as a file name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FunctionName(String);

/// Why a text names no function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a name.
    #[error("{0:?} is not a function name: use 1 to {NAME_MAX} letters, digits, '-' and '_'")]
    Name(String),
    /// Not a name, a partial ARN or an ARN.
    #[error("{0:?} is neither a function name, nor ACCOUNT:function:NAME, nor a function's ARN")]
    Reference(String),
}

impl FunctionName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The function's ARN in `region`, with `qualifier` if the caller gave one.
    pub fn arn(&self, region: &str, qualifier: Option<&str>) -> String {
        let plain = format!("arn:aws:lambda:{region}:{ACCOUNT}:function:{self}");
        qualifier.map_or_else(|| plain.clone(), |qualifier| format!("{plain}:{qualifier}"))
    }
}

impl FromStr for FunctionName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let fits = (1..=NAME_MAX).contains(&text.len());
        if fits
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        {
            return Ok(Self(text.to_owned()));
        }
        Err(NameError::Name(text.to_owned()))
    }
}

impl TryFrom<String> for FunctionName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<FunctionName> for String {
    fn from(name: FunctionName) -> Self {
        name.0
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a client wrote to name a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The function.
    pub name: FunctionName,
    /// The version or alias, if one was named.
    pub qualifier: Option<String>,
}

impl FromStr for Reference {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = || NameError::Reference(text.to_owned());
        let parts: Vec<&str> = text.split(':').collect();
        let rest = match parts.as_slice() {
            [
                "arn",
                partition,
                "lambda",
                _region,
                account,
                "function",
                rest @ ..,
            ] if partition.starts_with("aws") && is_account(account) => rest,
            [account, "function", rest @ ..] if is_account(account) => rest,
            rest => rest,
        };
        let (name, qualifier) = match rest {
            [name] => (name, None),
            [name, qualifier] if is_qualifier(qualifier) => (name, Some((*qualifier).to_owned())),
            _ => return Err(wrong()),
        };
        Ok(Self {
            name: name.parse().map_err(|_| wrong())?,
            qualifier,
        })
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_qualifier(text: &str) -> bool {
    text == LATEST || text.parse::<FunctionName>().is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{FunctionName, Reference};

    fn reference(text: &str) -> Option<(String, Option<String>)> {
        let reference = text.parse::<Reference>().ok()?;
        Some((reference.name.into(), reference.qualifier))
    }

    #[test]
    fn every_form_of_the_api_model() {
        for text in [
            "thumb-nail_1",
            "123456789012:function:thumb-nail_1",
            "arn:aws:lambda:us-west-2:123456789012:function:thumb-nail_1",
            "arn:aws-cn:lambda:cn-north-1:123456789012:function:thumb-nail_1",
        ] {
            assert_eq!(
                reference(text),
                Some(("thumb-nail_1".into(), None)),
                "{text}"
            );
            let qualified = format!("{text}:$LATEST");
            assert_eq!(
                reference(&qualified),
                Some(("thumb-nail_1".into(), Some("$LATEST".into()))),
                "{qualified}"
            );
            assert_eq!(
                reference(&format!("{text}:v1")),
                Some(("thumb-nail_1".into(), Some("v1".into())))
            );
        }
    }

    #[test]
    fn what_names_no_function() {
        for text in [
            "",
            ":",
            "a:",
            "a:b:c",
            "../etc",
            "a/b",
            "a b",
            "$LATEST",
            "12345:function:f",
            "arn:aws:s3:us-west-2:123456789012:function:f",
            "arn:aws:lambda:us-west-2:123456789012:layer:f",
        ] {
            assert_eq!(reference(text), None, "{text}");
        }
        assert!("x".repeat(64).parse::<FunctionName>().is_ok());
        assert!("x".repeat(65).parse::<FunctionName>().is_err());
    }

    proptest! {
        #[test]
        fn an_arn_leads_back_to_its_name(name in "[a-zA-Z0-9_-]{1,64}", qualifier in proptest::option::of("[a-zA-Z0-9_-]{1,64}")) {
            let function: FunctionName = name.parse().expect("a name");
            let arn = function.arn("eu-west-1", qualifier.as_deref());
            prop_assert_eq!(reference(&arn), Some((name, qualifier)));
        }

        #[test]
        fn nothing_panics_and_names_are_file_names(text in ".{0,80}") {
            if let Some((name, _)) = reference(&text) {
                prop_assert!(!name.contains(['/', '.', '\0']) && !name.is_empty());
            }
        }
    }
}
