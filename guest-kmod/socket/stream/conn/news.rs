// SPDX-License-Identifier: GPL-2.0-only
//! What the device has yet to be told of a connection: marks, which become messages when there is room for them.

use super::Connection;
use crate::proto::option::OPTIONS;
use crate::proto::{Request, SocketId, SocketOption};

/// What the device has to be told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct News {
    pub(super) open: bool,
    pub(super) connect: bool,
    pub(super) update: bool,
    /// Options by their index, each at its last value.
    pub(super) options: [Option<i32>; OPTIONS.len()],
    /// Whether to abort.
    pub(super) close: Option<bool>,
}

impl Connection {
    /// Whether the device has to be told something.
    pub(crate) fn has_news(&self) -> bool {
        let News {
            open,
            connect,
            update,
            options,
            close,
        } = self.news;
        open || connect || update || close.is_some() || options.iter().any(Option::is_some)
    }

    /// The next message to the device, which counts as sent from here on.
    pub(crate) fn next_request(&mut self, socket: SocketId) -> Option<Request> {
        if core::mem::take(&mut self.news.open) {
            return Some(Request::Open {
                socket,
                family: self.family(),
                kind: self.kind,
                tx: self.tx,
                rx: self.rx,
            });
        }
        if let Some(abort) = self.news.close.filter(|_| !self.news.connect) {
            self.news = News::default();
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
        core::mem::take(&mut self.news.update).then(|| self.update(socket))
    }

    fn update(&mut self, socket: SocketId) -> Request {
        self.tx_told = self.tx_produced;
        self.rx_told = self.rx_consumed;
        let progress = self.progress();
        Request::Update { socket, progress }
    }
}
