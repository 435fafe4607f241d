// SPDX-License-Identifier: Apache-2.0
//! Services behind sockets of a namespace.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

use super::PAUSE;
use crate::service::{Responder, Service};

/// Connections to a service at once; more wait to be accepted. As many as a guest may have sockets.
const CONNECTIONS: usize = 4096;

/// Questions under way at once; more are dropped, as a busy server would.
const QUESTIONS: usize = 64;

/// Longest datagram (RFC 768).
const DATAGRAM_MAX: usize = 65_507;

/// Has `service` answer all connections.
pub(super) async fn accept(listener: TcpListener, service: Arc<dyn Service>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS {
            connections.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are written whole; none has to wait for an acknowledgement of the one before.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection of local mode ended at once");
                }
                connections.spawn(Arc::clone(&service).serve(Box::pin(stream)));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection of local mode");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Has `responder` answer all datagrams.
pub(super) async fn respond(socket: UdpSocket, responder: Arc<dyn Responder>) {
    let mut questions: JoinSet<Option<(SocketAddr, Vec<u8>)>> = JoinSet::new();
    let mut buffer = vec![0; DATAGRAM_MAX];
    loop {
        tokio::select! {
            Some(answer) = questions.join_next() => {
                // A service that panicked gives no answer; one that cannot be sent is lost, as datagrams are.
                if let Ok(Some((asker, answer))) = answer
                    && let Err(error) = socket.send_to(&answer, asker).await
                {
                    tracing::debug!(%error, "an answer of local mode is lost");
                }
            }
            question = socket.recv_from(&mut buffer) => match question {
                Ok((length, asker)) if questions.len() < QUESTIONS => {
                    let question = buffer.get(..length).unwrap_or_default().to_vec();
                    let responder = Arc::clone(&responder);
                    questions.spawn(async move { Some((asker, responder.respond(question).await?)) });
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot receive a datagram of local mode");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}
