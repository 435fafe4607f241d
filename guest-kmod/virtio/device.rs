// SPDX-License-Identifier: GPL-2.0-only
//! The device: its queues and the table of its sockets.
//!
//! Requests are made from an endpoint's state at the moment they are queued, so a queue that was full costs a mark on
//! the endpoint and no memory ("Messages" in the specification). Lock order: see `socket/stream/endpoint.rs`.

use core::ptr::NonNull;
use kernel::{
    new_spinlock_irq,
    prelude::*,
    sync::{Arc, SpinLockIrq},
};

use super::queue::{EventQueue, RequestQueue};
use crate::ffi::raw::Virtqueue;
use crate::module_parameters;
use crate::proto::config::feature;
use crate::proto::{limits, Config, Event, Message, SocketId};
use crate::ring_memory::RingMemory;
use crate::socket::stream::endpoint::{Endpoint, Link};
use crate::table::Table;

/// The two queues of a device.
pub(super) struct Queues {
    requests: RequestQueue,
    events: EventQueue,
}

impl Queues {
    /// # Safety
    ///
    /// Both queues must stay valid, and be used through this value only, until it is dropped; the device must have been
    /// reset by then.
    pub(super) unsafe fn new(
        requests: NonNull<Virtqueue>,
        events: NonNull<Virtqueue>,
    ) -> Result<Self> {
        Ok(Self {
            // SAFETY: The caller promises the same.
            requests: unsafe { RequestQueue::new(requests)? },
            // SAFETY: As above.
            events: unsafe { EventQueue::new(events)? },
        })
    }
}

struct Inner {
    /// `None` before the device is ready and after it was removed.
    queues: Option<Queues>,
    table: Table,
    /// Endpoints that are marked as queued.
    queued: usize,
    /// Id at which the next search for a queued endpoint begins, so that none is passed over for ever.
    cursor: SocketId,
    /// A violation that concerns no single socket was logged.
    complained: bool,
}

/// A virtio-nexus device.
#[pin_data]
pub(crate) struct Device {
    config: Config,
    features: u64,
    #[pin]
    inner: SpinLockIrq<Inner>,
}

impl Device {
    pub(super) fn new(config: Config, features: u64) -> Result<Arc<Self>> {
        let inner = Inner {
            queues: None,
            table: Table::new(config.max_sockets),
            queued: 0,
            cursor: 0,
            complained: false,
        };
        Arc::pin_init(
            pin_init!(Self {
                config,
                features,
                inner <- new_spinlock_irq!(inner, "nexus_device"),
            }),
            GFP_KERNEL,
        )
    }

    /// Whether both sides have this feature.
    pub(crate) fn has(&self, feature: u64) -> bool {
        self.features & feature != 0
    }

    pub(super) fn attach(&self, queues: Queues) {
        self.inner.lock().queues = Some(queues);
    }

    /// Fails all sockets and lets go of the queues. The device must have been reset.
    pub(super) fn detach(&self) {
        let (queues, table) = {
            let mut inner = self.inner.lock();
            inner.queued = 0;
            let empty = Table::new(0);
            (
                inner.queues.take(),
                core::mem::replace(&mut inner.table, empty),
            )
        };
        drop(queues);
        for endpoint in table.iter() {
            endpoint.on_reset();
        }
    }

    /// Rings for a new socket, as large as the module's parameters and the device allow.
    pub(crate) fn new_rings(&self) -> Result<(RingMemory, RingMemory)> {
        let size = |wanted: u32| {
            let size = wanted.clamp(limits::RING_MIN, self.config.max_ring.min(limits::RING_MAX));
            // The largest power of two that is not above it.
            1 << size.ilog2()
        };
        let tx = RingMemory::new(size(module_parameters::tx_ring.value()))?;
        let rx = RingMemory::new(size(module_parameters::rx_ring.value()))?;
        Ok((tx, rx))
    }

    /// Gives the endpoint an id and tells the device.
    pub(crate) fn open(&self, endpoint: &Arc<Endpoint>) -> Result {
        let mut inner = self.inner.lock();
        if inner.queues.is_none() {
            return Err(ENETUNREACH);
        }
        let id = inner.table.insert(endpoint.clone())?;
        endpoint.state.lock().id = id;
        inner.flush(endpoint);
        inner.kick_requests();
        Ok(())
    }

    pub(super) fn kick_events(&self) {
        if let Some(queues) = &mut self.inner.lock().queues {
            queues.events.kick();
        }
    }

    /// The device has returned requests: whoever waits for room gets it.
    pub(super) fn on_requests_returned(&self) {
        let mut inner = self.inner.lock();
        while inner.queued > 0 {
            inner.flush_queued();
            if inner.queued > 0 && inner.arm_requests() {
                break;
            }
        }
        inner.kick_requests();
    }

