// SPDX-License-Identifier: Apache-2.0
//! The cases. One file a behaviour, with both halves: `guest` runs in the function, `host` is the test.

use anyhow::Result;
use serde_json::Value;

use crate::bed::Bed;

mod bulk;
mod churn;
mod connect_errors;
mod data_path;
mod datagrams;
mod driver;
mod function_faults;
mod functions;
mod hostile_guest;
mod inbound;
mod interfaces;
mod kernel_reports;
mod local;
mod many_connections;
mod names;
mod python_image;
mod restart;
mod sdk;
mod sdk_services;
mod secret;
mod slow_reader;
mod socket_model;
mod stream_calls;
mod writeback;

/// A case.
pub(crate) struct Case {
    /// Its name, as test and as event.
    pub(crate) name: &'static str,
    /// What runs in the guest: arguments to result.
    pub(crate) guest: fn(&Value) -> Result<Value>,
    /// What runs on the host.
    pub(crate) host: fn(&Bed) -> Result<()>,
}

/// All cases.
pub(crate) const ALL: &[&Case] = &[
    &stream_calls::CASE,
    &socket_model::CASE,
    &driver::CASE,
    &datagrams::CASE,
    &inbound::CASE,
    &interfaces::CASE,
    &churn::CASE,
    &connect_errors::CASE,
    &data_path::CASE,
    &bulk::CASE,
    &many_connections::CASE,
    &slow_reader::CASE,
    &writeback::CASE,
    &secret::CASE,
    &hostile_guest::CASE,
    &function_faults::CASE,
    &python_image::CASE,
    &sdk::CASE,
    &names::CASE,
    &local::CASE,
    &restart::CASE,
];

/// The case for kernels that look for faults.
pub(crate) const KERNEL_REPORTS: &Case = &kernel_reports::CASE;

/// The cases that take long and run by their names only.
pub(crate) fn by_name() -> impl Iterator<Item = &'static Case> {
    let ours = std::iter::once(&sdk::NODE).chain(sdk_services::CASES);
    ours.chain(functions::CASES.iter().copied())
}

pub(crate) use functions::Needs;

/// The case of this name.
pub(crate) fn find(name: &str) -> Option<&'static Case> {
    let all = ALL.iter().chain([&KERNEL_REPORTS, &&crate::traffic::CASE]);
    let mut all = all.copied().chain(by_name());
    all.find(|case| case.name == name)
}

/// The gateway as a guest reaches it without an SDK: its URL, a client, and the value of `Authorization`, which no key has signed.
fn gateway() -> Result<(String, ureq::Agent, String)> {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    let scope = "Credential=PLACEHOLDER/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00";
    let authorization = format!("AWS4-HMAC-SHA256 {scope}");
    Ok((
        std::env::var("AWS_ENDPOINT_URL")?,
        config.build().into(),
        authorization,
    ))
}

/// The port in a case's arguments.
fn port(arguments: &Value) -> Result<u16> {
    let port = arguments["port"]
        .as_u64()
        .ok_or_else(|| anyhow::anyhow!("no port in {arguments}"))?;
    Ok(u16::try_from(port)?)
}
