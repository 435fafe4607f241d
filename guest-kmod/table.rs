// SPDX-License-Identifier: GPL-2.0-only
//! Socket ids: which member each id of a device stands for.

use kernel::{prelude::*, sync::Arc};

use crate::proto::SocketId;
use crate::virtio::Member;

/// Members by id, from OPEN to RELEASED.
///
/// # Invariants
///
/// `free` has a capacity of at least `slots.len()`, so giving an id back never allocates.
pub(crate) struct Table {
    slots: KVec<Option<Arc<dyn Member>>>,
    free: KVec<SocketId>,
    limit: u32,
}

impl Table {
    /// A table for at most `limit` sockets. It grows with the ids in use.
    pub(crate) fn new(limit: u32) -> Self {
        // INVARIANT: There are no slots.
        Self {
            slots: KVec::new(),
            free: KVec::new(),
            limit,
        }
    }

    /// Gives the member an id.
    ///
    /// # Errors
    ///
    /// `EADDRNOTAVAIL` if all ids are in use, as TCP says when it has run out of ports; `ENOBUFS` if memory is short.
    pub(crate) fn insert(&mut self, member: Arc<dyn Member>) -> Result<SocketId> {
        if let Some(id) = self.free.pop() {
            if let Some(slot) = self.slots.get_mut(id as usize) {
                *slot = Some(member);
            }
            return Ok(id);
        }
        let id = self.slots.len() as u32;
        if id >= self.limit {
            return Err(EADDRNOTAVAIL);
        }
        // INVARIANT: `free` is empty here, so this makes room for every id, the new one included.
        self.free
            .reserve(self.slots.len() + 1, GFP_ATOMIC)
            .map_err(|_| ENOBUFS)?;
        self.slots
            .push(Some(member), GFP_ATOMIC)
            .map_err(|_| ENOBUFS)?;
        Ok(id)
    }

    /// The member of an id.
    pub(crate) fn get(&self, id: SocketId) -> Option<&Arc<dyn Member>> {
        self.slots.get(id as usize)?.as_ref()
    }

    /// Frees an id.
    pub(crate) fn remove(&mut self, id: SocketId) -> Option<Arc<dyn Member>> {
        let member = self.slots.get_mut(id as usize)?.take()?;
        // Within the capacity, by the type invariants.
        let _ = self.free.push(id, GFP_ATOMIC);
        Some(member)
    }

    /// Number of ids that were ever in use at once; all ids in use are below it.
    pub(crate) fn end(&self) -> SocketId {
        self.slots.len() as u32
    }

    /// All members.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<dyn Member>> {
        self.slots.iter().flatten()
    }
}
