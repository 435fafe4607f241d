// SPDX-License-Identifier: Apache-2.0
//! Stores that functions name by their URLs, with keys of their own: who reaches which, and with what.

use std::sync::Mutex;

use super::super::{Acceptor, Authority, Calls, StoreConfig, TlsGateway};
use super::*;

const OTHER: (&str, &str) = ("AKIAOTHER", "another/secret+");

struct Setup {
    _main: TempDir,
    other: TempDir,
    /// Key and region of what came to the other store.
    seen: Arc<Mutex<Vec<String>>>,
    host: String,
    upstream: Arc<Upstream>,
}

impl Setup {
    async fn new(scheme: &str, name: &str) -> Self {
        let (main, address) = store().await;
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&seen);
        let (other, there) = store_with(OTHER, move |parts| {
            // A URL that was signed has none.
            let authorization = parts.headers.get(AUTHORIZATION)?;
            let (_, scope) = authorization
                .to_str()
                .unwrap()
                .split_once("Credential=")
                .unwrap();
            let fields: Vec<&str> = scope.split(['/', ',']).collect();
            log.lock()
                .unwrap()
                .push(format!("{} {}", fields[0], fields[2]));
            None
        })
        .await;
        let host = format!("{name}:{}", there.port());
        let config = GatewayConfig {
            stores: vec![StoreConfig {
                name: "other".to_owned(),
                endpoint: format!("{scheme}://{host}"),
                region: "garage".to_owned(),
                credentials: SharedCredentialsProvider::new(Credentials::new(
                    OTHER.0, OTHER.1, None, None, "test",
                )),
                virtual_hosts: false,
            }],
            ..GatewayConfig::new(
                "us-east-1",
                HashMap::from([("s3".to_owned(), format!("http://{address}"))]),
            )
        };
        Self {
            _main: main,
            other,
            seen,
            host,
            upstream: Upstream::new(config, key()).await.unwrap(),
        }
    }

    /// The function's way to the other store.
    fn gateway(&self) -> Arc<Gateway> {
        let upstream = Arc::clone(self.upstream.stores()[0].upstream());
        Gateway::new(upstream, Arc::new(policy()), "f".to_owned())
    }

    fn request(&self, method: Method, path: &str, body: &'static str) -> Request<Body> {
        request(method, path, &[("host", &self.host)], full(body))
    }
}

#[tokio::test]
async fn each_store_gets_its_own_key_and_region() {
    let setup = Setup::new("http", "127.0.0.1").await;
    let store = &setup.upstream.stores()[0];
    assert_eq!(
        (store.address().to_string(), store.host_name()),
        (setup.host.clone(), None)
    );
    let mut guest = Guest::connect(&setup.gateway()).await;
    let put = guest
        .send(setup.request(Method::PUT, "/out/k", "there"))
        .await;
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(
        std::fs::read(setup.other.path().join("out/k")).unwrap(),
        b"there"
    );
    assert_eq!(*setup.seen.lock().unwrap(), ["AKIAOTHER garage"]);
    // The way that names no store leads to the other one never, whatever host a request names.
    let main = Gateway::new(
        Arc::clone(&setup.upstream),
        Arc::new(policy()),
        "f".to_owned(),
    );
    let mut guest = Guest::connect(&main).await;
    let got = guest.send(setup.request(Method::GET, "/out/k", "")).await;
    assert_eq!(got.error(), (404, "NoSuchKey"));
    assert_eq!(setup.seen.lock().unwrap().len(), 1);
    assert!(!format!("{:?}", setup.upstream).contains(OTHER.1));
}

#[tokio::test]
async fn a_store_answers_for_itself_only() {
    let setup = Setup::new("http", "localhost").await;
    let gateway = setup.gateway();
    let mut guest = Guest::connect(&gateway).await;
    for host in [
        "s3.amazonaws.com",
        "out.s3.us-east-1.amazonaws.com",
        "evil",
        "localhost.evil",
        "xlocalhost",
        "",
    ] {
        let get = request(Method::GET, "/out/k", &[("host", host)], full(""));
        assert_eq!(
            guest.send(get).await.error(),
            (403, "AccessDenied"),
            "{host}"
        );
    }
    let denied = guest
        .send(setup.request(Method::GET, "/secret/k", ""))
        .await;
    assert_eq!(denied.error(), (403, "AccessDenied"));
    // Another service's request to its address.
    let authorization = "AWS4-HMAC-SHA256 Credential=p/20261123/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0";
    let headers = [
        ("host", "localhost"),
        ("authorization", authorization),
        ("x-amz-target", "D.GetItem"),
    ];
    let asked = request(Method::POST, "/", &headers, full("{}"));
    let answer = guest.0.send_request(asked).await.unwrap();
    assert_eq!(answer.status(), 403);
    assert!(setup.seen.lock().unwrap().is_empty());
    drop(Calls::new(gateway));
}

