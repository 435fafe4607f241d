// SPDX-License-Identifier: Apache-2.0
//! Services that are silent: before an answer, within one, and while they do not read.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use super::*;

const LIMIT: Duration = Duration::from_secs(1);

/// A gateway whose services may be silent for a moment only.
async fn impatient(address: SocketAddr) -> Arc<Gateway> {
    impatient_to(format!("http://{address}")).await
}

async fn impatient_to(store: String) -> Arc<Gateway> {
    let config = GatewayConfig {
        read_timeout: LIMIT,
        ..GatewayConfig::new("us-east-1", HashMap::from([("s3".to_owned(), store)]))
    };
    let upstream = Upstream::new(config, key()).await.unwrap();
    Gateway::new(upstream, Arc::new(policy()), "f".to_owned())
}

/// A body of three pieces, each of which comes later than a store may answer.
struct Slow {
    left: u64,
    pause: Pin<Box<tokio::time::Sleep>>,
}

impl hyper::body::Body for Slow {
    type Data = Bytes;
    type Error = super::super::upstream::BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        std::task::ready!(self.pause.as_mut().poll(context));
        self.left -= 1;
        self.pause = Box::pin(tokio::time::sleep(LIMIT * 3 / 2));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![b'x'; 100_000])))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left * 100_000)
    }
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test]
async fn a_store_that_never_begins_to_speak_tls() {
    let (listener, address) = listener().await;
    let mut guest = Guest::connect(&impatient_to(format!("https://{address}")).await).await;
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut greeting = Vec::new();
        tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut greeting)).await
    });
    assert_eq!(guest.get("/input/k").await.status, 504);
    let end = served.await.unwrap();
    assert!(end.expect("its connection ends").unwrap() > 0);
}

#[tokio::test]
async fn a_store_that_never_answers() {
    let (listener, address) = listener().await;
    let gateway = impatient(address).await;
    let served = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let started = Instant::now();
    let mut waiting = Vec::new();
    for path in ["/input/a", "/input/b"] {
        let mut guest = Guest::connect(&gateway).await;
        waiting.push(tokio::spawn(async move { guest.get(path).await.status }));
    }
    for waited in waiting {
        assert_eq!(waited.await.unwrap(), 504);
    }
    assert!(started.elapsed() >= LIMIT);
    let mut guest = Guest::connect(&gateway).await;
    let answer = guest.get("/input/a").await;
    assert_eq!(answer.error(), (504, "GatewayTimeout"), "{}", answer.text());
    assert!(answer.text().contains("Please try again"));
    served.abort();
}

#[tokio::test]
async fn a_store_that_stops_within_a_body_ends_that_answer_only() {
    let (listener, address) = listener().await;
    let gateway = impatient(address).await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut request).await {
                    let stops = request[..length].starts_with(b"GET /input/stops");
                    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello";
                    stream.write_all(head.as_bytes()).await.unwrap();
                    if !stops {
                        stream.write_all(b"world").await.unwrap();
                    }
                }
            });
        }
    });
    let mut stopped = Guest::connect(&gateway).await;
    let started = stopped
        .start(request(Method::GET, "/input/stops", &[], full("")))
        .await;
    assert_eq!(started.status(), 200);
    let mut other = Guest::connect(&gateway).await;
    let broken = tokio::spawn(started.into_body().collect());
    assert_eq!(other.get("/input/k").await.text(), "helloworld");
    assert!(broken.await.unwrap().is_err(), "half an object is none");
    assert_eq!(other.get("/input/k").await.text(), "helloworld");
}

#[tokio::test]
async fn who_is_slow_but_steady_is_waited_for() {
    let (listener, address) = listener().await;
    let gateway = impatient(address).await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        tokio::time::sleep(LIMIT / 2).await;
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        for _ in 0..4 {
            tokio::time::sleep(LIMIT / 2).await;
            stream.write_all(b"x").await.unwrap();
        }
    });
    let mut guest = Guest::connect(&gateway).await;
    let started = Instant::now();
    assert_eq!(guest.get("/input/k").await.text(), "xxxx");
    assert!(started.elapsed() >= LIMIT * 2);
}

#[tokio::test]
async fn a_guest_that_takes_its_time_is_not_the_store() {
    let (folder, address) = store().await;
    let gateway = impatient(address).await;
    let mut guest = Guest::connect(&gateway).await;
    let body = Slow {
        left: 3,
        pause: Box::pin(tokio::time::sleep(Duration::ZERO)),
    };
    let put = request(Method::PUT, "/out/k", &[], body.boxed_unsync());
    assert_eq!(guest.send(put).await.status, 200);
    let length = std::fs::metadata(folder.path().join("out/k"))
        .unwrap()
        .len();
    assert_eq!(length, 300_000);
}

#[tokio::test]
async fn a_store_that_does_not_read() {
    let (listener, address) = listener().await;
    let gateway = impatient(address).await;
    let mut guest = Guest::connect(&gateway).await;
    let (body, _) = Made::body(256 * MIB);
    let put =
        tokio::spawn(async move { guest.start(request(Method::PUT, "/out/k", &[], body)).await });
    let (stream, _) = listener.accept().await.unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(20), put)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(answer.status(), 504);
    drop(stream);
}
