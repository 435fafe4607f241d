// SPDX-License-Identifier: Apache-2.0
//! The variables of a function: what the platform sets, and what a person may not.

use std::collections::BTreeMap;

use nexus_backend::service::{SERVICE_IP, port};

use super::name::{FunctionName, LATEST};
use super::spec::Function;

/// Names that Lambda reserves (developer guide, "Defined runtime environment variables").
const RESERVED: [&str; 19] = [
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
];

/// Most bytes of all names and values together. Lambda's bound.
const TOTAL_MAX: usize = 4096;

/// What stands for a key inside a guest. It says what it is to whoever finds it in a log.
const PLACEHOLDER_KEY_ID: &str = "NEXUSPLACEHOLDER0000";
const PLACEHOLDER_SECRET: &str = "placeholder-the-real-key-is-held-by-the-host";
const PLACEHOLDER_TOKEN: &str = "placeholder";

/// Why a variable cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// The platform sets it.
    #[error("the variable {0} is reserved: the platform sets it")]
    Reserved(String),
    /// Not a name.
    #[error("{0:?} is not a variable name: use a letter, then letters, digits and '_'")]
    Name(String),
    /// The value holds a zero byte.
    #[error("the value of the variable {0} holds a zero byte")]
    Value(String),
    /// Too much.
    #[error("the variables have {0} bytes together, at most {TOTAL_MAX} are possible")]
    Size(usize),
}

/// Checks what a person wants to set.
pub fn check(env: &BTreeMap<String, String>) -> Result<(), EnvironmentError> {
    for (name, value) in env {
        if RESERVED.contains(&name.as_str()) {
            return Err(EnvironmentError::Reserved(name.clone()));
        }
        let mut bytes = name.bytes();
        let starts = bytes
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic());
        if !starts || !bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(EnvironmentError::Name(name.clone()));
        }
        if value.contains('\0') {
            return Err(EnvironmentError::Value(name.clone()));
        }
    }
    let total = env
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if total > TOTAL_MAX {
        Err(EnvironmentError::Size(total))
    } else {
        Ok(())
    }
}

/// What the guest's init sets for the function: the platform's variables, and over them the function's own.
///
/// `_HANDLER` and `LAMBDA_TASK_ROOT` follow from the command and the working directory, which only init knows for an image
/// that keeps its own: it sets them.
pub fn compose(
    name: &FunctionName,
    function: &Function,
    region: &str,
    instance: &str,
) -> BTreeMap<String, String> {
    let memory = function.memory_mib.to_string();
    let runtime_api = format!("{SERVICE_IP}:{}", port::RUNTIME_API);
    let endpoint = format!("http://{SERVICE_IP}");
    let group = format!("/aws/lambda/{name}");
    let mut env: BTreeMap<String, String> = [
        ("AWS_LAMBDA_RUNTIME_API", runtime_api.as_str()),
        ("AWS_LAMBDA_FUNCTION_NAME", name.as_str()),
        ("AWS_LAMBDA_FUNCTION_VERSION", LATEST),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", &group),
        ("AWS_LAMBDA_LOG_STREAM_NAME", instance),
        ("AWS_REGION", region),
        ("AWS_DEFAULT_REGION", region),
        ("AWS_ENDPOINT_URL", &endpoint),
        ("AWS_ACCESS_KEY_ID", PLACEHOLDER_KEY_ID),
        ("AWS_ACCESS_KEY", PLACEHOLDER_KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", PLACEHOLDER_SECRET),
        ("AWS_SECRET_KEY", PLACEHOLDER_SECRET),
        ("AWS_SESSION_TOKEN", PLACEHOLDER_TOKEN),
        // There is no metadata service; SDKs that look for one wait for its silence.
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    env.extend(function.env.clone());
    env
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{EnvironmentError, check};

    fn one(name: &str, value: &str) -> Result<(), EnvironmentError> {
        check(&BTreeMap::from([(name.to_owned(), value.to_owned())]))
    }

    #[test]
    fn reserved_and_malformed_variables_are_refused() {
        assert_eq!(
            one("_HANDLER", "x"),
            Err(EnvironmentError::Reserved("_HANDLER".into()))
        );
        assert_eq!(
            one("AWS_SECRET_ACCESS_KEY", "x"),
            Err(EnvironmentError::Reserved("AWS_SECRET_ACCESS_KEY".into()))
        );
        for name in ["", "1A", "A-B", "A=B", "_X"] {
            assert_eq!(one(name, "x"), Err(EnvironmentError::Name(name.into())));
        }
        assert_eq!(one("A", "x\0y"), Err(EnvironmentError::Value("A".into())));
        assert_eq!(
            one("A", &"x".repeat(4096)),
            Err(EnvironmentError::Size(4097))
        );
        assert_eq!(one("LANG", "C.UTF-8"), Ok(()));
    }
}
