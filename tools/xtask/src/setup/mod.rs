// SPDX-License-Identifier: Apache-2.0
//! What has to be on the machine before anything runs. Each part is done once and cached by its inputs.

pub(crate) mod debian;
pub(crate) mod emulator;
pub(crate) mod kernel;
pub(crate) mod lab;
pub(crate) mod node;
mod patches;
pub(crate) mod python;
pub(crate) mod rust;
