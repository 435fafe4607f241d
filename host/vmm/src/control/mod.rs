// SPDX-License-Identifier: Apache-2.0
//! The control channel: a Unix stream socket that carries one JSON object a line, commands in, answers and one event out.

mod channel;
pub mod protocol;

pub(crate) use channel::{Channel, Input};
