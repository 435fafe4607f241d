// SPDX-License-Identifier: Apache-2.0
//! botocore's service models (`botocore/data/*/*/service-2.json`), as far as the shim needs them.

use indexmap::IndexMap;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(crate) struct Model {
    pub(crate) metadata: Metadata,
    pub(crate) operations: IndexMap<String, Operation>,
    pub(crate) shapes: IndexMap<String, Shape>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    pub(crate) endpoint_prefix: String,
    pub(crate) signing_name: Option<String>,
    pub(crate) service_id: Option<String>,
    #[serde(default)]
    pub(crate) protocol: String,
    pub(crate) json_version: Option<String>,
    pub(crate) target_prefix: Option<String>,
    pub(crate) api_version: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Operation {
    pub(crate) name: String,
    pub(crate) http: Http,
    pub(crate) input: Option<Reference>,
    pub(crate) output: Option<Reference>,
    #[serde(default)]
    pub(crate) errors: Vec<Reference>,
    pub(crate) http_checksum: Option<HttpChecksum>,
    /// What is to come before the endpoint's name.
    pub(crate) endpoint: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Http {
    pub(crate) method: String,
    pub(crate) request_uri: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "they are the model's")]
pub(crate) struct HttpChecksum {
    pub(crate) request_validation_mode_member: Option<String>,
    pub(crate) request_algorithm_member: Option<String>,
    #[serde(default)]
    pub(crate) request_checksum_required: bool,
}

/// A use of a shape, as a member or otherwise.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reference {
    pub(crate) shape: String,
    pub(crate) location: Option<String>,
    pub(crate) location_name: Option<String>,
    #[serde(default)]
    pub(crate) xml_attribute: bool,
    #[serde(default)]
    pub(crate) idempotency_token: bool,
    #[serde(default, rename = "jsonvalue")]
    pub(crate) json_value: bool,
    pub(crate) result_wrapper: Option<String>,
    pub(crate) timestamp_format: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "they are the model's")]
pub(crate) struct Shape {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) members: IndexMap<String, Reference>,
    #[serde(default)]
    pub(crate) required: Vec<String>,
    pub(crate) payload: Option<String>,
    pub(crate) member: Option<Reference>,
    pub(crate) key: Option<Reference>,
    pub(crate) value: Option<Reference>,
    /// Of a number, or of the length of anything else.
    pub(crate) min: Option<f64>,
    #[serde(default)]
    pub(crate) union: bool,
    #[serde(default)]
    pub(crate) document: bool,
    #[serde(default)]
    pub(crate) eventstream: bool,
    pub(crate) timestamp_format: Option<String>,
    #[serde(default)]
    pub(crate) flattened: bool,
    #[serde(default)]
    pub(crate) exception: bool,
    pub(crate) error: Option<ErrorTrait>,
    /// Of an error after which a call may be made again.
    pub(crate) retryable: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ErrorTrait {
    pub(crate) code: Option<String>,
}
