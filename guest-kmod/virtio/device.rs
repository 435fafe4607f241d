// SPDX-License-Identifier: GPL-2.0-only
//! The device: its queues and the table of its members, which are endpoints and listeners.
//!
//! Requests are made from a member's state at the moment they are queued, so a queue that was full costs a mark on
//! the member and no memory ("Messages" in the specification). Lock order: see `socket/stream/endpoint.rs`.

use core::ptr::NonNull;
use kernel::{
    new_spinlock_irq,
    prelude::*,
    sync::{Arc, SpinLockIrq},
};

use super::member::Member;
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
    /// Members whose news wait for room.
    waiting: usize,
    /// Id at which the next search for one of them begins, so that none is passed over for ever.
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
            waiting: 0,
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
            inner.waiting = 0;
            let empty = Table::new(0);
            (
                inner.queues.take(),
                core::mem::replace(&mut inner.table, empty),
            )
        };
        drop(queues);
        for member in table.iter() {
            member.on_reset();
        }
    }

    /// Rings for a new socket: as large as its share, the module's parameters and the device allow.
    pub(crate) fn new_rings(&self) -> Result<(RingMemory, RingMemory)> {
        let most =
            |wanted: u32| wanted.clamp(limits::RING_MIN, self.config.max_ring.min(limits::RING_MAX));
        let tx = RingMemory::new(most(module_parameters::tx_ring.value()))?;
        let rx = RingMemory::new(most(module_parameters::rx_ring.value()))?;
        Ok((tx, rx))
    }

    /// Whether peers outside can reach a socket with this port.
    pub(crate) fn may_reach(&self, port: u16) -> bool {
        self.has(feature::LISTEN) && self.config.may_reach(port)
    }

    /// Gives the member an id and tells the device of it.
    ///
    /// # Errors
    ///
    /// `ENETUNREACH` if the device is gone, `EADDRNOTAVAIL` if all ids are in use, `ENOBUFS` if memory is short.
    pub(crate) fn enter(&self, member: Arc<dyn Member>) -> Result {
        let mut inner = self.inner.lock();
        if inner.queues.is_none() {
            return Err(ENETUNREACH);
        }
        let id = inner.table.insert(member.clone())?;
        member.set_id(id);
        inner.flush(&*member);
        inner.kick_requests();
        Ok(())
    }

    /// Tells the device a member's news, if there are any.
    pub(crate) fn flush(&self, member: &dyn Member) {
        let mut inner = self.inner.lock();
        inner.flush(member);
        inner.kick_requests();
    }

    pub(super) fn kick_events(&self) {
        if let Some(queues) = &mut self.inner.lock().queues {
            queues.events.kick();
        }
    }

    /// The device has returned requests: whoever waits for room gets it.
    pub(super) fn on_requests_returned(&self) {
        let mut inner = self.inner.lock();
        while inner.waiting > 0 {
            inner.flush_waiting();
            if inner.waiting > 0 && inner.arm_requests() {
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
        self.flush(endpoint);
    }

    fn delivers_at_once(&self) -> bool {
        false
    }

    fn carries_urgent(&self) -> bool {
        self.has(feature::URGENT)
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
        let event = match Event::decode(message) {
            Ok(event) => event,
            Err(error) => {
                self.complain(format_args!("{error}"));
                return;
            }
        };
        let known = match event {
            Event::Released { socket } => self.release(socket).ok_or(socket),
            Event::Status { socket, status } => self.table.get(socket).ok_or(socket).map(|member| {
                // Whoever it is has logged a violation and failed for it.
                let _ = member.on_status(&status);
            }),
            Event::Incoming {
                socket,
                connection,
                peer,
            } => self.table.get(socket).ok_or(socket).map(|member| {
                // As above.
                let _ = member.on_incoming(connection, peer);
            }),
        };
        if let Err(socket) = known {
            self.complain(format_args!("socket {socket} is not open"));
        }
    }

    fn release(&mut self, socket: SocketId) -> Option<()> {
        let member = self.table.remove(socket)?;
        if member.stop_waiting() {
            self.waiting -= 1;
        }
        if member.on_released().is_err() {
            pr_err!("socket {socket}: device violates the protocol: released an open socket\n");
        }
        Some(())
    }

    /// Fails all sockets for an event that names none of them.
    fn complain(&mut self, what: core::fmt::Arguments<'_>) {
        if !core::mem::replace(&mut self.complained, true) {
            pr_err!("device violates the protocol: {what}; all sockets fail\n");
        }
        for member in self.table.iter() {
            member.on_violation();
        }
    }

    /// Queues the member's news, or counts it among those who wait for room.
    fn flush(&mut self, member: &dyn Member) {
        let Some(queues) = &mut self.queues else {
            return;
        };
        let waits = member.tell(&mut queues.requests);
        match (waits.before, waits.now) {
            (false, true) => self.waiting += 1,
            (true, false) => self.waiting -= 1,
            _ => {}
        }
    }

    /// Gives each member that waits its turn, as far as there is room.
    fn flush_waiting(&mut self) {
        let end = self.table.end();
        for _ in 0..end {
            let has_room = match &mut self.queues {
                Some(queues) => queues.requests.has_room(),
                None => false,
            };
            if self.waiting == 0 || !has_room {
                break;
            }
            let id = self.cursor % end;
            self.cursor = id + 1;
            let Some(member) = self.table.get(id).cloned() else {
                continue;
            };
            if member.waits() {
                self.flush(&*member);
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
        let idle = self.waiting == 0;
        if let Some(queues) = &mut self.queues {
            queues.requests.kick();
            if idle {
                queues.requests.disable_callback();
            }
        }
    }
}
