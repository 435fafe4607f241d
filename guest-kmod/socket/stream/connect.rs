// SPDX-License-Identifier: GPL-2.0-only
//! `connect()`, `shutdown()` and `close()`.
//!
//! The order of checks and the error numbers follow `__inet_stream_connect()` and `inet_shutdown()` of
//! `net/ipv4/af_inet.c`.

use kernel::{ffi::c_long, prelude::*, sync::Arc};

use super::buffer::Buffer;
use super::conn::{Connection, Phase};
use super::endpoint::Endpoint;
use super::{Progress, Stream};
use crate::ffi::Sock;
use crate::local::pair::{Ends, Pair};
use crate::local::ports::{self, Binding, Protocol, Reuse, Scope};
use crate::local::route::{self, Spot};
use crate::proto::config::feature;
use crate::proto::{Address, Ip};
use crate::socket::addr::{self, Given};
use crate::socket::Shut;
use crate::virtio::{self, Device};

impl Stream {
    /// Connects, or reports on a connect that is under way.
    pub(in crate::socket) fn connect(&self, sk: &Sock, bytes: &[u8], nonblock: bool) -> Result {
        let peer = match addr::read(bytes, self.family)? {
            Given::Unspecified => {
                self.dissolve(sk);
                return Ok(());
            }
            Given::Address(peer) => peer,
        };
        let (endpoint, pending) = self.start(sk, peer)?;
        let timeout = sk.send_timeout(nonblock);
        if timeout == 0 && pending == EINPROGRESS {
            // As Linux, even if the other side was faster: who does not wait hears of the outcome by poll.
            return Err(pending);
        }
        self.await_outcome(sk, &endpoint, timeout, pending)?;
        self.report(sk, &endpoint)
    }

    /// The outcome of a connect that is settled. A failed one leaves the socket unconnected.
    fn report(&self, sk: &Sock, endpoint: &Arc<Endpoint>) -> Result {
        {
            let mut state = self.state.lock();
            if !state.has(endpoint) {
                // Somebody dissolved it meanwhile. The sock's error, if any, is not this connection's.
                return Err(ECONNABORTED);
            }
            if endpoint.phase() == Phase::Connected {
                state.progress = Progress::Connected;
                return Ok(());
            }
        }
        let error = sk.take_error().unwrap_or(ECONNABORTED);
        self.disconnect(sk, endpoint);
        Err(error)
    }

    /// The endpoint to wait for, and the error if its outcome is still open when waiting ends.
    fn start(&self, sk: &Sock, peer: Address) -> Result<(Arc<Endpoint>, Error)> {
        let _turn = self.setup_turn.lock();
        {
            let state = self.state.lock();
            match state.progress {
                Progress::Connected => return Err(EISCONN),
                Progress::Disconnecting => return Err(EINVAL),
                Progress::Unconnected | Progress::Connecting if state.listener.is_some() => {
                    return Err(EISCONN);
                }
                Progress::Unconnected | Progress::Connecting => {}
            }
            if let Some(endpoint) = &state.endpoint {
                return Ok((endpoint.clone(), EALREADY));
            }
        }
        let to = self.reachable(peer.ip)?;
        // An error of an earlier connection is none of this one's (`tcp_connect_init()`).
        let _ = sk.take_error();
        let endpoint = match route::within_guest(to) {
            Some((to, from)) => self.start_within(sk, peer, to, from)?,
            None if sk.stays_within() => return Err(ENETUNREACH),
            None => self.start_without(sk, peer)?,
        };
        if endpoint.phase() != Phase::Connecting {
            // Whoever was woken by the other side found no endpoint yet.
            sk.waker().wake(0);
        }
        Ok((endpoint, EINPROGRESS))
    }

    /// The canonical address to connect to.
    ///
    /// # Errors
    ///
    /// As [`route::meant`], and `ENETUNREACH` for what is not one host, as in `tcp_v4_connect()`.
    fn reachable(&self, ip: Ip) -> Result<Ip> {
        let (only_v6, bound) = {
            let state = self.state.lock();
            (state.options.only_v6(), state.keeps_ip)
        };
        let to = route::meant(ip, self.family, only_v6, bound)?;
        let everybody = route::broadcast(to)?.is_some();
        if route::is_unicast(to) && !everybody {
            Ok(to)
        } else {
            Err(ENETUNREACH)
        }
    }

