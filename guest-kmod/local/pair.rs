// SPDX-License-Identifier: GPL-2.0-only
//! A connection whose two endpoints are both in the guest.
//!
//! It stands where a device stands for other connections: what one endpoint would tell the device, the other is told as
//! the device's status, at once. So both ends run the state machine that is proven with devices, and everything that
//! Linux does between two sockets of one host follows from a few rules here.
//!
//! The pair's lock is taken as a device's is (3 in the order of `socket/stream/endpoint.rs`), but never in interrupts.

use kernel::{
    new_spinlock,
    prelude::*,
    sync::{Arc, SpinLock},
};

use super::page_ring::PageRing;
use crate::ffi::{Shares, Waker};
use crate::proto::{Address, Progress, Request, Status};
use crate::socket::stream::buffer::Buffer;
use crate::socket::stream::conn::Connection;
use crate::socket::stream::endpoint::{Endpoint, Link};
use crate::virtio::{Member as _, News as _};

/// One end.
struct Side {
    /// `None` once it is closed.
    endpoint: Option<Arc<Endpoint>>,
    local: Address,
    /// What it said last.
    progress: Progress,
}

/// The two ends; the client's is the first.
#[pin_data]
pub(crate) struct Pair {
    #[pin]
    sides: SpinLock<[Side; 2]>,
}

/// The addresses of a connection, each as its owner's family shows it.
#[derive(Clone, Copy)]
pub(crate) struct Ends {
    /// The client's address, as the client sees it and as the listener does.
    pub(crate) client: [Address; 2],
    /// The listener's address, as the client sees it and as the listener does.
    pub(crate) server: [Address; 2],
}

/// A new connection, not established yet.
pub(crate) struct NewPair {
    pub(crate) pair: Arc<Pair>,
    pub(crate) client: Arc<Endpoint>,
    pub(crate) server: Arc<Endpoint>,
}

impl Pair {
    /// Makes both ends, of sockets that give so much to the room for bytes.
    ///
    /// # Errors
    ///
    /// `ENOMEM` or `ENOBUFS` if memory is short.
    pub(crate) fn new(ends: Ends, client: Shares, server: Shares, waker: Waker) -> Result<NewPair> {
        let [client_local, client_seen] = ends.client;
        let [server_seen, server_local] = ends.server;
        let up = PageRing::new(client.to(server))?;
        let down = PageRing::new(server.to(client))?;
        let side = |local| Side {
            endpoint: None,
            local,
            progress: Progress::default(),
        };
        let pair = Arc::pin_init(
            pin_init!(Self {
                sides <- new_spinlock!([side(client_local), side(server_local)], "nexus_pair"),
            }),
            GFP_KERNEL,
        )?;
        let mut conn = Connection::in_guest(server_seen, client_local, *up.ring(), *down.ring());
        conn.share_with(server.receive);
        let client_end = Endpoint::new(
            pair.clone(),
            Buffer::Local(up.clone()),
            Buffer::Local(down.clone()),
            conn,
            Some(waker),
        )?;
        let mut conn = Connection::accepted(client_seen, server_local, *down.ring(), *up.ring());
        conn.share_with(client.receive);
        let (tx, rx) = (Buffer::Local(down), Buffer::Local(up));
        let server_end = Endpoint::new(pair.clone(), tx, rx, conn, None)?;
        {
            let mut sides = pair.sides.lock();
            let [one, other] = &mut *sides;
            one.endpoint = Some(client_end.clone());
            other.endpoint = Some(server_end.clone());
        }
        Ok(NewPair {
            pair,
            client: client_end,
            server: server_end,
        })
    }

    /// Tells the client that it is connected. False: it has given up.
    pub(crate) fn establish(&self) -> bool {
        let sides = self.sides.lock();
        let [client, _] = &*sides;
        let Some(endpoint) = &client.endpoint else {
            return false;
        };
        let status = Status {
            connected: true,
            rx_eof: false,
            error: None,
            rx_produced: 0,
            tx_consumed: 0,
            local: client.local,
        };
        endpoint.on_status(&status).is_ok()
    }

    /// Tells the client that nobody accepts it, and forgets the listener's end.
    pub(crate) fn refuse(&self) {
        let forgotten = {
            let mut sides = self.sides.lock();
            let [client, server] = &mut *sides;
            if let Some(endpoint) = &client.endpoint {
                endpoint.give_up(ECONNREFUSED);
            }
            server.endpoint.take()
        };
        // Only now, without the lock, may it go.
        drop(forgotten);
    }
}

impl Link for Pair {
    fn submit(&self, endpoint: &Endpoint) {
        let mut sides = self.sides.lock();
        let is_this = |side: &Side| {
            side.endpoint
                .as_ref()
                .is_some_and(|other| core::ptr::eq::<Endpoint>(&**other, endpoint))
        };
        let [one, other] = &mut *sides;
        let (own, peer) = if is_this(one) {
            (one, other)
        } else if is_this(other) {
            (other, one)
        } else {
            return;
        };
        loop {
            let (request, progress, urgent) = {
                let mut state = endpoint.state.lock();
                let request = state.conn.next_request(0);
                (request, state.conn.progress(), state.conn.take_tx_urgent())
            };
            if let (Some(at), Some(other)) = (urgent, &peer.endpoint) {
                other.on_urgent(at);
            }
            match request {
                None => return,
                Some(Request::Close { abort, .. }) => {
                    own.progress = progress;
                    own.end(peer, abort);
                    // The caller has a reference, so this is not the last one.
                    own.endpoint = None;
                    let _ = endpoint.on_released();
                    return;
                }
                Some(_) => {
                    let grew = progress.tx_produced > own.progress.tx_produced;
                    own.progress = progress;
                    let unwanted = peer.progress.shut_rd && peer.progress.shut_wr;
                    match &peer.endpoint {
                        Some(other) if grew && unwanted => {
                            // Bytes for a socket that neither reads nor writes: RST to both.
                            other.give_up(ECONNRESET);
                            endpoint.give_up(EPIPE);
                        }
                        Some(_) => own.tell(peer, progress.shut_wr, None),
                        // Bytes for a socket that is closed: RST, in CLOSE_WAIT.
                        None if grew => endpoint.give_up(EPIPE),
                        None => {}
                    }
                }
            }
        }
    }

    fn carries_urgent(&self) -> bool {
        true
    }

    fn delivers_at_once(&self) -> bool {
        true
    }

    fn takes_options(&self) -> bool {
        false
    }
}

impl Side {
    /// Tells the other side how far this one is.
    fn tell(&self, peer: &Side, eof: bool, error: Option<Error>) {
        let Some(endpoint) = &peer.endpoint else {
            return;
        };
        let status = Status {
            connected: true,
            rx_eof: eof,
            error: error.map(|error| error.to_errno().unsigned_abs() as u16),
            rx_produced: self.progress.tx_produced,
            tx_consumed: self.progress.rx_consumed,
            local: peer.local,
        };
        // Positions of an honest state machine are in order.
        let _ = endpoint.on_status(&status);
    }

    /// Tells the other side that this one is gone: by FIN, or by RST, which in CLOSE_WAIT means EPIPE (`tcp_reset()`).
    fn end(&self, peer: &Side, abort: bool) {
        let error = match (abort, self.progress.shut_wr) {
            (false, _) => None,
            (true, false) => Some(ECONNRESET),
            (true, true) => Some(EPIPE),
        };
        let eof = !abort || self.progress.shut_wr;
        self.tell(peer, eof, error);
    }
}
