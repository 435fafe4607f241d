// SPDX-License-Identifier: Apache-2.0
//! A client of the daemon's admin API: HTTP/1.1 over a Unix socket, one connection a request.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::Value;
use tokio::net::UnixStream;

/// Why the daemon did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    /// Nobody listens.
    #[error("nexusd does not run: nobody answers at {path}; start it (`nexusd --config FILE`), or name its socket with --socket", path = path.display())]
    NotRunning { path: PathBuf },
    /// The socket is for others.
    #[error("{path} may only be opened by the user that nexusd runs as; become that user", path = path.display())]
    Permission { path: PathBuf },
    /// The connection failed in another way.
    #[error("cannot talk to nexusd at {path}", path = path.display())]
    Connect {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The connection broke.
    #[error("nexusd ended the connection")]
    Broken(#[from] hyper::Error),
    /// The request cannot be written.
    #[error("cannot ask nexusd for this")]
    Request(#[from] http::Error),
    /// It said no, and why.
    #[error("{0}")]
    Refused(String),
    /// It did not turn to the protocol that was asked for.
    #[error(
        "nexusd does not know what it was asked for; are nexus and nexusd from the same build?"
    )]
    Protocol,
    /// It spoke in riddles.
    #[error("nexusd's answer cannot be understood; are nexus and nexusd from the same build?")]
    Answer(#[from] serde_json::Error),
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// A header, if it is there and text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

#[derive(Deserialize)]
struct ErrorBody {
    error: String,
}

/// The daemon, by its socket.
#[derive(Debug)]
pub(crate) struct Admin {
    socket: PathBuf,
}

impl Admin {
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// Asks for JSON.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, AdminError> {
        let answer = self.call(Method::GET, path, Bytes::new()).await?;
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// Writes JSON and gets what it became.
    pub(crate) async fn put(&self, path: &str, value: &Value) -> Result<Value, AdminError> {
        let answer = self
            .call(Method::PUT, path, value.to_string().into())
            .await?;
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// Removes something.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), AdminError> {
        self.call(Method::DELETE, path, Bytes::new())
            .await
            .map(drop)
    }

    /// A request whose failure is the daemon's error.
    async fn call(&self, method: Method, path: &str, body: Bytes) -> Result<Answer, AdminError> {
        let response = self.send(method, path, &[], body).await?;
        collect(accept(response).await?).await
    }

    /// A request whose answer comes in any form.
    pub(crate) async fn raw(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, AdminError> {
        collect(self.send(method, path, headers, body).await?).await
    }

    /// An answer that is read as it comes.
    pub(crate) async fn stream(&self, path: &str) -> Result<Incoming, AdminError> {
        let response = self.send(Method::GET, path, &[], Bytes::new()).await?;
        Ok(accept(response).await?.into_body())
    }

    /// Sends a request that turns into a connection of another protocol; with what nexusd has already said there.
    pub(crate) async fn upgrade(
        &self,
        path: &str,
        protocol: &str,
        body: Bytes,
    ) -> Result<(UnixStream, Bytes), AdminError> {
        let headers = [("upgrade", protocol), ("connection", "upgrade")];
        let response = self.send(Method::POST, path, &headers, body).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            accept(response).await?;
            return Err(AdminError::Protocol);
        }
        let upgraded = hyper::upgrade::on(response).await?;
        let parts = upgraded
            .downcast::<TokioIo<UnixStream>>()
            .map_err(|_| AdminError::Protocol)?;
        Ok((parts.io.into_inner(), parts.read_buf))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<http::Response<Incoming>, AdminError> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|error| self.unreachable(error))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Its end shows at the sender as well.
        tokio::spawn(async move { drop(connection.with_upgrades().await) });
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "nexus");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Ok(sender.send_request(request.body(Full::new(body))?).await?)
    }

    fn unreachable(&self, source: io::Error) -> AdminError {
        let path = self.socket.clone();
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                AdminError::NotRunning { path }
            }
            io::ErrorKind::PermissionDenied => AdminError::Permission { path },
            _ => AdminError::Connect { path, source },
        }
    }
}

/// Turns an error status into the error that the body tells.
async fn accept(
    response: http::Response<Incoming>,
) -> Result<http::Response<Incoming>, AdminError> {
    if response.status().is_success() {
        return Ok(response);
    }
    let answer = collect(response).await?;
    let told = serde_json::from_slice::<ErrorBody>(&answer.body).map(|body| body.error);
    Err(AdminError::Refused(told.unwrap_or_else(|_| {
        format!("nexusd answered {}", answer.status)
    })))
}

async fn collect(response: http::Response<Incoming>) -> Result<Answer, AdminError> {
    let (head, body) = response.into_parts();
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body: body.collect().await?.to_bytes(),
    })
}
