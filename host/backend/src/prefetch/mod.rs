// SPDX-License-Identifier: Apache-2.0
//! Objects that are fetched before a function asks for them: from the moment its event arrives, while its VM is still being
//! started or woken.
//!
//! What was fetched for an invocation serves reads of this invocation only, and none that follows a write to the same key.
//! Whether it is still what the store has is asked when it is read, unless the function's owner says that this does not matter.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::response::Parts;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Reads of an invocation that are remembered.
const READS_MAX: usize = 64;

/// An object, or a range of one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Object {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// The value of the header Range, such as `bytes=0-65535`.
    pub range: Option<String>,
}

/// How much may be here of what was fetched: for one function, or for all.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Semaphore>);

impl Budget {
    /// A budget of `bytes`.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / 1024)))
    }

    /// Room for so many KiB, if there is that much.
    pub(crate) fn room(&self, kibibytes: u32) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_many_owned(kibibytes).ok()
    }
}

/// What was fetched.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) parts: Parts,
    /// Its bytes hold their room for as long as anybody has them.
    pub(crate) body: Bytes,
}

/// Room in the budgets of a function and of the node.
pub(crate) type Room = [OwnedSemaphorePermit; 2];

/// Bytes with their room.
struct Kept {
    bytes: Bytes,
    _room: Room,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Fetched {
    pub(crate) fn new(parts: Parts, body: Bytes, room: Room) -> Self {
        Self {
            parts,
            body: Bytes::from_owner(Kept {
                bytes: body,
                _room: room,
            }),
        }
    }
}

/// One object on its way: nothing yet, or whether it came.
pub(crate) type Arriving = watch::Receiver<Option<Option<Arc<Fetched>>>>;

/// What is fetched for one invocation.
#[derive(Debug)]
pub struct Prefetched {
    /// Whether it is used without asking the store whether it is still the same.
    pub(crate) unasked: bool,
    /// How many objects these were at first.
    fetched: u64,
    objects: Mutex<HashMap<Object, Arriving>>,
}

impl Prefetched {
    pub(crate) fn new(unasked: bool, objects: HashMap<Object, Arriving>) -> Arc<Self> {
        Arc::new(Self {
            unasked,
            fetched: objects.len() as u64,
            objects: Mutex::new(objects),
        })
    }

    /// How many objects the store was asked for.
    pub fn fetched(&self) -> u64 {
        self.fetched
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Object, Arriving>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The inputs of a VM's current invocation.
#[derive(Debug, Default)]
pub struct Inputs(Mutex<Current>);

#[derive(Debug, Default)]
struct Current {
    prefetched: Option<Arc<Prefetched>>,
    asking: bool,
    report: Report,
}

/// What an invocation read.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Objects that it asked for, whole or in part, each once.
    pub reads: Vec<Object>,
    /// Those of them that were there before it asked.
    pub used: HashSet<Object>,
}

impl Inputs {
    /// An invocation begins, for which something may be fetched. With `asking`, the store is asked in any case, since the VM
    /// has writes under way that the fetch may have overtaken.
    pub fn begin(&self, prefetched: Option<Arc<Prefetched>>, asking: bool) {
        *self.lock() = Current {
            prefetched,
            asking,
            ..Current::default()
        };
    }

    /// The invocation is over; says what it read.
    pub fn end(&self) -> Report {
        std::mem::take(&mut *self.lock()).report
    }

    /// The function asks for an object; what was fetched of it, and whether that need not be compared with the store.
    pub(crate) fn read(&self, object: &Object) -> Option<(Arriving, bool)> {
        let mut current = self.lock();
        let reads = &mut current.report.reads;
        if reads.len() < READS_MAX && !reads.contains(object) {
            reads.push(object.clone());
        }
        let prefetched = current.prefetched.as_ref()?;
        let arriving = prefetched.lock().get(object).cloned()?;
        Some((arriving, prefetched.unasked && !current.asking))
    }

    /// What was fetched of an object served a read.
    pub(crate) fn used(&self, object: &Object) {
        self.lock().report.used.insert(object.clone());
    }

    /// The function writes: to one key, or to any.
    pub(crate) fn written(&self, object: Option<(&str, &str)>) {
        let current = self.lock();
        let Some(prefetched) = &current.prefetched else {
            return;
        };
        prefetched.lock().retain(|known, _| match object {
            Some((bucket, key)) => known.bucket != bucket || known.key != key,
            None => false,
        });
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
