// SPDX-License-Identifier: Apache-2.0
//! What the SDK shim knows of a service, made of the models of the botocore that an image has.
//!
//! So the image's own SDK decides what a client takes and gives: a parameter or a member of a result that its models do not
//! have, the shim does not have either.
//!
//! - [`model`]: botocore's service models, as far as they are used.
//! - [`operations`]: which operations there are tables of.
//! - [`table`]: a service's table, as `sdk/python/nexus_sdk` reads it.
//! - [`shapes`]: operations that take and give documents.
//! - [`errors`]: what a service's errors are called, and what is in them.
//! - [`marshal`]: the form that Python reads at once.

mod errors;
mod marshal;
mod model;
mod operations;
mod shapes;
mod table;

use std::io::Read as _;

use flate2::read::GzDecoder;

use table::Release;

/// Services that there are tables for: the name for `boto3.client`, and the folder of its model under `data`.
const SERVICES: [(&str, &str); 7] = [
    ("s3", "s3/2006-03-01"),
    ("dynamodb", "dynamodb/2012-08-10"),
    ("lambda", "lambda/2015-03-31"),
    ("secretsmanager", "secretsmanager/2017-10-17"),
    ("sns", "sns/2010-03-31"),
    ("sqs", "sqs/2012-11-05"),
    ("ssm", "ssm/2014-11-06"),
];

/// What tables are made of, in a folder of packages: version, classes, and the models in either form.
pub const FILES: [&str; 16] = [
    "botocore/__init__.py",
    "botocore/response.py",
    "botocore/data/s3/2006-03-01/service-2.json",
    "botocore/data/s3/2006-03-01/service-2.json.gz",
    "botocore/data/dynamodb/2012-08-10/service-2.json",
    "botocore/data/dynamodb/2012-08-10/service-2.json.gz",
    "botocore/data/lambda/2015-03-31/service-2.json",
    "botocore/data/lambda/2015-03-31/service-2.json.gz",
    "botocore/data/secretsmanager/2017-10-17/service-2.json",
    "botocore/data/secretsmanager/2017-10-17/service-2.json.gz",
    "botocore/data/sns/2010-03-31/service-2.json",
    "botocore/data/sns/2010-03-31/service-2.json.gz",
    "botocore/data/sqs/2012-11-05/service-2.json",
    "botocore/data/sqs/2012-11-05/service-2.json.gz",
    "botocore/data/ssm/2014-11-06/service-2.json",
    "botocore/data/ssm/2014-11-06/service-2.json.gz",
];

/// Longest model, in bytes; that of S3 has a million.
const MODEL_MAX: u64 = 16 << 20;

/// Why no table is made.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A file that tables are made of is not there.
    #[error("it has no {0}")]
    NoFile(&'static str),
    /// A file of the sources is no text.
    #[error("{0} is not UTF-8")]
    NotUtf8(&'static str),
    /// The sources do not say which release they are.
    #[error("its version is not known")]
    NoVersion,
    /// There is no model of a service.
    #[error("it has no model of {0}")]
    NoModel(&'static str),
    /// The model is not one.
    #[error("the model of {service} cannot be read: {reason}")]
    Model {
        /// The service.
        service: &'static str,
        /// What is wrong.
        reason: String,
    },
}

/// The tables of a botocore, by service. `read` gives a file of its folder, if it is there.
///
/// # Errors
/// If a file is missing or malformed.
pub fn tables<B: AsRef<[u8]>>(
    read: impl Fn(&str) -> Option<B>,
) -> Result<Vec<(&'static str, Vec<u8>)>, TableError> {
    let text = |name: &'static str| {
        let bytes = read(name).ok_or(TableError::NoFile(name))?;
        let text = std::str::from_utf8(bytes.as_ref()).map_err(|_| TableError::NotUtf8(name))?;
        Ok::<_, TableError>(text.to_owned())
    };
    let release =
        Release::of(&text("__init__.py")?, &text("response.py")?).ok_or(TableError::NoVersion)?;
    let of = |(service, folder): (&'static str, &str)| {
        let model = ["service-2.json.gz", "service-2.json"]
            .iter()
            .find_map(|name| read(&format!("data/{folder}/{name}")));
        match model {
            Some(model) => {
                Some(table(service, model.as_ref(), &release).map(|table| (service, table)))
            }
            // Some images have only the models that they use.
            None if service == "s3" => Some(Err(TableError::NoModel(service))),
            None => None,
        }
    };
    SERVICES.into_iter().filter_map(of).collect()
}

/// The table of a service, of its model (`service-2.json`, or the same compressed by gzip), for a `release` of botocore.
fn table(service: &'static str, model: &[u8], release: &Release) -> Result<Vec<u8>, TableError> {
    let unreadable = |reason: String| TableError::Model { service, reason };
    let mut text = Vec::new();
    let model = if model.starts_with(&[0x1f, 0x8b]) {
        let mut unpacked = GzDecoder::new(model).take(MODEL_MAX + 1);
        unpacked
            .read_to_end(&mut text)
            .map_err(|error| unreadable(error.to_string()))?;
        if text.len() as u64 > MODEL_MAX {
            return Err(unreadable(format!("it has more than {MODEL_MAX} bytes")));
        }
        &text
    } else {
        model
    };
    let model = serde_json::from_slice(model).map_err(|error| unreadable(error.to_string()))?;
    let table = table::of(service, &model, release);
    Ok(marshal::write(&table))
}
