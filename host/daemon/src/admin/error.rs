// SPDX-License-Identifier: Apache-2.0
//! The admin API's errors.

use http::StatusCode;
use serde_json::json;

use super::json_response;
use crate::functions::{NameError, RegistryError, SpecError};
use crate::web::Response;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum AdminError {
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Internal(String),
}

impl AdminError {
    pub(super) fn response(&self) -> Response {
        let mut response = json_response(&json!({ "error": self.to_string() }));
        *response.status_mut() = match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        response
    }
}

impl From<NameError> for AdminError {
    fn from(error: NameError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<SpecError> for AdminError {
    fn from(error: SpecError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<RegistryError> for AdminError {
    fn from(error: RegistryError) -> Self {
        let cause = std::error::Error::source(&error)
            .map(ToString::to_string)
            .unwrap_or_default();
        Self::Internal(format!("{error}: {cause}"))
    }
}
