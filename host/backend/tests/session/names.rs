// SPDX-License-Identifier: Apache-2.0
//! Names over TCP, and what they allow.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use nexus_backend::dns::{DnsService, StandIns};
use nexus_backend::service::{SERVICE_IP, Service, Services, port};
use nexus_backend::sockets::EndpointPolicy;
use nexus_backend::writeback::Writeback;
use nexus_proto::wire::Family;

use super::guest::{Guest, Setup};
use super::peer::{echo, local_ip, server};

/// Where a store is found.
const STORE: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 16);

/// The gateway, and a store's name.
fn stand_ins() -> StandIns {
    StandIns {
        services: true,
        names: [("minio.internal".to_owned(), STORE)].into(),
    }
}

/// A guest with a name service, connected to it by socket 0.
fn guest(rules: &[&str]) -> Guest {
    let policy = Arc::new(EndpointPolicy::new(
        rules.iter().map(|rule| rule.parse().unwrap()),
    ));
    let mut services = Services::default();
    let names = DnsService::new(Arc::clone(&policy), Writeback::off(), stand_ins());
    services.register(port::DNS, Arc::clone(&names) as Arc<dyn Service>);
    services.register_responder(port::DNS, names);
    let mut guest = Setup {
        policy: Some(policy),
        services,
        ..Setup::default()
    }
    .start();
    guest
        .connect(0, (SERVICE_IP, port::DNS).into(), 16 << 10)
        .unwrap();
    guest
}

fn query(name: &str, kind: RecordType) -> Vec<u8> {
    framed(&question(name, kind))
}