    /// The device has sent events: takes all that are there.
    pub(super) fn on_events(&self) {
        let mut inner = self.inner.lock();
        while inner.begin_events() {
            while let Some(message) = inner.next_event() {
                inner.on_event(&message);
            }
            if inner.end_events() {
                break;
            }
        }
    }
}

impl Link for Device {
    fn submit(&self, endpoint: &Endpoint) {
        let mut inner = self.inner.lock();
        inner.flush(endpoint);
        inner.kick_requests();
    }

    fn delivers_at_once(&self) -> bool {
        false
    }

    fn takes_options(&self) -> bool {
        self.has(feature::OPTIONS)
    }
}

impl Inner {
    /// Turns callbacks off while events are taken. False: there is no device any more.
    fn begin_events(&mut self) -> bool {
        let Some(queues) = &mut self.queues else {
            return false;
        };
        queues.events.disable_callback();
        true
    }

    /// Turns callbacks on again. False: an event has arrived just now.
    fn end_events(&mut self) -> bool {
        let Some(queues) = &mut self.queues else {
            return true;
        };
        queues.events.kick();
        queues.events.enable_callback()
    }

    fn next_event(&mut self) -> Option<Message> {
        self.queues.as_mut()?.events.pop()
    }

    fn on_event(&mut self, message: &Message) {
        let result = match Event::decode(message) {
            Ok(Event::Status { socket, status }) => match self.table.get(socket) {
                Some(endpoint) => {
                    // The endpoint has logged a violation and failed for it.
                    let _ = endpoint.on_status(&status);
                    return;
                }
                None => Err(socket),
            },
            Ok(Event::Released { socket }) => self.release(socket).ok_or(socket),
            Err(error) => {
                self.complain(format_args!("{error}"));
                return;
            }
        };
        if let Err(socket) = result {
            self.complain(format_args!("socket {socket} is not open"));
        }
    }

    fn release(&mut self, socket: SocketId) -> Option<()> {
        let endpoint = self.table.remove(socket)?;
        if core::mem::take(&mut endpoint.state.lock().queued) {
            self.queued -= 1;
        }
        if endpoint.on_released().is_err() {
            pr_err!("socket {socket}: device violates the protocol: released an open socket\n");
        }
        Some(())
    }

    /// Fails all sockets for an event that names none of them.
    fn complain(&mut self, what: core::fmt::Arguments<'_>) {
        if !core::mem::replace(&mut self.complained, true) {
            pr_err!("device violates the protocol: {what}; all sockets fail\n");
        }
        for endpoint in self.table.iter() {
            endpoint.on_violation();
        }
    }

    /// Queues the endpoint's news, or marks it if there is no room.
    fn flush(&mut self, endpoint: &Endpoint) {
        let Some(queues) = &mut self.queues else {
            return;
        };
        let mut state = endpoint.state.lock();
        while state.conn.has_news() {
            // The callback is armed before the second look, so that a request returned between the two is not missed.
            let room = queues.requests.has_room()
                || (!queues.requests.enable_callback() && queues.requests.has_room());
            if !room {
                if !core::mem::replace(&mut state.queued, true) {
                    self.queued += 1;
                }
                return;
            }
            let id = state.id;
            let Some(request) = state.conn.next_request(id) else {
                break;
            };
            if queues.requests.push(&request.encode()).is_err() {
                // The device is broken; its removal will tell the sockets.
                break;
            }
        }
        if core::mem::take(&mut state.queued) {
            self.queued -= 1;
        }
    }

    /// Gives each marked endpoint its turn, as far as there is room.
    fn flush_queued(&mut self) {
        let end = self.table.end();
        for _ in 0..end {
            let has_room = match &mut self.queues {
                Some(queues) => queues.requests.has_room(),
                None => false,
            };
            if self.queued == 0 || !has_room {
                break;
            }
            let id = self.cursor % end;
            self.cursor = id + 1;
            let Some(endpoint) = self.table.get(id).cloned() else {
                continue;
            };
            let queued = endpoint.state.lock().queued;
            if queued {
                self.flush(&endpoint);
            }
        }
    }

    /// Asks for a callback when a request is returned. False: one was returned just now.
    fn arm_requests(&mut self) -> bool {
        match &mut self.queues {
            Some(queues) => queues.requests.enable_callback(),
            None => true,
        }
    }

    fn kick_requests(&mut self) {
        let idle = self.queued == 0;
        if let Some(queues) = &mut self.queues {
            queues.requests.kick();
            if idle {
                queues.requests.disable_callback();
            }
        }
    }
}
