// SPDX-License-Identifier: Apache-2.0
//! Where the real key comes from.

use std::path::PathBuf;

use aws_credential_types::provider::SharedCredentialsProvider;

use super::GatewayError;

/// Where the real key comes from.
#[derive(Debug, Clone)]
pub enum CredentialSource {
    /// The AWS SDKs' default chain: environment, profile, web identity, container, instance metadata.
    Chain,
    /// A file that only its owner may read, with `aws_access_key_id`, `aws_secret_access_key` and, optionally,
    /// `aws_session_token`, in INI or TOML.
    File(PathBuf),
}

/// Makes the provider that [`super::Upstream`] signs with.
pub async fn credentials_from(_source: CredentialSource) -> Result<SharedCredentialsProvider, GatewayError> {
    todo!()
}
