// SPDX-License-Identifier: Apache-2.0
//! A client that shows exactly what is on the wire: one request, one connection.

use std::collections::HashMap;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// By lower-case name.
    pub(crate) headers: HashMap<String, String>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A header, or "".
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// Sends a request and reads the answer to its end.
pub(crate) async fn request(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    // A chunked body is given with its framing.
    let length = if headers.iter().any(|(name, _)| *name == "Transfer-Encoding") {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    let mut head =
        format!("{method} {path} HTTP/1.1\r\nHost: nexus\r\nConnection: close\r\n{length}");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await.expect("sent");
    // Many clients read no answer before the whole body is sent: a server has to take it, even if it refuses.
    stream.write_all(body).await.expect("the body is sent");
    let mut text = Vec::new();
    stream
        .read_to_end(&mut text)
        .await
        .expect("the answer comes whole");
    parse(&text)
}

fn parse(text: &[u8]) -> Answer {
    let end = text
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("a whole head");
    let head = std::str::from_utf8(&text[..end]).expect("ASCII");
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1)?.parse().ok())
        .expect("a status line");
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    Answer {
        status,
        headers: headers.collect(),
        body: text[end + 4..].to_vec(),
    }
}
