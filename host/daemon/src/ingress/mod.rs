// SPDX-License-Identifier: Apache-2.0
//! AWS Lambda's Invoke API (2015-03-31), as `aws lambda invoke` and the SDKs speak it.
//!
//! - [`server`]: the routes and who answers them.
//! - [`request`]: what a client says, checked.
//! - [`invoke`]: the call, and the answer's form.
//! - [`events`]: the queue behind `InvocationType=Event`.
//! - [`error`]: the service's errors in the form that SDKs turn into exceptions.

pub mod error;
pub mod events;
pub mod invoke;
pub mod request;
pub mod server;

pub use error::InvokeError;
pub use server::Ingress;
