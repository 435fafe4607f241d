// SPDX-License-Identifier: Apache-2.0
//! Which connections to a service are kept, and for how long, seen by the service.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::*;

/// A service, and the gateway to it with a guest.
async fn service() -> (TcpListener, Arc<Gateway>, Guest) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    // While one waits to be accepted, no other connection is made.
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let gateway = gateway_to(&format!("http://{address}")).await;
    let guest = Guest::connect(&gateway).await;
    (listener, gateway, guest)
}

async fn accept(listener: &TcpListener) -> TcpStream {
    let accepted = timeout(Duration::from_secs(30), listener.accept()).await;
    accepted.expect("a connection").unwrap().0
}

/// Reads a request to the end of its head, and answers it.
async fn answer(stream: &mut TcpStream, answer: &str) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    stream.write_all(answer.as_bytes()).await.unwrap();
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const IN_CHUNKS: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
const EMPTY: &str = "HTTP/1.1 204 No Content\r\n\r\n";

#[tokio::test]
async fn one_connection_serves_calls_that_follow_each_other() {
    let (listener, _, mut guest) = service().await;
    let served = tokio::spawn(async move {
        let mut stream = accept(&listener).await;
        for text in [OK, IN_CHUNKS, EMPTY, OK] {
            answer(&mut stream, text).await;
        }
    });
    for status in [200, 200, 204, 200] {
        assert_eq!(guest.get("/input/a").await.status, status);
    }
    served.await.unwrap();
}

#[tokio::test]
async fn a_connection_that_the_service_closes_is_not_used_again() {
    for first in [
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    ] {
        let (listener, _, mut guest) = service().await;
        let served = tokio::spawn(async move {
            let mut old = accept(&listener).await;
            answer(&mut old, first).await;
            answer(&mut accept(&listener).await, OK).await;
            old.read(&mut [0]).await.unwrap()
        });
        assert_eq!(guest.get("/input/a").await.status, 200);
        assert_eq!(guest.get("/input/a").await.status, 200);
        assert_eq!(served.await.unwrap(), 0, "the gateway closed it");
    }
}

#[tokio::test]
async fn a_connection_whose_request_is_not_over_is_not_used_for_another() {
    let (listener, gateway, mut guest) = service().await;
    let served = tokio::spawn(async move {
        let mut uploading = accept(&listener).await;
        answer(&mut uploading, OK).await;
        answer(&mut accept(&listener).await, OK).await;
        uploading
    });
    let (more, body) = tokio::sync::mpsc::channel(1);
    let body = Given(body).boxed_unsync();
    let put = guest.send(request(Method::PUT, "/out/b", &[], body)).await;
    assert_eq!(put.status, 200, "answered before it was sent");
    let mut other = Guest::connect(&gateway).await;
    assert_eq!(other.get("/input/a").await.status, 200);
    drop((more, served.await.unwrap()));
}

#[tokio::test]
async fn a_connection_that_becomes_free_serves_who_waits_for_a_new_one() {
    let (listener, gateway, mut guest) = service().await;
    let first = tokio::spawn(async move { guest.get("/input/a").await.status });
    let mut stream = accept(&listener).await;
    let _in_the_way = TcpStream::connect(listener.local_addr().unwrap()).await;
    let mut other = Guest::connect(&gateway).await;
    let second = tokio::spawn(async move { other.get("/input/b").await.status });
    tokio::time::sleep(Duration::from_millis(200)).await;
    for _ in 0..2 {
        answer(&mut stream, OK).await;
    }
    let both = async { (first.await.unwrap(), second.await.unwrap()) };
    let both = timeout(Duration::from_secs(30), both).await;
    assert_eq!(both.expect("both are served"), (200, 200));
}

#[tokio::test]
async fn a_short_answer_that_nobody_reads_leaves_its_connection_whole() {
    let (listener, _, mut guest) = service().await;
    let served = tokio::spawn(async move {
        let mut stream = accept(&listener).await;
        for _ in 0..2 {
            answer(&mut stream, OK).await;
        }
    });
    let unread = request(Method::GET, "/input/a", &[], full(""));
    drop(guest.start(unread).await);
    assert_eq!(guest.get("/input/a").await.status, 200);
    served.await.unwrap();
}

#[tokio::test]
async fn an_answer_that_nobody_reads_on_ends_its_connection() {
    let (listener, _, mut guest) = service().await;
    let served = tokio::spawn(async move {
        let mut stream = accept(&listener).await;
        let long = "HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\nbegun";
        answer(&mut stream, long).await;
        timeout(Duration::from_secs(30), stream.read(&mut [0])).await
    });
    let begun = request(Method::GET, "/input/a", &[], full(""));
    let answer = guest.start(begun).await;
    drop((answer, guest));
    assert_eq!(served.await.unwrap().expect("it ends").unwrap(), 0);
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed() {
    let (listener, _, mut guest) = service().await;
    let (closed, mut seen) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut stream = accept(&listener).await;
        answer(&mut stream, OK).await;
        closed.send(stream.read(&mut [0]).await).unwrap();
    });
    assert_eq!(guest.get("/input/a").await.status, 200);
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(59)).await;
    tokio::time::resume();
    let soon = timeout(Duration::from_millis(50), &mut seen).await;
    assert!(soon.is_err(), "it is kept for a minute");
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(120)).await;
    tokio::time::resume();
    let end = timeout(Duration::from_secs(30), seen).await;
    assert_eq!(end.expect("it ends").unwrap().unwrap(), 0);
}
