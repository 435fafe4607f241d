// SPDX-License-Identifier: Apache-2.0
//! As much HTTP/1.1 (RFC 9112) as one request on one connection needs.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};

/// Longest status line or header line in bytes, and most header lines.
const MAX_LINE: u64 = 8 << 10;
const MAX_HEADERS: usize = 64;
/// Longest body in bytes. Lambda's environments have 4 KiB, so a boot configuration is far below.
const MAX_BODY: u64 = 1 << 20;

/// A response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// Sends a request and reads the response.
pub(crate) fn exchange(
    stream: &mut (impl Read + Write),
    method: &str,
    path: &str,
    host: &str,
    body: &[u8],
) -> io::Result<Response> {
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend(body);
    stream.write_all(&request)?;
    read_response(&mut BufReader::new(stream))
}

/// Reads a response whose body has a length or ends with the connection.
fn read_response(input: &mut impl BufRead) -> io::Result<Response> {
    let line = read_line(input)?;
    let status = line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1)?.parse().ok())
        .ok_or_else(|| malformed("status line"))?;
    let length = read_headers(input)?;
    let mut body = Vec::new();
    // One byte more than allowed shows that there is more.
    input
        .take(length.unwrap_or(MAX_BODY + 1))
        .read_to_end(&mut body)?;
    match length {
        Some(length) if body.len() as u64 != length => Err(ErrorKind::UnexpectedEof.into()),
        None if body.len() as u64 > MAX_BODY => Err(malformed("body: it is too long")),
        _ => Ok(Response { status, body }),
    }
}

/// Reads the headers; returns the length of the body if they state it.
fn read_headers(input: &mut impl BufRead) -> io::Result<Option<u64>> {
    let mut length = None;
    for _ in 0..MAX_HEADERS {
        let line = read_line(input)?;
        if line.is_empty() {
            return Ok(length);
        }
        let (name, value) = line.split_once(':').ok_or_else(|| malformed("header"))?;
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(malformed("transfer encoding: none is expected"));
        }
        if name.eq_ignore_ascii_case("content-length") {
            let value = value
                .trim()
                .parse()
                .ok()
                .filter(|length| *length <= MAX_BODY);
            length = Some(value.ok_or_else(|| malformed("content length"))?);
        }
    }
    Err(malformed("header: there are too many"))
}

fn read_line(input: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    input.take(MAX_LINE).read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map_err(|_| malformed("header"))
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("malformed HTTP {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> io::Result<Response> {
        read_response(&mut text.as_bytes())
    }

    #[test]
    fn body_with_length() {
        let response =
            read("HTTP/1.1 200 OK\r\ncontent-LENGTH: 2\r\nA: b\r\n\r\n{}rest").expect("read");
        assert_eq!(response.status, 200);
        assert_eq!(response.body, b"{}");
    }

    #[test]
    fn body_until_the_end() {
        let response = read("HTTP/1.0 404 Not Found\n\nno such thing").expect("a response");
        assert_eq!(response.status, 404);
        assert_eq!(response.body, b"no such thing");
    }

    #[test]
    fn truncated_and_malformed_are_errors() {
        for text in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "SMTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 abc OK\r\n\r\n",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn request_is_complete() {
        struct Duplex(Vec<u8>, &'static [u8]);
        impl Write for Duplex {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        impl Read for Duplex {
            fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
                self.1.read(bytes)
            }
        }
        let mut stream = Duplex(Vec::new(), b"HTTP/1.1 204 No Content\r\n\r\n");
        let response = exchange(&mut stream, "POST", "/p", "h:1", b"abc").expect("a response");
        assert_eq!(response.status, 204);
        let request = String::from_utf8(stream.0).expect("text");
        assert!(request.starts_with("POST /p HTTP/1.1\r\nHost: h:1\r\n"));
        assert!(request.ends_with("Content-Length: 3\r\n\r\nabc"));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let mut text = b"HTTP/1.1 200 OK\r\n".to_vec();
            text.extend(&bytes);
            drop(read_response(&mut text.as_slice()));
            drop(read_response(&mut bytes.as_slice()));
        }
    }
}