#[tokio::test]
async fn buckets_in_the_stores_host_name() {
    let setup = Setup::new("http", "localhost").await;
    let mut guest = Guest::connect(&setup.gateway()).await;
    let host = format!("out.{}", setup.host);
    let headers = [("host", host.as_str())];
    let put = request(Method::PUT, "/a/b", &headers, full("hello"));
    assert_eq!(guest.send(put).await.status, 200);
    assert_eq!(
        std::fs::read(setup.other.path().join("out/a/b")).unwrap(),
        b"hello"
    );
    let get = request(Method::GET, "/a", &[("host", "secret.localhost")], full(""));
    assert_eq!(guest.send(get).await.error(), (403, "AccessDenied"));
}

#[tokio::test]
async fn a_url_leads_to_the_store_itself() {
    let setup = Setup::new("http", "localhost").await;
    std::fs::write(setup.other.path().join("input/k"), "shared").unwrap();
    let mut guest = Guest::connect(&setup.gateway()).await;
    let headers = [("host", setup.host.as_str()), ("x-nexus-presign", "60")];
    let asked = request(Method::GET, "/input/k", &headers, full(""));
    let answer = guest.send(asked).await;
    let url = answer.text();
    assert!(
        url.starts_with(&format!("http://{}/input/k?", setup.host)) && url.contains("AKIAOTHER"),
        "{url}"
    );
    let stream = tokio::net::TcpStream::connect(&setup.host).await.unwrap();
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let (_, path) = url.split_once(&setup.host).unwrap();
    let get = request(Method::GET, path, &[("host", &setup.host)], full(""));
    let got = sender.send_request(get).await.unwrap();
    let body = got.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(&body[..], b"shared");
}

#[tokio::test]
async fn tls_ends_under_the_stores_name() {
    use rustls::pki_types::ServerName;

    // The store itself has no TLS here, which shows as an answer of the gateway.
    let setup = Setup::new("https", "minio.internal").await;
    let folder = tempfile::tempdir().unwrap();
    Authority::open(folder.path(), Vec::new()).unwrap();
    let names = vec!["minio.internal".to_owned()];
    let authority = Authority::open(folder.path(), names.clone()).unwrap();
    let again = Authority::open(folder.path(), names).unwrap();
    assert_eq!(authority.certificate(), again.certificate());
    let gateway = TlsGateway::new(
        setup.gateway(),
        Acceptor::new(Arc::clone(&authority)).unwrap(),
    );
    let connector = super::authority::trusting(&authority);
    let connect = async |name: &str| {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        tokio::spawn(gateway.clone().serve(Box::pin(theirs)));
        let name = ServerName::try_from(name.to_owned()).unwrap();
        connector.connect(name, ours).await
    };
    for name in ["minio.internal", "out.minio.internal", "s3.amazonaws.com"] {
        assert!(connect(name).await.is_ok(), "{name}");
    }
    for name in ["internal", "xminio.internal", "example.com"] {
        assert!(connect(name).await.is_err(), "{name}");
    }
    let stream = connect("minio.internal").await.unwrap();
    let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let answer = Guest(sender)
        .send(setup.request(Method::GET, "/input/k", ""))
        .await;
    assert_eq!(
        answer.error(),
        (503, "ServiceUnavailable"),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn two_stores_of_one_address_are_a_mistake() {
    let store = |name: &str, endpoint: &str| StoreConfig {
        name: name.to_owned(),
        endpoint: endpoint.to_owned(),
        region: "r".to_owned(),
        credentials: key(),
        virtual_hosts: false,
    };
    let with = async |stores| {
        let config = GatewayConfig {
            stores,
            ..GatewayConfig::new("us-east-1", HashMap::new())
        };
        Upstream::new(config, key()).await
    };
    let twice = vec![store("a", "http://minio"), store("b", "http://MINIO:80")];
    let error = with(twice).await.unwrap_err().to_string();
    assert!(error.contains("another store"), "{error}");
    let mut beside = vec![
        store("a", "http://minio:9000"),
        store("b", "http://ceph:9000"),
        store("c", "http://minio:9001"),
    ];
    let upstream = with(beside.clone()).await.unwrap();
    let addresses: Vec<String> = upstream
        .stores()
        .iter()
        .map(|store| store.address().to_string())
        .collect();
    let expected = [
        "169.254.170.16:9000",
        "169.254.170.17:9000",
        "169.254.170.16:9001",
    ];
    assert_eq!(addresses, expected);
    beside[0].endpoint = "http://user:pw@minio".to_owned();
    assert!(with(beside).await.is_err());
}
