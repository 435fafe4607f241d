// SPDX-License-Identifier: Apache-2.0
//! A guest in user space: memory, a VMM's half of vhost-user, and a driver after docs/virtio-nexus.md.

pub(crate) mod queue;
pub(crate) mod socket;
pub(crate) mod wire;

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use nexus_backend::service::Services;
use nexus_backend::session::{Limits, Session, SessionEnd};
use nexus_backend::sockets::{EndpointPolicy, PublishedPort};
use nexus_backend::writeback::Writeback;
use nexus_proto::wire::{Event, Message, Request, SocketId, limits};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::runtime::Runtime;

use self::queue::DriverQueue;
use self::socket::GuestSocket;
use self::wire::{Frontend, Memory};

/// How long a test waits for what must happen; only a failure takes that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A VM with its session.
pub(crate) struct Guest {
    pub(crate) session: Session,
    pub(crate) frontend: Frontend,
    pub(crate) memory: Arc<Memory>,
    pub(crate) requests: DriverQueue,
    pub(crate) events: DriverQueue,
    pub(crate) sockets: HashMap<SocketId, GuestSocket>,
    /// All events in the order in which they came.
    pub(crate) log: Vec<Event>,
    free_page: u64,
    runtime: Runtime,
}

/// How a test wants its VM.
pub(crate) struct Setup {
    pub(crate) rules: Vec<String>,
    /// Instead of one of `rules`.
    pub(crate) policy: Option<Arc<EndpointPolicy>>,
    pub(crate) services: Services,
    pub(crate) published: Vec<PublishedPort>,
    pub(crate) writeback: Arc<Writeback>,
    pub(crate) limits: Limits,
    pub(crate) event_buffers: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            rules: vec![format!("{}:*", crate::peer::local_ip())],
            policy: None,
            services: Services::default(),
            published: Vec::new(),
            writeback: Writeback::off(),
            limits: Limits::default(),
            event_buffers: true,
        }
    }
}

impl Setup {
    pub(crate) fn start(self) -> Guest {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let rules = self.rules.iter().map(|rule| rule.parse().unwrap());
        let policy = self
            .policy
            .unwrap_or_else(|| Arc::new(EndpointPolicy::new(rules)));
        let session = {
            let _context = runtime.enter();
            let name = "test".into();
            let (services, published) = (self.services, self.published);
            let (writeback, limits) = (self.writeback, self.limits);
            Session::start(theirs, name, services, policy, published, writeback, limits).unwrap()
        };
        let memory = Arc::new(Memory::new());
        let mut frontend = Frontend::new(ours);
        frontend.negotiate();
        frontend.set_memory(&memory);
        let mut guest = Guest {
            session,
            requests: DriverQueue::new(Arc::clone(&memory), 0x1000),
            events: DriverQueue::new(Arc::clone(&memory), 0x8000),
            frontend,
            memory,
            sockets: HashMap::new(),
            log: Vec::new(),
            free_page: 0x10_0000,
            runtime,
        };
        guest.start_queues(self.event_buffers);
        guest
    }
}

impl Guest {
    pub(crate) fn new() -> Self {
        Setup::default().start()
    }

    /// Gives the queues to the device, as after a reset.
    pub(crate) fn start_queues(&mut self, event_buffers: bool) {
        self.requests.reset();
        self.events.reset();
        self.sockets.clear();
        if event_buffers {
            self.events.fill();
        }
        self.frontend.start(0, &self.requests);
        self.frontend.start(1, &self.events);
    }

    /// Posts a request.
    pub(crate) fn request(&mut self, request: &Request) {
        self.raw_request(&request.encode());
    }

    /// Posts a message that may be none.
    pub(crate) fn raw_request(&mut self, message: &Message) {
        let start = Instant::now();
        while !self.requests.send(message) {
            // The device returns a descriptor as soon as it has read the message.
            assert!(start.elapsed() < PATIENCE, "the request queue stays full");
            std::thread::yield_now();
        }
    }

    /// Takes a run of guest memory, aligned to a page.
    pub(crate) fn allocate(&mut self, size: u32) -> u64 {
        let address = self.free_page;
        self.free_page += u64::from(size).next_multiple_of(u64::from(limits::RING_MIN));
        assert!(
            self.free_page <= wire::MEMORY_SIZE,
            "the test's guest has too little memory"
        );
        address
    }

    /// Takes the events that came and offers their buffers again.
    pub(crate) fn take_events(&mut self) {
        while let Some(message) = self.events.take() {
            let event = Event::decode(&message).unwrap();
            match event {
                Event::Status { socket, status } => {
                    self.sockets.get_mut(&socket).unwrap().on_status(status);
                }
                // A listener has no rings to keep account of.
                Event::Released { socket } => {
                    if let Some(socket) = self.sockets.get_mut(&socket) {
                        socket.on_released();
                    }
                }
                Event::Incoming { .. } => {}
            }
            self.log.push(event);
        }
    }

    /// Handles events until `done`.
    pub(crate) fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        loop {
            self.take_events();
            if done(self) {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "waited in vain for: {what}");
            if self.events.arm() {
                let mut fds = [PollFd::new(self.events.call.as_fd(), PollFlags::POLLIN)];
                if poll(&mut fds, PollTimeout::from(100u8)).unwrap() > 0 {
                    self.events.acknowledge();
                }
            }
        }
    }

    /// How the session ended, if it has.
    pub(crate) fn end_now(&self) -> Option<SessionEnd> {
        let ended = std::pin::pin!(self.session.ended());
        match ended.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(end) => Some(end),
            Poll::Pending => None,
        }
    }

    /// How the session ends.
    pub(crate) fn ended(&self) -> SessionEnd {
        self.runtime.block_on(async {
            tokio::time::timeout(PATIENCE, self.session.ended())
                .await
                .expect("the session goes on")
        })
    }
}
