// SPDX-License-Identifier: Apache-2.0
//! Processes that must not outlive what started them.

use std::io;
use std::ops::{Deref, DerefMut};
use std::process::{Child, Command};

/// A child process that is killed, and waited for, when this is dropped.
#[derive(Debug)]
pub struct KilledOnDrop(Child);

impl KilledOnDrop {
    /// Starts a program.
    ///
    /// # Errors
    /// Those of [`Command::spawn`].
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        command.spawn().map(Self)
    }
}

impl Deref for KilledOnDrop {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for KilledOnDrop {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        // Both fail only if it has ended already, which is what they are for.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
