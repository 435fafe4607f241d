// SPDX-License-Identifier: Apache-2.0
//! Which requests the gateway sends a second time, counted at a server that closes connections when it likes.

use std::collections::VecDeque;
use std::sync::Mutex;

use nexus_proto::call;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::Calls;
use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// What the server does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Answer,
    /// Closes the connection without a word.
    Close,
    /// Says nothing for as long as the other end is there.
    Stall,
}

/// A server that does to each request what is next, and the requests' first lines.
async fn server(acts: &[Act]) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acts = Arc::new(Mutex::new(VecDeque::from(acts.to_vec())));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (acts, log) = (Arc::clone(&acts), Arc::clone(&log));
            tokio::spawn(async move {
                let mut text = vec![0; 64 * 1024];
                while let Ok(length @ 1..) = stream.read(&mut text).await {
                    let text = String::from_utf8_lossy(&text[..length]);
                    log.lock()
                        .unwrap()
                        .push(text.lines().next().unwrap().to_owned());
                    let act = acts.lock().unwrap().pop_front();
                    match act {
                        Some(Act::Answer) | None => {}
                        Some(Act::Close) => return,
                        Some(Act::Stall) => {
                            let mut rest = [0];
                            let over = stream.read(&mut rest).await;
                            log.lock().unwrap().push(format!("{over:?}"));
                            return;
                        }
                    }
                    stream.write_all(OK.as_bytes()).await.unwrap();
                }
            });
        }
    });
    (address, seen)
}

#[tokio::test]
async fn a_kept_connection_that_closes_is_made_anew() {
    let (address, seen) = server(&[Act::Answer, Act::Close, Act::Answer]).await;
    let mut guest = Guest::connect(&gateway_to(&format!("http://{address}")).await).await;
    assert_eq!(guest.get("/input/a").await.status, 200);
    assert_eq!(
        guest.get("/input/b").await.status,
        200,
        "the second is sent twice"
    );
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert!(seen[1] == seen[2] && seen[2].starts_with("GET /input/b"));
}

#[tokio::test]
async fn a_small_body_is_sent_again_and_a_large_one_is_not() {
    let (address, seen) = server(&[Act::Answer, Act::Close, Act::Answer]).await;
    let mut guest = Guest::connect(&gateway_to(&format!("http://{address}")).await).await;
    assert_eq!(guest.get("/input/a").await.status, 200);
    assert_eq!(guest.put("/out/b", "body").await.status, 200);
    assert_eq!(seen.lock().unwrap().len(), 3);

    let (address, _) = server(&[Act::Answer, Act::Close]).await;
    let mut guest = Guest::connect(&gateway_to(&format!("http://{address}")).await).await;
    assert_eq!(guest.get("/input/a").await.status, 200);
    let (body, _) = Made::body(2 * MIB);
    let put = guest.send(request(Method::PUT, "/out/b", &[], body)).await;
    assert_eq!(put.error(), (502, "BadGateway"));
}

#[tokio::test]
async fn a_new_connection_that_closes_is_for_the_sdk_to_know() {
    let (address, seen) = server(&[Act::Close, Act::Answer]).await;
    let mut guest = Guest::connect(&gateway_to(&format!("http://{address}")).await).await;
    assert_eq!(guest.get("/input/a").await.error(), (502, "BadGateway"));
    assert_eq!(seen.lock().unwrap().len(), 1);
    assert_eq!(guest.get("/input/a").await.status, 200);
}

#[tokio::test]
async fn what_may_have_been_done_is_not_done_again() {
    let (address, seen) = server(&[Act::Answer, Act::Close]).await;
    let mut guest = Guest::connect(&gateway_to(&format!("http://{address}")).await).await;
    assert_eq!(guest.get("/input/a").await.status, 200);
    let posted = guest.call(Method::POST, "/out/b?uploads", "").await;
    assert_eq!(posted.error(), (502, "BadGateway"));
    assert_eq!(seen.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_write_that_would_be_answered_otherwise_is_not_done_again() {
    let (address, seen) = server(&[Act::Answer, Act::Close]).await;
    let mut guest = Guest::connect(&gateway_to(&format!("http://{address}")).await).await;
    assert_eq!(guest.get("/input/a").await.status, 200);
    let headers = [("if-none-match", "*")];
    let put = guest
        .send(request(Method::PUT, "/out/b", &headers, full("body")))
        .await;
    assert_eq!(put.error(), (502, "BadGateway"));
    assert_eq!(seen.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_call_says_how_often_it_was_sent_again() {
    let (address, _) = server(&[Act::Answer, Act::Close, Act::Answer]).await;
    let gateway = gateway_to(&format!("http://{address}")).await;
    let (mut shim, theirs) = tokio::io::duplex(64 * 1024);
    tokio::spawn(Calls::new(gateway).serve(Box::pin(theirs)));
    let head = b"s3\0us-east-1\0GetObject\0GET\0/input/a\0";
    let fixed = call::Request {
        head: u32::try_from(head.len()).unwrap(),
        body: 0,
    };
    for expected in [0, 1] {
        shim.write_all(&fixed.encode()).await.unwrap();
        shim.write_all(head).await.unwrap();
        let mut fixed = [0; call::FIXED_SIZE];
        shim.read_exact(&mut fixed).await.unwrap();
        let answer = call::Answer::decode(&fixed);
        assert_eq!((answer.status, answer.retries), (200, expected));
        let mut rest = vec![0; answer.head as usize + usize::try_from(answer.body).unwrap()];
        shim.read_exact(&mut rest).await.unwrap();
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_ends() {
    let (address, seen) = server(&[Act::Stall]).await;
    let gateway = gateway_to(&format!("http://{address}")).await;
    let (mut shim, theirs) = tokio::io::duplex(64 * 1024);
    let served = tokio::spawn(Calls::new(gateway).serve(Box::pin(theirs)));
    let head = b"s3\0us-east-1\0PutObject\0PUT\0/out/a\0";
    let fixed = call::Request {
        head: u32::try_from(head.len()).unwrap(),
        body: 4,
    };
    shim.write_all(&fixed.encode()).await.unwrap();
    shim.write_all(head).await.unwrap();
    shim.write_all(b"body").await.unwrap();
    while seen.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    drop(shim);
    served.await.unwrap();
    while seen.lock().unwrap().len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(seen.lock().unwrap()[1], "Ok(0)", "the store is told too");
}
