// SPDX-License-Identifier: Apache-2.0
//! Scripts of socket calls, and what became of each call: the same script on two kernels shows where they differ.
//!
//! Linux is the model: nobody writes down what a call should do, the kernel under the test runner says it.
//!
//! - [`call`]: a call, and its outcome, both as plain data that travel to a guest and back.
//! - [`world`]: plays a script.
//! - [`scripts`]: scripts that name a behaviour.
//! - [`random`]: scripts for property tests.
//! - `sys`: the system calls.
//!
//! A script never waits: all sockets are non-blocking, and both ends of every connection are in the script. Names of
//! ports are replaced by the order in which they turn up, since kernels choose them at random.

pub mod call;
pub mod random;
pub mod scripts;
mod sys;
pub mod world;

pub use call::{Call, Outcome};
pub use world::play;
