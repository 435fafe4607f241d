// SPDX-License-Identifier: GPL-2.0-only
//! What the device has yet to be told of a connection: marks, which become messages when there is room for them.

use super::Connection;
use crate::proto::option::OPTIONS;
use crate::proto::{Address, Request, SocketId, SocketOption};
use crate::virtio::News;

/// What the device has to be told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks {
    pub(super) open: bool,
    pub(super) connect: bool,
    /// Where a datagram socket is bound that is to receive from outside.
    pub(super) listen: Option<Address>,
    pub(super) update: bool,
    /// Options by their index, each at its last value.
    pub(super) options: [Option<i32>; OPTIONS.len()],
    /// Whether to abort.
    pub(super) close: Option<bool>,
}

impl News for Connection {
    fn has_news(&self) -> bool {
        let Marks {
            open,
            connect,
            listen,
            update,
            options,
            close,
        } = self.news;
        open || connect
            || listen.is_some()
            || update
            || close.is_some()
            || options.iter().any(Option::is_some)
    }

    fn next_request(&mut self, socket: SocketId) -> Option<Request> {
        if core::mem::take(&mut self.news.open) {
            return Some(Request::Open {
                socket,
                family: self.family(),
                kind: self.kind,
                connection: self.arrival,
                tx: self.tx,
                rx: self.rx,
            });
        }
        if let Some(abort) = self.news.close.filter(|_| !self.news.connect) {
            if self.tx_urgent.is_some() && core::mem::take(&mut self.news.update) {
                // CLOSE does not say which byte is urgent.
                return Some(self.update(socket));
            }
            self.news = Marks::default();
            return Some(Request::Close {
                socket,
                tx_produced: self.tx_produced,
                abort,
            });
        }
        for (index, news) in self.news.options.iter_mut().enumerate() {
            if let (Some(option), Some(value)) = (SocketOption::from_index(index), news.take()) {
                return Some(Request::Option {
                    socket,
                    option,
                    value,
                });
            }
        }
        if core::mem::take(&mut self.news.connect) {
            return Some(Request::Connect {
                socket,
                peer: self.peer,
                source_port: self.source_port,
            });
        }
        if let Some(local) = self.news.listen.take() {
            return Some(Request::Listen {
                socket,
                local,
                only_v6: false,
                backlog: 0,
            });
        }
        core::mem::take(&mut self.news.update).then(|| self.update(socket))
    }
}

impl Connection {
    fn update(&mut self, socket: SocketId) -> Request {
        self.tx_told = self.tx_produced;
        self.rx_told = self.rx_consumed;
        let progress = self.progress();
        Request::Update { socket, progress }
    }
}
