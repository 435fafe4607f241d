// SPDX-License-Identifier: Apache-2.0
//! Services inside the process, over the same rings.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use nexus_backend::service::{SERVICE_IP, Service, ServiceStream, Services, Serving};
use nexus_backend::session::Limits;
use nexus_proto::wire::Ip;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::guest::{Guest, Setup};
use super::peer::pattern;

const PORT: u16 = 4000;

/// A service that is a function of a stream, and what came of it.
struct Scripted<F>(F, Arc<Mutex<Vec<String>>>);

impl<F, R> Service for Scripted<F>
where
    F: Fn(ServiceStream) -> R + Send + Sync,
    R: Future<Output = String> + Send + 'static,
{
    fn serve(self: Arc<Self>, stream: ServiceStream) -> Serving {
        let serving = (self.0)(stream);
        let results = Arc::clone(&self.1);
        Box::pin(async move {
            let result = serving.await;
            results.lock().unwrap().push(result);
        })
    }
}

fn guest_with<F, R>(service: F) -> (Guest, Arc<Mutex<Vec<String>>>)
where
    F: Fn(ServiceStream) -> R + Send + Sync + 'static,
    R: Future<Output = String> + Send + 'static,
{
    guest_limited(Limits::default().max_sockets, service)
}

fn guest_limited<F, R>(max_sockets: u32, service: F) -> (Guest, Arc<Mutex<Vec<String>>>)
where
    F: Fn(ServiceStream) -> R + Send + Sync + 'static,
    R: Future<Output = String> + Send + 'static,
{
    let results = Arc::new(Mutex::new(Vec::new()));
    let mut services = Services::default();
    services.register(PORT, Arc::new(Scripted(service, Arc::clone(&results))));
    let guest = Setup {
        rules: vec![],
        services,
        limits: Limits {
            max_sockets,
            ..Limits::default()
        },
        ..Setup::default()
    }
    .start();
    (guest, results)
}

fn address() -> SocketAddr {
    (SERVICE_IP, PORT).into()
}

fn result(guest: &mut Guest, results: &Arc<Mutex<Vec<String>>>) -> String {
    guest.until("the service's end", |_| !results.lock().unwrap().is_empty());
    results.lock().unwrap().remove(0)
}

async fn echo(mut stream: ServiceStream) -> String {
    let mut bytes = vec![0; 10_000];
    let mut total = 0;
    loop {
        match stream.read(&mut bytes).await {
            Ok(0) => return format!("end after {total}"),
            Ok(length) => {
                total += length;
                if let Err(error) = stream.write_all(&bytes[..length]).await {
                    return format!("write: {:?}", error.kind());
                }
            }
            Err(error) => return format!("read: {:?}", error.kind()),
        }
    }
}

#[test]
fn a_service_answers() {
    let (mut guest, results) = guest_with(echo);
    guest.connect(0, address(), 4096).unwrap();
    let local = guest.sockets[&0].status.local;
    assert_eq!(
        (local.ip, local.port >= 49152),
        (Ip::V4([169, 254, 170, 1]), true)
    );
    let bytes = pattern(11).take(1 << 20);
    for chunk in bytes.chunks(4096) {
        guest.write_all(0, chunk);
        assert_eq!(guest.read_exact(0, chunk.len()), chunk);
    }
    guest.shut_wr(0);
    assert!(guest.read_to_end(0).is_empty());
    assert_eq!(
        result(&mut guest, &results),
        format!("end after {}", 1 << 20)
    );
    guest.close(0, false);
    guest.released(0);
}

#[test]
fn a_service_has_an_address_of_its_own_and_wins_over_the_policy() {
    let places: [SocketAddr; 2] = [
        ([169, 254, 170, 16], 9000).into(),
        ([192, 0, 2, 1], 9000).into(),
    ];
    let results = Arc::new(Mutex::new(Vec::new()));
    let mut services = Services::default();
    for place in places {
        let service = Scripted(echo, Arc::clone(&results));
        services.register_at(place, Arc::new(service));
    }
    let mut guest = Setup {
        rules: vec!["192.0.2.1:9000".into()],
        services,
        ..Setup::default()
    }
    .start();
    for (number, place) in (0..).zip(places) {
        guest.connect(number, place, 4096).unwrap();
        guest.write_all(number, b"hello");
        assert_eq!(guest.read_exact(number, 5), b"hello");
    }
    let refused = guest.connect(2, ([169, 254, 170, 16], 9001).into(), 4096);
    assert_eq!(refused, Err(u16::try_from(libc::ECONNREFUSED).unwrap()));
}

#[test]
fn other_ports_of_the_services_address_are_refused() {
    let (mut guest, _results) = guest_with(echo);
    let refused = guest.connect(0, (SERVICE_IP, PORT + 1).into(), 4096);
    assert_eq!(refused, Err(u16::try_from(libc::ECONNREFUSED).unwrap()));
}

