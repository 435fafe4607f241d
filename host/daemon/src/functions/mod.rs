// SPDX-License-Identifier: Apache-2.0
//! What is deployed: the functions, how clients name them, and where they are kept.

pub mod environment;
pub mod name;
pub mod outside;
pub mod registry;
pub mod spec;

pub use name::{FunctionName, NameError, Reference};
pub use registry::{Registry, RegistryError};
pub use spec::{
    Access, BucketGrant, Function, Policy, ServiceGrant, SpecError, Stores, WritebackMode,
};
