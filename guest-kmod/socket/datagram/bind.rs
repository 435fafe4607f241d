// SPDX-License-Identifier: GPL-2.0-only
//! `bind()` and `connect()`, and the names of both ends.

use kernel::prelude::*;

use super::outside::Outside;
use super::{Datagram, Peer};
use crate::ffi::Sock;
use crate::local::ports::{Binding, Protocol, Scope};
use crate::local::route::{self, Spot};
use crate::proto::{Address, Family, Ip};
use crate::socket::addr::{self, Given};
use crate::socket::reuse;
use crate::virtio;

impl Datagram {
    /// `bind()`. The order of checks is that of `__inet_bind()` (`net/ipv4/af_inet.c`).
    pub(in crate::socket) fn bind(&self, sk: &Sock, bytes: &[u8]) -> Result {
        let (scope, port) =
            self.with_options(|options| addr::read_scope(bytes, self.family, options))?;
        let _turn = self.setup_turn.lock();
        if self.state.lock().binding.is_some() {
            return Err(EINVAL);
        }
        self.hold(sk, scope, port)?;
        {
            let mut state = self.state.lock();
            state.keeps_port = port != 0;
            if let Scope::One(ip) = scope {
                state.keeps_ip = Some(ip);
                if matches!(ip, Ip::V6(_)) {
                    state.options.set_only_v6();
                }
            }
        }
        self.listen_outside(sk, Spot { ip: scope.ip(), port });
        Ok(())
    }

    /// Receives from outside the guest as well, where peers there can reach it. Without memory for that, the guest's own can.
    fn listen_outside(&self, sk: &Sock, spot: Spot) {
        let reachable = virtio::current().is_some_and(|device| device.may_reach(spot.port));
        if route::is_loopback(spot.ip) || sk.stays_within() || !reachable {
            return;
        }
        match self.open_outside_within(sk) {
            Ok(outside) => outside.listen(spot.shown_to(self.family)),
            Err(error) => pr_err!("port {}: cannot be reached from outside: {error:?}\n", spot.port),
        }
    }

    /// Binds to any port, unless the socket is bound.
    ///
    /// # Errors
    ///
    /// `EAGAIN` if there is none, as `inet_autobind()` says.
    pub(super) fn autobind(&self, sk: &Sock) -> Result {
        let _turn = self.setup_turn.lock();
        let scope = {
            let mut state = self.state.lock();
            if state.binding.is_some() {
                return Ok(());
            }
            match state.keeps_ip {
                Some(ip) => Scope::One(ip),
                None => self.any(&mut state),
            }
        };
        self.hold(sk, scope, 0).map_err(|_| EAGAIN)
    }

    fn hold(&self, sk: &Sock, scope: Scope, port: u16) -> Result {
        let binding = Binding::new(Protocol::Udp, scope, port, reuse(sk))?;
        self.inbox.attach(sk.waker());
        binding.receive(self.inbox.clone());
        self.state.lock().binding = Some(binding);
        Ok(())
    }

    /// `connect()`: says whom to send to, and takes datagrams from nobody else.
    pub(in crate::socket) fn connect(&self, sk: &Sock, bytes: &[u8]) -> Result {
        let address = match addr::read(bytes, self.family)? {
            Given::Unspecified => {
                self.disconnect();
                return Ok(());
            }
            Given::Address(address) => address,
        };
        self.autobind(sk)?;
        let to = self.meant(&address)?;
        let everybody = route::broadcast(to.ip)?;
        let (ip, from) = match route::within_guest(to.ip) {
            _ if everybody.is_some() && !sk.may_broadcast() => return Err(EACCES),
            _ if route::is_multicast(to.ip) => (to.ip, self.way(0, to.ip)?.1),
            _ if everybody.is_some() => {
                let interface = everybody.unwrap_or(route::LOOPBACK);
                (to.ip, route::address_of(interface, Family::V4))
            }
            Some(within) => within,
            None => {
                self.open_outside(sk)?;
                (to.ip, route::outward(route::family_of(to.ip)))
            }
        };
        let spot = Spot { ip, ..to };
        let _turn = self.setup_turn.lock();
        let mut state = self.state.lock();
        if let Some(binding) = &mut state.binding {
            let source = source(binding.spot().ip, from);
            binding.narrow(Scope::One(source));
            Self::redirect(&mut state.corked, source, spot);
        }
        self.inbox.set_peer(Some(spot));
        state.peer = Some(Peer {
            spot,
            address: spot.shown_to(self.family),
        });
        Ok(())
    }

    /// Opens the way out of the guest, unless it is open.
    ///
    /// # Errors
    ///
    /// As [`Outside::open`], and `ENETUNREACH` for a socket that is bound to `lo`.
    pub(super) fn open_outside(&self, sk: &Sock) -> Result<Outside> {
        if sk.stays_within() {
            return Err(ENETUNREACH);
        }
        let _turn = self.setup_turn.lock();
        self.open_outside_within(sk)
    }

    /// As [`Self::open_outside`], by whoever has the turn.
    fn open_outside_within(&self, sk: &Sock) -> Result<Outside> {
        if let Some(outside) = self.outside() {
            return Ok(outside);
        }
        let outside = Outside::open(sk, self.family)?;
        self.state.lock().outside = Some(outside.clone());
        Ok(outside)
    }

    /// Where datagrams to the address go.
    ///
    /// # Errors
    ///
    /// As [`route::meant`].
    pub(super) fn meant(&self, address: &Address) -> Result<Spot> {
        let state = self.state.lock();
        let bound = state.binding.as_ref().map(|binding| binding.spot().ip);
        let only_v6 = state.options.only_v6();
        Ok(Spot {
            ip: route::meant(address.ip, self.family, only_v6, bound)?,
            port: address.port,
        })
    }

    /// A connect to AF_UNSPEC: what the user did not choose is given up (`__udp_disconnect()`).
    fn disconnect(&self) {
        let _turn = self.setup_turn.lock();
        let mut state = self.state.lock();
        state.peer = None;
        self.inbox.set_peer(None);
        let any = self.any(&mut state);
        let scope = state.keeps_ip.map_or(any, Scope::One);
        let given_up = if state.keeps_port {
            if let Some(binding) = &mut state.binding {
                binding.narrow(scope);
            }
            None
        } else {
            state.binding.take()
        };
        drop(state);
        drop(given_up);
    }

    /// `getsockname()`
    pub(in crate::socket) fn local_address(&self) -> Address {
        let state = self.state.lock();
        match (&state.binding, state.keeps_ip) {
            (Some(binding), _) => binding.spot().shown_to(self.family),
            (None, Some(ip)) => Spot { ip, port: 0 }.shown_to(self.family),
            (None, None) => Address::unspecified(self.family),
        }
    }

    /// `getpeername()`
    ///
    /// # Errors
    ///
    /// `ENOTCONN` if there is no peer.
    pub(in crate::socket) fn peer_address(&self) -> Result<Address> {
        let peer = self.state.lock().peer.ok_or(ENOTCONN)?;
        Ok(peer.address)
    }
}

/// The address to send from: the one that the socket is bound to, else `from`.
///
/// An address of the other family does not keep an IPv6 socket from sending: IPv4 routing then chooses one, or IPv6 routing.
pub(super) fn source(bound: Ip, from: Ip) -> Ip {
    if route::is_unspecified(bound) || route::family_of(bound) != route::family_of(from) {
        from
    } else {
        bound
    }
}