#[test]
fn a_mapped_address_finds_the_service() {
    let (mut guest, _results) = guest_with(echo);
    guest
        .connect(0, (SERVICE_IP.to_ipv6_mapped(), PORT).into(), 4096)
        .unwrap();
    guest.write_all(0, b"mapped");
    assert_eq!(guest.read_exact(0, 6), b"mapped");
}

#[test]
fn an_abort_is_an_error_for_the_service() {
    let (mut guest, results) = guest_with(echo);
    guest.connect(0, address(), 4096).unwrap();
    guest.close(0, true);
    guest.released(0);
    assert_eq!(result(&mut guest, &results), "read: ConnectionReset");
}

#[test]
fn a_close_lets_the_service_read_what_is_left() {
    let (mut guest, results) = guest_with(|mut stream: ServiceStream| async move {
        let mut bytes = Vec::new();
        match stream.read_to_end(&mut bytes).await {
            Ok(length) => format!(
                "read {length}, then {:?}",
                stream.write_all(b"x").await.map_err(|error| error.kind())
            ),
            Err(error) => format!("read: {:?}", error.kind()),
        }
    });
    guest.connect(0, address(), 4096).unwrap();
    guest.write_all(0, &[1; 4096]);
    guest.close(0, false);
    guest.released(0);
    let result = result(&mut guest, &results);
    assert!(result.starts_with("read 4096, then Err("), "{result}");
}

#[test]
fn a_service_that_leaves_is_end_of_file_and_then_a_broken_pipe() {
    let (mut guest, _results) = guest_with(|mut stream: ServiceStream| async move {
        format!("{:?}", stream.write_all(b"bye").await)
    });
    guest.connect(0, address(), 4096).unwrap();
    assert_eq!(guest.read_to_end(0), b"bye");
    assert_eq!(guest.sockets[&0].status.error, None);
    guest.write(0, b"anybody?");
    assert_eq!(i32::from(guest.failed(0)), libc::EPIPE);
    guest.close(0, false);
    guest.released(0);
}

#[test]
fn a_service_is_bounded_by_the_guests_ring() {
    let (mut guest, results) = guest_with(|mut stream: ServiceStream| async move {
        let bytes = pattern(12).take(1 << 20);
        format!("{:?}", stream.write_all(&bytes).await)
    });
    guest.connect(0, address(), 4096).unwrap();
    guest.until("a full ring", |guest| guest.sockets[&0].readable() == 4096);
    assert_eq!(guest.session.statistics().bytes_received, 4096);
    assert!(guest.read_to_end(0) == pattern(12).take(1 << 20));
    assert_eq!(result(&mut guest, &results), "Ok(())");
}

#[test]
fn services_that_go_on_after_their_sockets_are_bounded() {
    let (mut guest, _results) = guest_limited(2, |stream: ServiceStream| async move {
        std::future::pending::<()>().await;
        drop(stream);
        String::new()
    });
    for id in 0..2 {
        guest.connect(id, address(), 4096).unwrap();
        guest.close(id, true);
        guest.released(id);
    }
    let refused = guest.connect(0, address(), 4096);
    assert_eq!(refused, Err(u16::try_from(libc::ECONNREFUSED).unwrap()));
}

#[test]
fn a_service_ends_with_its_vm_although_its_socket_is_released() {
    let alive = Arc::new(());
    let held = Arc::clone(&alive);
    let (mut guest, _results) = guest_with(move |stream: ServiceStream| {
        let held = Arc::clone(&held);
        async move {
            std::future::pending::<()>().await;
            drop((stream, held));
            String::new()
        }
    });
    guest.connect(0, address(), 4096).unwrap();
    // The test's, the service's and its one connection's.
    guest.until("the connection's start", |_| Arc::strong_count(&alive) == 3);
    guest.close(0, true);
    guest.released(0);
    assert_eq!(Arc::strong_count(&alive), 3, "it goes on");
    guest.session.stop();
    guest.until("the connection's end", |_| Arc::strong_count(&alive) < 3);
}

#[test]
fn nothing_is_left_of_a_vm_that_ends_amid_a_connection() {
    let (mut guest, results) = guest_with(|mut stream: ServiceStream| async move {
        let first = stream.read_u8().await.unwrap();
        stream.write_u8(first).await.unwrap();
        std::future::pending::<()>().await;
        String::new()
    });
    guest.connect(0, address(), 4096).unwrap();
    guest.write_all(0, b"some that is never read");
    assert_eq!(guest.read_exact(0, 1), b"s");
    guest.session.stop();
    guest.ended();
    drop(guest);
    // The device holds the service, and the service the results.
    assert_eq!(Arc::strong_count(&results), 1);
}
