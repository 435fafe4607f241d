// SPDX-License-Identifier: Apache-2.0
//! The gate that every vCPU passes before it runs, and at which it waits while the machine is paused.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use super::lock;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Run,
    Pause,
    Stop,
}

#[derive(Debug)]
struct State {
    order: Order,
    running: usize,
}

/// Shared by the vCPU threads and the thread that commands them.
#[derive(Debug)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

impl Gate {
    /// An open gate for `vcpus` threads, which count as running from the start.
    pub(crate) fn new(vcpus: usize) -> Self {
        Self {
            state: Mutex::new(State {
                order: Order::Run,
                running: vcpus,
            }),
            changed: Condvar::new(),
        }
    }

    /// Called by a vCPU that was kicked: waits as long as the machine is paused. False means: end.
    pub(crate) fn pass(&self) -> bool {
        let mut state = lock(&self.state);
        if state.order == Order::Pause {
            state.running -= 1;
            self.changed.notify_all();
            while state.order == Order::Pause {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
            }
            state.running += 1;
        }
        state.order == Order::Run
    }

    /// Called by a vCPU thread that ends.
    pub(crate) fn leave(&self) {
        lock(&self.state).running -= 1;
        self.changed.notify_all();
    }

    /// Closes the gate. The vCPUs have to be kicked afterwards.
    pub(crate) fn close(&self) {
        self.order(Order::Pause);
    }

    /// Opens the gate again.
    pub(crate) fn open(&self) {
        self.order(Order::Run);
    }

    /// Tells all vCPUs to end. They have to be kicked afterwards.
    pub(crate) fn stop(&self) {
        self.order(Order::Stop);
    }

    /// Waits until no vCPU runs. False if that takes longer than `limit`.
    pub(crate) fn wait_for_rest(&self, limit: Duration) -> bool {
        let state = lock(&self.state);
        let (state, _) = self
            .changed
            .wait_timeout_while(state, limit, |state| state.running > 0)
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        state.running == 0
    }

    /// A stop is final: no later order takes it back.
    fn order(&self, order: Order) {
        let mut state = lock(&self.state);
        if state.order != Order::Stop {
            state.order = order;
        }
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn pause_waits_for_all_and_resume_lets_them_go() {
        let gate = Arc::new(Gate::new(2));
        gate.close();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let gate = gate.clone();
                std::thread::spawn(move || gate.pass())
            })
            .collect();
        assert!(gate.wait_for_rest(Duration::from_secs(60)));
        gate.open();
        for thread in threads {
            assert_eq!(thread.join().ok(), Some(true));
        }
        assert_eq!(lock(&gate.state).running, 2);
    }

    #[test]
    fn stop_is_final_and_reaches_paused_vcpus() {
        let gate = Arc::new(Gate::new(1));
        gate.close();
        let waiting = {
            let gate = gate.clone();
            std::thread::spawn(move || gate.pass())
        };
        assert!(gate.wait_for_rest(Duration::from_secs(60)));
        gate.stop();
        gate.open();
        assert_eq!(waiting.join().ok(), Some(false));
        gate.leave();
        assert!(gate.wait_for_rest(Duration::ZERO));
    }
}