    /// Starts to connect to a socket of this guest: from `from` to `to`, both canonical.
    fn start_within(
        &self,
        sk: &Sock,
        peer: Address,
        to: Ip,
        from: Ip,
    ) -> Result<Arc<Endpoint>> {
        let (from, fresh) = self.source(from, to)?;
        let listener = ports::listener(to, peer.port);
        // Where nobody listens, it does not matter as what.
        let family = listener
            .as_ref()
            .map_or(self.family, |listener| listener.family());
        let as_seen = |spot: Spot| [self.family, family].map(|family| spot.shown_to(family));
        let to = Spot {
            ip: to,
            port: peer.port,
        };
        let ends = Ends {
            client: as_seen(from),
            server: as_seen(to),
        };
        let shares = sk.shares();
        let server = listener
            .as_ref()
            .and_then(|listener| listener.shares())
            .unwrap_or(shares);
        let new = Pair::new(ends, shares, server, sk.waker())?;
        let wanted = [
            self.with_options(|options| options.segment_limit()),
            listener.as_ref().map_or(0, |listener| listener.segment_limit()),
        ];
        for end in [&new.client, &new.server] {
            let mut state = end.state.lock();
            wanted.iter().for_each(|most| state.conn.limit_segments(*most));
        }
        {
            // Still unconnected: it is this thread's turn.
            let mut state = self.state.lock();
            state.begin(new.client.clone());
            if fresh.is_some() {
                state.binding = fresh;
            }
            let lends = !state.keeps_port;
            if let Some(binding) = &mut state.binding {
                binding.serve(&new.client, lends);
            }
        }
        let offered = match listener {
            Some(listener) => listener.offer(new.server, new.pair.clone()),
            None => Err(ECONNREFUSED),
        };
        if offered.is_err() {
            new.pair.refuse();
        }
        Ok(new.client)
    }

    /// The address to connect from: the one that the socket is bound to, or `from` and a new port, with its binding.
    ///
    /// # Errors
    ///
    /// `ENETUNREACH` if the socket is bound to an address of IPv6 and `to` is none, `EADDRNOTAVAIL` if all ports are in use.
    fn source(&self, from: Ip, to: Ip) -> Result<(Spot, Option<Binding>)> {
        let (chosen, port) = {
            let state = self.state.lock();
            (state.keeps_ip, state.binding.as_ref().map(Binding::port))
        };
        let from = match chosen {
            Some(Ip::V6(_)) if matches!(to, Ip::V4(_)) => return Err(ENETUNREACH),
            Some(ip) => ip,
            None => from,
        };
        if let Some(port) = port {
            return Ok((Spot { ip: from, port }, None));
        }
        let fresh = Binding::new(Protocol::Tcp, Scope::One(from), 0, Reuse::default());
        // When ports run out, connect() says so in other words than bind().
        let fresh = fresh.map_err(|error| match error {
            error if error == EADDRINUSE => EADDRNOTAVAIL,
            error => error,
        })?;
        let port = fresh.port();
        Ok((Spot { ip: from, port }, Some(fresh)))
    }

    /// Starts to connect to somebody outside, by the device.
    fn start_without(&self, sk: &Sock, peer: Address) -> Result<Arc<Endpoint>> {
        let device = virtio::current().ok_or(ENETUNREACH)?;
        let source_port = self.source_port(&device)?;
        let (tx, rx) = device.new_rings()?;
        let mut conn = Connection::new(peer, source_port, *tx.ring(), *rx.ring());
        conn.limit_segments(self.with_options(|options| options.segment_limit()));
        if device.has(feature::OPTIONS) {
            for (option, value) in self.told_options() {
                conn.set_option(option, value);
            }
        }
        let (tx, rx) = (Buffer::Device(tx), Buffer::Device(rx));
        let endpoint = Endpoint::new(device.clone(), tx, rx, conn, Some(sk.waker()))?;
        device.enter(endpoint.clone())?;
        // Still unconnected: it is this thread's turn.
        let mut state = self.state.lock();
        state.begin(endpoint.clone());
        Ok(endpoint)
    }

