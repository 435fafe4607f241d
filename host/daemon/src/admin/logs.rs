// SPDX-License-Identifier: Apache-2.0
//! What functions print, so far or as it comes.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::error::AdminError;
use super::functions::unknown;
use super::{Admin, typed};
use crate::functions::FunctionName;
use crate::logs::FunctionLog;
use crate::web::{Body, Response};

const TEXT: &str = "text/plain; charset=utf-8";

impl Admin {
    pub(super) fn function_logs(
        &self,
        name: &str,
        query: Option<&str>,
    ) -> Result<Response, AdminError> {
        let name: FunctionName = name.parse()?;
        self.registry.get(&name).ok_or_else(|| unknown(&name))?;
        let log = self.logs.of(&name);
        let follow = query
            .unwrap_or_default()
            .split('&')
            .any(|pair| matches!(pair, "follow" | "follow=true" | "follow=1"));
        if !follow {
            return Ok(typed(TEXT, Body::from(log.read(0).0)));
        }
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(follow_log(log, sender, self.stop.clone()));
        Ok(typed(TEXT, Body::Growing(receiver)))
    }
}

/// Sends what is there and then what comes, until the client goes or the daemon ends. A client that is slower than the
/// function misses what the ring has overwritten.
async fn follow_log(
    log: Arc<FunctionLog>,
    client: mpsc::Sender<Bytes>,
    stop: tokio_util::sync::CancellationToken,
) {
    let mut end = log.watch();
    let mut position = 0;
    loop {
        end.mark_unchanged();
        let (text, next) = log.read(position);
        position = next;
        if !text.is_empty() && client.send(text.into()).await.is_err() {
            return;
        }
        tokio::select! {
            changed = end.changed() => if changed.is_err() { return },
            () = client.closed() => return,
            () = stop.cancelled() => return,
        }
    }
}
