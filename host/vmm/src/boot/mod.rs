// SPDX-License-Identifier: Apache-2.0
//! What the guest's kernel finds when it starts: its own image, the PVH start information, the command line and the MP table.

pub mod cmdline;
pub mod mptable;
pub mod pvh;
