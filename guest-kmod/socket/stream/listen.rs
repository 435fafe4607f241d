// SPDX-License-Identifier: GPL-2.0-only
//! `listen()` and `accept()`.

use kernel::{prelude::*, sync::Arc};

use super::endpoint::Endpoint;
use super::{Progress, State, Stream};
use crate::ffi::Sock;
use crate::local::listener::Listener;
use crate::local::ports::{Binding, Protocol, Scope};
use crate::local::route;
use crate::proto::Family;
use crate::socket::{reuse, Shut};

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
            if let Some(listener) = &state.listener {
                listener.set_backlog(backlog);
                return Ok(());
            }
            state.options.only_v6()
        };
        let listener = Listener::new(self.family, backlog, sk.waker())?;
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
        let mut state = self.state.lock();
        if fresh.is_some() {
            state.binding = fresh;
        }
        if let Some(binding) = &state.binding {
            binding.listen(listener.clone(), reuse(sk))?;
        }
        state.listener = Some(listener);
        sk.set_listening(true);
        Ok(())
    }

    /// `accept()`: the socket of the oldest connection, once there is one.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the socket does not listen, or stops to; `EAGAIN`, `EINTR` or `ERESTARTSYS` if waiting ends without one.
    pub(in crate::socket) fn accept(&self, sk: &Sock, nonblock: bool) -> Result<Accepted> {
        let listener = self.listener().ok_or(EINVAL)?;
        let mut timeout = sk.receive_timeout(nonblock);
        let endpoint = loop {
            match listener.accept() {
                Err(error) if error == EAGAIN => {}
                outcome => break outcome?,
            }
            timeout = sk.wait_exclusive(timeout, || listener.is_settled())?;
        };
        let local = endpoint.state.lock().conn.local();
        let binding = Binding::accepted(
            Protocol::Tcp,
            route::canonical(local.ip),
            local.port,
            reuse(sk),
        );
        let keeps_ip = self.state.lock().keeps_ip;
        let state = State {
            progress: Progress::Connected,
            endpoint: Some(endpoint.clone()),
            binding: binding.ok(),
            keeps_ip: keeps_ip.map(|_| route::canonical(local.ip)),
            options: self.with_options(|options| options.clone()),
            ..State::default()
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

    /// Whether `accept()` would find a connection.
    pub(in crate::socket) fn has_incoming(&self) -> bool {
        self.listener()
            .is_some_and(|listener| listener.has_ready())
    }

    /// Stops listening, if the socket does. It keeps its address.
    pub(super) fn unlisten(&self, sk: &Sock) -> bool {
        let listener = {
            let mut state = self.state.lock();
            let listener = state.listener.take();
            if let (Some(_), Some(binding)) = (&listener, &state.binding) {
                binding.unlisten();
            }
            let binding = listener.as_ref().and_then(|_| {
                state.shut = Shut::default();
                state.give_up_port()
            });
            drop(state);
            drop(binding);
            listener
        };
        let Some(listener) = listener else {
            return false;
        };
        sk.set_listening(false);
        listener.close();
        sk.waker().wake(0);
        true
    }
}

/// A connection that was accepted, and its socket, which has no `struct sock` yet.
pub(in crate::socket) struct Accepted {
    pub(in crate::socket) stream: Pin<KBox<Stream>>,
    pub(in crate::socket) endpoint: Arc<Endpoint>,
}
