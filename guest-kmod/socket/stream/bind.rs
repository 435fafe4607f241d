// SPDX-License-Identifier: GPL-2.0-only
//! `bind()`, and the names of both ends.

use kernel::prelude::*;

use super::conn::Phase;
use super::Stream;
use crate::ffi::Sock;
use crate::local::ports::{Binding, Protocol, Scope};
use crate::local::route;
use crate::proto::{Address, Family, Ip};
use crate::socket::{addr, reuse};

impl Stream {
    /// `bind()`. The order of checks is that of `__inet_bind()` (`net/ipv4/af_inet.c`).
    pub(in crate::socket) fn bind(&self, sk: &Sock, bytes: &[u8]) -> Result {
        let (scope, port) =
            self.with_options(|options| addr::read_scope(bytes, self.family, options))?;
        let _turn = self.setup_turn.lock();
        let stale = {
            let mut state = self.state.lock();
            if !state.is_closed() || state.is_bound() {
                return Err(EINVAL);
            }
            // What a connection held that is over.
            state.give_up_port()
        };
        drop(stale);
        let binding = Binding::new(Protocol::Tcp, scope, port, reuse(sk))?;
        let mut state = self.state.lock();
        state.binding = Some(binding);
        state.keeps_port = port != 0;
        if matches!(scope, Scope::One(Ip::V6(_))) {
            state.options.set_only_v6();
        }
        state.keeps_ip = match scope {
            Scope::One(ip) => Some(ip),
            Scope::Any4 | Scope::Any6 { .. } => None,
        };
        Ok(())
    }

    /// `getsockname()`
    pub(in crate::socket) fn local_address(&self) -> Address {
        let state = self.state.lock();
        let rebound = state.is_bound() && state.is_closed();
        if let Some(endpoint) = state.endpoint.as_ref().filter(|_| !rebound) {
            let local = endpoint.state.lock().conn.local();
            if local.port != 0 {
                return local;
            }
        }
        match &state.binding {
            Some(binding) => binding.spot().shown_to(self.family),
            None => Address {
                ip: state.keeps_ip.map_or(Address::unspecified(self.family).ip, |ip| {
                    route::shown_to(self.family, ip)
                }),
                port: state.last_port,
                flow: 0,
                scope: 0,
            },
        }
    }

    /// `getpeername()`. `accept()` asks with `even_if_over`: it reports an address also if the connection has ended.
    ///
    /// # Errors
    ///
    /// `ENOTCONN` if there is no peer.
    pub(in crate::socket) fn peer_address(&self, even_if_over: bool) -> Result<Address> {
        let endpoint = self.endpoint().ok_or(ENOTCONN)?;
        let state = endpoint.state.lock();
        let connected = state.conn.phase() == Phase::Connected && !state.conn.is_closed();
        if even_if_over || connected {
            Ok(state.conn.peer())
        } else {
            Err(ENOTCONN)
        }
    }

    /// The peer to which a way is known: also while the connection is not established, and when it has failed, until the socket is
    /// bound anew. (Binding to IPv6 does not forget the way.)
    ///
    /// # Errors
    ///
    /// `ENOTCONN` if there is none.
    pub(in crate::socket) fn peer_of_route(&self) -> Result<Address> {
        let state = self.state.lock();
        let rebound = self.family == Family::V4 && state.is_bound() && state.is_closed();
        let endpoint = state.endpoint.as_ref().filter(|_| !rebound).ok_or(ENOTCONN)?;
        let peer = endpoint.state.lock().conn.peer();
        Ok(peer)
    }
}
