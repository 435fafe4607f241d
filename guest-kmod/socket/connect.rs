// SPDX-License-Identifier: GPL-2.0-only
//! `bind()`, `connect()`, `getsockname()`, `getpeername()`, `shutdown()` and `close()`.
//!
//! The order of checks and the error numbers follow `__inet_stream_connect()` and `inet_shutdown()` of
//! `net/ipv4/af_inet.c`.

use kernel::{ffi::c_long, prelude::*, sync::Arc};

use super::addr::{self, Given};
use super::conn::Phase;
use super::endpoint::Endpoint;
use super::{Progress, Socket};
use crate::ffi::Sock;
use crate::proto::Address;
use crate::virtio;

impl Socket {
    /// Takes the address that the socket has anyhow; any other needs the device to bind.
    pub(super) fn bind(&self, bytes: &[u8]) -> Result {
        match addr::read(bytes, self.family)? {
            Given::Unspecified => Err(EAFNOSUPPORT),
            Given::Address(_) if self.state.lock().endpoint.is_some() => Err(EINVAL),
            Given::Address(address) if addr::is_unbound(&address) => Ok(()),
            Given::Address(_) => Err(EADDRNOTAVAIL),
        }
    }

    /// Connects, or reports on a connect that is under way.
    pub(super) fn connect(&self, sk: &Sock, bytes: &[u8], nonblock: bool) -> Result {
        let peer = match addr::read(bytes, self.family)? {
            Given::Unspecified => {
                if let Some(endpoint) = self.endpoint() {
                    self.disconnect(sk, &endpoint);
                }
                return Ok(());
            }
            Given::Address(peer) => peer,
        };
        let (endpoint, pending) = self.start(sk, peer)?;
        let timeout = sk.send_timeout(nonblock);
        if timeout == 0 && pending == EINPROGRESS {
            // As Linux, even if the device was faster: who does not wait hears of the outcome by poll.
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
        let _turn = self.connect_turn.lock();
        {
            let state = self.state.lock();
            if state.progress == Progress::Connected {
                return Err(EISCONN);
            }
            if let Some(endpoint) = &state.endpoint {
                return Ok((endpoint.clone(), EALREADY));
            }
        }
        let device = virtio::current().ok_or(ENETUNREACH)?;
        let endpoint = Endpoint::connect(device, peer, sk.waker())?;
        {
            // Still unconnected: only this function stores an endpoint, and it is this thread's turn.
            let mut state = self.state.lock();
            state.progress = Progress::Connecting;
            state.endpoint = Some(endpoint.clone());
        }
        if endpoint.phase() != Phase::Connecting {
            // Whoever was woken by the device found no endpoint yet.
            sk.waker().wake(0);
        }
        Ok((endpoint, EINPROGRESS))
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

    /// Dissolves this connection, unless somebody else has; the socket can connect again.
    fn disconnect(&self, sk: &Sock, endpoint: &Arc<Endpoint>) {
        {
            let mut state = self.state.lock();
            if !state.has(endpoint) {
                return;
            }
            state.progress = Progress::Unconnected;
            state.endpoint = None;
            // Within the lock, so that it does not set the error of a connection that comes after it.
            endpoint.detach();
        }
        endpoint.close(true);
        // Whoever waits for the old connection finds it over.
        sk.waker().wake(0);
    }

    /// `getsockname()`
    pub(super) fn local_address(&self) -> Address {
        match self.endpoint() {
            Some(endpoint) => endpoint.state.lock().conn.local(),
            None => Address::unspecified(self.family),
        }
    }

    /// `getpeername()`
    pub(super) fn peer_address(&self) -> Result<Address> {
        let endpoint = self.endpoint().ok_or(ENOTCONN)?;
        let state = endpoint.state.lock();
        match state.conn.phase() {
            Phase::Connected => Ok(state.conn.peer()),
            _ => Err(ENOTCONN),
        }
    }

    /// `shutdown()`
    pub(super) fn shutdown(&self, sk: &Sock, read: bool, write: bool) -> Result {
        let endpoint = self.endpoint().ok_or(ENOTCONN)?;
        if endpoint.phase() == Phase::Connecting {
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

    /// `close()` of the last descriptor. Waits only if `SO_LINGER` says so, until the device has sent everything.
    pub(super) fn release(&self, sk: &Sock) {
        let Some(endpoint) = self.state.lock().endpoint.take() else {
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
