// SPDX-License-Identifier: Apache-2.0
//! HTTP/1.1 as the ingress, the admin API and the object store share it: listening, serving, bodies.

pub mod body;
pub mod serve;

pub use body::{Body, TooLarge};
pub use serve::{Handler, serve};

/// A complete answer.
pub type Response = http::Response<Body>;
