// SPDX-License-Identifier: GPL-2.0-only
//! Whoever has an id of the device: an endpoint, or a listener.

use crate::proto::{Address, Request, SocketId, Status};
use kernel::prelude::*;

use super::queue::RequestQueue;

/// What a member has yet to tell the device: marks, of which requests are made when there is room for them.
pub(crate) trait News {
    /// Whether there is something to tell.
    fn has_news(&self) -> bool;

    /// The next request, which counts as sent from here on.
    fn next_request(&mut self, id: SocketId) -> Option<Request>;
}

/// Whether a member's news wait for room in the request queue.
#[derive(Clone, Copy)]
pub(crate) struct Waits {
    /// Before.
    pub(crate) before: bool,
    /// Now.
    pub(crate) now: bool,
}

/// A member's place in the table: its id, and whether its news wait.
#[derive(Default)]
pub(crate) struct Place {
    pub(crate) id: SocketId,
    waits: bool,
}

impl Place {
    /// Queues the member's news, as far as there is room.
    pub(crate) fn tell(&mut self, news: &mut impl News, requests: &mut RequestQueue) -> Waits {
        let now = requests.push_news(self.id, news);
        let before = core::mem::replace(&mut self.waits, now);
        Waits { before, now }
    }

    /// Whether its news wait for room.
    pub(crate) fn waits(&self) -> bool {
        self.waits
    }

    /// Its news wait no more. Returns whether they did.
    pub(crate) fn stop_waiting(&mut self) -> bool {
        core::mem::take(&mut self.waits)
    }
}

/// Somebody with an id of the device. Everything here is called under the device's lock, most of it in interrupts.
pub(crate) trait Member: Send + Sync {
    /// Says the id that it has from here on.
    fn set_id(&self, id: SocketId);

    /// Queues its news, as far as there is room.
    fn tell(&self, requests: &mut RequestQueue) -> Waits;

    /// Whether its news wait for room.
    fn waits(&self) -> bool;

    /// Its news wait no more: the id is not its own any longer. Returns whether they did.
    fn stop_waiting(&self) -> bool;

    /// Takes in a status event.
    ///
    /// # Errors
    ///
    /// `EPROTO` for a violation, which it has logged and dealt with.
    fn on_status(&self, status: &Status) -> Result;

    /// Takes in a connection from outside.
    ///
    /// # Errors
    ///
    /// `EPROTO` for a violation, which it has logged and dealt with.
    fn on_incoming(&self, connection: u32, peer: Address) -> Result;

    /// Takes in a released event.
    ///
    /// # Errors
    ///
    /// `EPROTO` if it was not asked for.
    fn on_released(&self) -> Result;

    /// The device cannot be believed any more.
    fn on_violation(&self);

    /// The device was reset.
    fn on_reset(&self);
}
