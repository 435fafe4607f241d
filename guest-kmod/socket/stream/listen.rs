// SPDX-License-Identifier: GPL-2.0-only
//! `listen()` and `accept()`.

use kernel::{prelude::*, sync::Arc};

use super::arrivals::{Arrival, Arrivals};
use super::buffer::Buffer;
use super::conn::Connection;
use super::endpoint::Endpoint;
use super::{Progress, State, Stream};
use crate::ffi::Sock;
use crate::local::listener::Listener;
use crate::local::ports::{Binding, Protocol, Scope};
use crate::local::route::{self, Spot};
use crate::proto::config::feature;
use crate::proto::Family;
use crate::socket::{reuse, Shut};
use crate::virtio::{self, Device};

impl Stream {
    /// `listen()`. A socket that listens already gets the new backlog only.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the socket is connected, `EADDRINUSE` if another one listens at its address.
    pub(in crate::socket) fn listen(&self, sk: &Sock, backlog: u32) -> Result {
        let _turn = self.setup_turn.lock();
        let only_v6 = {
            let state = self.state.lock();
            if state.progress != Progress::Unconnected {
                return Err(EINVAL);
            }
            if let Some(listener) = state.listener.clone() {
                let arrivals = state.arrivals.clone();
                drop(state);
                listener.set_backlog(backlog);
                if let Some(arrivals) = arrivals {
                    arrivals.set_backlog(backlog);
                }
                return Ok(());
            }
            state.options.only_v6()
        };
        let listener = Listener::new(self.family, backlog, sk.waker())?;
        listener.limit_segments(self.with_options(|options| options.segment_limit()));
        let bound = self.state.lock().binding.is_some();
        let fresh = if bound {
            None
        } else {
            let scope = match (self.state.lock().keeps_ip, self.family) {
                (Some(ip), _) => Scope::One(ip),
                (None, Family::V4) => Scope::Any4,
                (None, Family::V6) => Scope::Any6 { only: only_v6 },
            };
            Some(Binding::new(Protocol::Tcp, scope, 0, reuse(sk))?)
        };
        let spot = {
            let mut state = self.state.lock();
            if fresh.is_some() {
                state.binding = fresh;
            }
            let spot = state.binding.as_ref().map(Binding::spot);
            if let Some(binding) = &state.binding {
                binding.listen(listener.clone(), reuse(sk))?;
            }
            state.listener = Some(listener);
            spot
        };
        sk.set_listening(true);
        if let Some(spot) = spot {
            self.listen_outside(sk, spot, only_v6, backlog);
        }
        Ok(())
    }

    /// Listens to peers outside the guest as well, where they can reach it. Without memory for that, the guest's own can.
    fn listen_outside(&self, sk: &Sock, spot: Spot, only_v6: bool, backlog: u32) {
        let Some(device) = virtio::current() else {
            return;
        };
        let is_within = route::is_loopback(spot.ip) || sk.stays_within();
        if is_within || !device.may_reach(spot.port) {
            return;
        }
        let local = spot.shown_to(self.family);
        match Arrivals::open(device, local, only_v6, backlog, sk.waker()) {
            Ok(arrivals) => self.state.lock().arrivals = Some(arrivals),
            Err(error) => pr_err!("port {}: cannot be reached from outside: {error:?}\n", spot.port),
        }
    }