    /// The port that the user chose, or zero. A port that was chosen for the user is not kept: the host's is as good.
    ///
    /// # Errors
    ///
    /// `EINVAL` from loopback, from which nothing leaves the guest; `EADDRNOTAVAIL` if the device cannot keep a port.
    fn source_port(&self, device: &Device) -> Result<u16> {
        let state = self.state.lock();
        if state.keeps_ip.is_some_and(route::is_loopback) {
            return Err(EINVAL);
        }
        match &state.binding {
            Some(binding) if state.keeps_port && device.has(feature::BIND) => Ok(binding.port()),
            Some(_) if state.keeps_port => Err(EADDRNOTAVAIL),
            _ => Ok(0),
        }
    }

    fn await_outcome(
        &self,
        sk: &Sock,
        endpoint: &Endpoint,
        timeout: c_long,
        pending: Error,
    ) -> Result {
        let settled = || endpoint.phase() != Phase::Connecting;
        match sk.wait_until(timeout, settled) {
            Ok(_) => Ok(()),
            Err(error) if error == EAGAIN => Err(pending),
            Err(error) => Err(error),
        }
    }

    /// A connect to AF_UNSPEC: whatever the socket is, it is nothing any more (`tcp_disconnect()`).
    fn dissolve(&self, sk: &Sock) {
        if !self.unlisten(sk) {
            if let Some(endpoint) = self.endpoint() {
                if !self.state.lock().is_closed() {
                    sk.waker().set_error(ECONNRESET);
                }
                self.disconnect(sk, &endpoint);
            }
        }
        let mut state = self.state.lock();
        state.progress = Progress::Unconnected;
        state.shut = Shut::default();
    }

    /// Dissolves this connection, unless somebody else has; the socket can connect again.
    fn disconnect(&self, sk: &Sock, endpoint: &Arc<Endpoint>) {
        let binding = {
            let mut state = self.state.lock();
            if !state.has(endpoint) {
                return;
            }
            state.progress = Progress::Unconnected;
            state.endpoint = None;
            state.shut = Shut::default();
            // Within the lock, so that it does not set the error of a connection that comes after it.
            endpoint.detach();
            state.last_port = endpoint.state.lock().conn.local().port;
            let served = state.binding.as_ref().is_some_and(Binding::serves);
            served.then(|| state.give_up_port()).flatten()
        };
        drop(binding);
        endpoint.close(true);
        // Whoever waits for the old connection finds it over.
        sk.waker().wake(0);
    }

    /// `shutdown()`
    pub(in crate::socket) fn shutdown(&self, sk: &Sock, read: bool, write: bool) -> Result {
        if self.listener().is_some() {
            if read {
                self.unlisten(sk);
            }
            return Ok(());
        }
        let endpoint = {
            let mut state = self.state.lock();
            let closed = state.is_closed();
            let live = state.endpoint.clone().filter(|_| !closed);
            let connecting = live
                .as_ref()
                .is_some_and(|endpoint| endpoint.phase() == Phase::Connecting);
            if state.progress == Progress::Connecting && !connecting {
                state.progress = if closed {
                    Progress::Disconnecting
                } else {
                    Progress::Connected
                };
            }
            match live {
                Some(endpoint) => endpoint,
                None => {
                    state.shut.read |= read;
                    state.shut.write |= write;
                    drop(state);
                    sk.waker().wake(0);
                    return Err(ENOTCONN);
                }
            }
        };
        if endpoint.phase() == Phase::Connecting {
            sk.waker().set_error(ECONNRESET);
            self.disconnect(sk, &endpoint);
            return Ok(());
        }
        if !endpoint.state.lock().conn.shutdown(read, write) {
            return Err(ENOTCONN);
        }
        endpoint.submit();
        sk.waker().wake(0);
        Ok(())
    }

    /// `close()` of the last descriptor. Waits only if `SO_LINGER` says so, until the other side has everything.
    pub(in crate::socket) fn release(&self, sk: &Sock) {
        self.unlisten(sk);
        let (endpoint, binding) = {
            let mut state = self.state.lock();
            (state.endpoint.take(), state.binding.take())
        };
        drop(binding);
        let Some(endpoint) = endpoint else {
            return;
        };
        let linger = sk.linger();
        endpoint.close(linger == Some(0));
        if let Some(jiffies) = linger.filter(|jiffies| *jiffies > 0) {
            // Time and signals end the wait, not the sending.
            let _ = sk.wait_until(jiffies, || endpoint.phase() == Phase::Released);
        }
        endpoint.detach();
    }
}