fn question(name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::new(0x1234, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message.to_vec().unwrap()
}

fn framed(message: &[u8]) -> Vec<u8> {
    [
        &u16::try_from(message.len()).unwrap().to_be_bytes(),
        message,
    ]
    .concat()
}

fn response(guest: &mut Guest) -> Message {
    let length = guest.read_exact(0, 2);
    let length = u16::from_be_bytes([length[0], length[1]]);
    Message::from_vec(&guest.read_exact(0, length.into())).unwrap()
}

fn ask(guest: &mut Guest, name: &str, kind: RecordType) -> (ResponseCode, Vec<IpAddr>) {
    guest.write_all(0, &query(name, kind));
    let response = response(guest);
    assert_eq!(
        (response.metadata.id, response.metadata.message_type),
        (0x1234, MessageType::Response)
    );
    let addresses = response.answers.iter().map(|record| match record.data {
        RData::A(a) => IpAddr::V4(a.0),
        RData::AAAA(a) => IpAddr::V6(a.0),
        ref other => panic!("{other}"),
    });
    (response.metadata.response_code, addresses.collect())
}

#[test]
fn what_the_policy_does_not_mention_is_refused() {
    let mut guest = guest(&["db.example:5432"]);
    assert_eq!(
        ask(&mut guest, "other.example.", RecordType::A),
        (ResponseCode::Refused, vec![])
    );
    assert_eq!(
        ask(&mut guest, "db.example.", RecordType::MX),
        (ResponseCode::NotImp, vec![])
    );
}

#[test]
fn names_of_services_lead_to_the_gateway_unless_the_policy_has_them_lead_elsewhere() {
    let mut guest = guest(&["sqs.eu-west-1.amazonaws.com:443"]);
    let gateway = vec![IpAddr::V4(SERVICE_IP)];
    for name in ["b.s3.eu-west-1.amazonaws.com.", "STS.amazonaws.com."] {
        assert_eq!(
            ask(&mut guest, name, RecordType::A),
            (ResponseCode::NoError, gateway.clone()),
            "{name}"
        );
        assert_eq!(
            ask(&mut guest, name, RecordType::AAAA),
            (ResponseCode::NoError, vec![]),
            "{name}"
        );
    }
    let name = "x.execute-api.eu-west-1.amazonaws.com.";
    assert_eq!(
        ask(&mut guest, name, RecordType::A),
        (ResponseCode::Refused, vec![])
    );
    // The real one, or none where there is no network.
    let (_, addresses) = ask(&mut guest, "sqs.eu-west-1.amazonaws.com.", RecordType::A);
    assert_ne!(addresses, gateway);
}

#[test]
fn a_stores_names_lead_to_what_stands_in_for_it() {
    let mut guest = guest(&["minio.internal:9000"]);
    for name in ["minio.internal.", "photos.MINIO.internal."] {
        let answer = ask(&mut guest, name, RecordType::A);
        assert_eq!(
            answer,
            (ResponseCode::NoError, vec![STORE.into()]),
            "{name}"
        );
        let answer = ask(&mut guest, name, RecordType::AAAA);
        assert_eq!(answer, (ResponseCode::NoError, vec![]), "{name}");
    }
    for name in ["internal.", "xminio.internal.", "minio.internal.example."] {
        let answer = ask(&mut guest, name, RecordType::A);
        assert_eq!(answer, (ResponseCode::Refused, vec![]), "{name}");
    }
}

#[test]
fn localhost_is_the_guests_own() {
    let mut guest = guest(&[]);
    assert_eq!(
        ask(&mut guest, "localhost.", RecordType::A),
        (ResponseCode::NoError, vec![[127, 0, 0, 1].into()])
    );
    assert_eq!(
        ask(&mut guest, "a.LOCALHOST.", RecordType::AAAA).1,
        vec!["::1".parse::<IpAddr>().unwrap()]
    );
}

#[test]
fn a_name_opens_its_addresses_for_its_ports() {
    let (address, peer) = server(1, echo);
    // A name that resolves to this machine's address without anybody being asked: the resolver reads it as a number
    // (inet_aton(3)), a rule does not.
    let IpAddr::V4(ip) = local_ip() else { return };
    let name = format!("{:#x}", ip.to_bits());
    let mut guest = guest(&[&format!("{name}:{}", address.port())]);
    let errno = |code: i32| Err(u16::try_from(code).unwrap());
    assert_eq!(
        guest.connect(1, address, 4096),
        errno(libc::EACCES),
        "before anybody asked for the name"
    );
    assert_eq!(
        ask(&mut guest, &name, RecordType::A),
        (ResponseCode::NoError, vec![local_ip()])
    );
    guest.connect(2, address, 4096).unwrap();
    let other = SocketAddr::new(address.ip(), address.port() ^ 1);
    assert_eq!(guest.connect(3, other, 4096), errno(libc::EACCES));
    guest.close(2, false);
    guest.released(2);
    peer.join().unwrap();
}

#[test]
fn a_name_for_the_host_opens_nothing() {
    let mut guest = guest(&["0x7f000001:80", "*:80"]);
    assert_eq!(
        ask(&mut guest, "0x7f000001", RecordType::A).0,
        ResponseCode::NoError
    );
    let refused = guest.connect(1, "127.0.0.1:80".parse().unwrap(), 4096);
    assert_eq!(refused, Err(u16::try_from(libc::ECONNREFUSED).unwrap()));
}

#[test]
fn a_name_that_does_not_exist_is_no_empty_answer() {
    // Reserved for this (RFC 6761, section 6.4); without a network, nobody can say so.
    let (code, addresses) = ask(
        &mut guest(&["*.invalid:80"]),
        "nosuch.invalid.",
        RecordType::A,
    );
    assert!(
        matches!(code, ResponseCode::NXDomain | ResponseCode::ServFail),
        "{code}"
    );
    assert!(addresses.is_empty());
}

#[test]
fn queries_may_come_in_a_batch_and_in_pieces() {
    let mut guest = guest(&[]);
    let batch = [
        query("localhost.", RecordType::A),
        query("localhost.", RecordType::AAAA),
    ]
    .concat();
    for piece in batch.chunks(7) {
        guest.write_all(0, piece);
    }
    for kind in [RecordType::A, RecordType::AAAA] {
        let response = response(&mut guest);
        assert_eq!(response.queries[0].query_type, kind);
        assert_eq!(response.answers.len(), 1);
    }
}

#[test]
fn what_is_no_query_is_told_so_or_hung_up_on() {
    let mut guest = guest(&[]);
    guest.write_all(
        0,
        &framed(&[0xab, 0xcd, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xff]),
    );
    let message = response(&mut guest);
    assert_eq!(
        (message.metadata.id, message.metadata.response_code),
        (0xabcd, ResponseCode::FormErr)
    );
    guest.write_all(0, &[0xff; 100]);
    assert!(guest.read_to_end(0).is_empty());
}

#[test]
fn names_are_answered_by_datagram() {
    let mut guest = guest(&["a.localhost:80"]);
    guest.open_datagram(1, Family::V4, 4096);
    let service = (SERVICE_IP, port::DNS).into();
    guest.send_to(1, service, &question("a.localhost", RecordType::A));
    let (record, answer) = guest.receive_from(1);
    assert_eq!((record.error, record.address.port), (None, port::DNS));
    let answer = Message::from_vec(&answer).unwrap();
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    assert_eq!(answer.answers.len(), 1);

    guest.send_to(1, (SERVICE_IP, 54).into(), b"nobody");
    let (record, _) = guest.receive_from(1);
    assert_eq!(
        record.error,
        Some(u16::try_from(libc::ECONNREFUSED).unwrap())
    );
}