    /// `accept()`: the socket of the oldest connection, once there is one.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the socket does not listen, or stops to; `EAGAIN`, `EINTR` or `ERESTARTSYS` if waiting ends without one.
    pub(in crate::socket) fn accept(&self, sk: &Sock, nonblock: bool) -> Result<Accepted> {
        let listener = self.listener().ok_or(EINVAL)?;
        let mut timeout = sk.receive_timeout(nonblock);
        let arrivals = self.arrivals();
        let has_arrival = || arrivals.as_ref().is_some_and(|arrivals| arrivals.has_one());
        let endpoint = loop {
            match listener.accept() {
                Err(error) if error == EAGAIN => {}
                outcome => break outcome?,
            }
            if let Some(arrivals) = &arrivals {
                if let Some(arrival) = arrivals.take() {
                    break self.take_in(arrivals, arrival)?;
                }
            }
            timeout =
                sk.wait_exclusive(timeout, || listener.is_settled() || has_arrival())?;
        };
        let local = endpoint.state.lock().conn.local();
        let binding = Binding::accepted(
            Protocol::Tcp,
            route::canonical(local.ip),
            local.port,
            reuse(sk),
        );
        let state = {
            let own = self.state.lock();
            State {
                progress: Progress::Connected,
                endpoint: Some(endpoint.clone()),
                binding: binding.ok(),
                keeps_ip: own.keeps_ip.map(|_| route::canonical(local.ip)),
                options: own.options.clone(),
                told: own.told,
                congestion: own.congestion,
                ..State::default()
            }
        };
        let family = self.family;
        let stream = KBox::pin_init(Stream::with(family, state), GFP_KERNEL);
        match stream {
            Ok(stream) => Ok(Accepted { stream, endpoint }),
            Err(error) => {
                endpoint.close(true);
                Err(error)
            }
        }
    }

    /// The endpoint of a connection from outside.
    ///
    /// # Errors
    ///
    /// As for a connect to outside; the connection still waits.
    fn take_in(&self, arrivals: &Arrivals, arrival: Arrival) -> Result<Arc<Endpoint>> {
        let endpoint = self.open_arrival(arrivals.device(), arrival);
        if endpoint.is_err() {
            arrivals.put_back(arrival);
        }
        endpoint
    }

    fn open_arrival(&self, device: &Arc<Device>, arrival: Arrival) -> Result<Arc<Endpoint>> {
        let own = route::outward(route::family_of(route::canonical(arrival.peer.ip)));
        let port = self.state.lock().binding.as_ref().map_or(0, Binding::port);
        let local = Spot { ip: own, port }.shown_to(self.family);
        let (tx, rx) = device.new_rings()?;
        let Arrival { connection, peer } = arrival;
        let mut conn = Connection::arrived(connection, peer, local, *tx.ring(), *rx.ring());
        conn.limit_segments(self.with_options(|options| options.segment_limit()));
        if device.has(feature::OPTIONS) {
            for (option, value) in self.told_options() {
                conn.set_option(option, value);
            }
        }
        let (tx, rx) = (Buffer::Device(tx), Buffer::Device(rx));
        let endpoint = Endpoint::new(device.clone(), tx, rx, conn, None)?;
        device.enter(endpoint.clone())?;
        Ok(endpoint)
    }

    /// Whether `accept()` would find a connection.
    pub(in crate::socket) fn has_incoming(&self) -> bool {
        let (listener, arrivals) = {
            let state = self.state.lock();
            (state.listener.clone(), state.arrivals.clone())
        };
        listener.is_some_and(|listener| listener.has_ready())
            || arrivals.is_some_and(|arrivals| arrivals.has_one())
    }

    /// Stops listening, if the socket does. It keeps its address.
    pub(super) fn unlisten(&self, sk: &Sock) -> bool {
        let (listener, arrivals) = {
            let mut state = self.state.lock();
            let (listener, arrivals) = (state.listener.take(), state.arrivals.take());
            if let (Some(_), Some(binding)) = (&listener, &state.binding) {
                binding.unlisten();
            }
            let binding = listener.as_ref().and_then(|_| {
                state.shut = Shut::default();
                state.give_up_port()
            });
            drop(state);
            drop(binding);
            (listener, arrivals)
        };
        let Some(listener) = listener else {
            return false;
        };
        sk.set_listening(false);
        listener.close();
        if let Some(arrivals) = arrivals {
            arrivals.close();
        }
        sk.waker().wake(0);
        true
    }
}

/// A connection that was accepted, and its socket, which has no `struct sock` yet.
pub(in crate::socket) struct Accepted {
    pub(in crate::socket) stream: Pin<KBox<Stream>>,
    pub(in crate::socket) endpoint: Arc<Endpoint>,
}
