// SPDX-License-Identifier: Apache-2.0
//! Which objects a function may touch.

use serde::Deserialize;

/// Which objects a function may touch. What no rule allows is denied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketPolicy {
    /// Any rule that allows suffices.
    #[serde(default)]
    pub rules: Vec<BucketRule>,
}

/// Allows access to the objects of some buckets.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketRule {
    /// A bucket's name, in which `*` stands for any characters.
    pub bucket: String,
    /// What keys must start with; empty for all.
    #[serde(default)]
    pub prefix: String,
    /// What may be done with them.
    pub access: Access,
}

/// What may be done with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Get, head, list.
    Read,
    /// Put, copy to, delete, multipart uploads.
    Write,
    /// Both.
    ReadWrite,
}
