// SPDX-License-Identifier: Apache-2.0
//! Keys that expire: a provider that hands them out over HTTP as a container's does, and a store that knows which are good.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::time::SystemTime;

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};

use super::*;

/// What the provider does.
#[derive(Debug, Default)]
struct Office {
    asked: AtomicUsize,
    /// For how many seconds a key is good.
    good_for: AtomicU64,
    down: AtomicBool,
    /// How long it takes for an answer, in milliseconds.
    slow: AtomicU64,
}

/// Asks the office over HTTP.
#[derive(Debug)]
struct Client(SocketAddr);

impl ProvideCredentials for Client {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let failed =
                |error: &dyn std::fmt::Display| CredentialsError::provider_error(error.to_string());
            let stream = tokio::net::TcpStream::connect(self.0)
                .await
                .map_err(|e| failed(&e))?;
            let (mut sender, connection) = handshake(TokioIo::new(stream))
                .await
                .map_err(|e| failed(&e))?;
            tokio::spawn(connection);
            let ask = request(Method::GET, "/credentials", &[("host", "office")], full(""));
            let answer = sender.send_request(ask).await.map_err(|e| failed(&e))?;
            if answer.status() != 200 {
                return Err(failed(&answer.status()));
            }
            let text = answer
                .into_body()
                .collect()
                .await
                .map_err(|e| failed(&e))?
                .to_bytes();
            let given: serde_json::Value = serde_json::from_slice(&text).map_err(|e| failed(&e))?;
            let end =
                SystemTime::UNIX_EPOCH + Duration::from_secs_f64(given["end"].as_f64().unwrap());
            let token = given["token"].as_str().unwrap().to_owned();
            Ok(Credentials::new(
                REAL_ID,
                REAL_SECRET,
                Some(token),
                Some(end),
                "office",
            ))
        })
    }
}

/// A provider whose keys differ by their token, which it counts.
async fn office() -> (Arc<Office>, SharedCredentialsProvider) {
    let office = Arc::new(Office::default());
    office.good_for.store(3600, Ordering::Relaxed);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shared = Arc::clone(&office);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let office = Arc::clone(&shared);
            let answer = service_fn(move |_: Request<Incoming>| {
                let office = Arc::clone(&office);
                async move {
                    let number = office.asked.fetch_add(1, Ordering::Relaxed) + 1;
                    tokio::time::sleep(Duration::from_millis(office.slow.load(Ordering::Relaxed)))
                        .await;
                    let end = SystemTime::now()
                        + Duration::from_secs(office.good_for.load(Ordering::Relaxed));
                    let end = end
                        .duration_since(SystemTime::UNIX_EPOCH)
                        .unwrap()
                        .as_secs_f64();
                    let text = format!("{{\"token\": \"token-{number}\", \"end\": {end}}}");
                    let mut answer = http::Response::new(full(text));
                    if office.down.load(Ordering::Relaxed) {
                        *answer.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
                    }
                    Ok::<_, std::convert::Infallible>(answer)
                }
            });
            tokio::spawn(async move {
                let server = hyper::server::conn::http1::Builder::new();
                server
                    .serve_connection(TokioIo::new(stream), answer)
                    .await
                    .ok();
            });
        }
    });
    (office, SharedCredentialsProvider::new(Client(address)))
}

type Tokens = Arc<Mutex<Vec<String>>>;

struct Setup {
    _folder: TempDir,
    office: Arc<Office>,
    /// Tokens that the store refuses.
    over: Tokens,
    /// Tokens that came.
    seen: Tokens,
    gateway: Arc<Gateway>,
    guest: Guest,
}

impl Setup {
    async fn new() -> Self {
        let (over, seen) = (Tokens::default(), Tokens::default());
        let (refused, came) = (Arc::clone(&over), Arc::clone(&seen));
        let (folder, address) = store_behind(move |parts| {
            let token = parts.headers["x-amz-security-token"]
                .to_str()
                .unwrap()
                .to_owned();
            came.lock().unwrap().push(token.clone());
            let is_over = refused.lock().unwrap().contains(&token);
            let elements = format!("<Token-0>{token}</Token-0>");
            is_over.then(|| s3_error(400, &[], "ExpiredToken", &elements))
        })
        .await;
        std::fs::write(folder.path().join("input/k"), "x").unwrap();
        let (office, provider) = office().await;
        let config = GatewayConfig::new(
            "us-east-1",
            HashMap::from([("s3".to_owned(), format!("http://{address}"))]),
        );
        let upstream = Upstream::new(config, provider).await.unwrap();
        let gateway = Gateway::new(upstream, Arc::new(policy()), "f".to_owned());
        Self {
            _folder: folder,
            office,
            over,
            seen,
            guest: Guest::connect(&gateway).await,
            gateway,
        }
    }

    fn asked(&self) -> usize {
        self.office.asked.load(Ordering::Relaxed)
    }

    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

#[tokio::test]
async fn a_key_is_renewed_before_it_expires_and_nobody_waits() {
    let mut setup = Setup::new().await;
    setup.office.good_for.store(12, Ordering::Relaxed);
    assert_eq!(setup.guest.get("/input/k").await.status, 200);
    // From the half of its time on there is to be another one, and until that is here this one is used.
    tokio::time::sleep(Duration::from_millis(6200)).await;
    setup.office.slow.store(500, Ordering::Relaxed);
    assert_eq!(setup.guest.get("/input/k").await.status, 200);
    assert_eq!(setup.seen(), ["token-1", "token-1"]);
    // Soon it is there.
    let started = tokio::time::Instant::now();
    while setup.seen().last().is_none_or(|token| token == "token-1") {
        assert!(started.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(setup.guest.get("/input/k").await.status, 200);
    }
    assert_eq!(setup.asked(), 2);
}

/// Twenty guests get the object at once.
async fn many_get_it(setup: &Setup) {
    let mut all = Vec::new();
    for _ in 0..20 {
        let mut guest = Guest::connect(&setup.gateway).await;
        all.push(tokio::spawn(
            async move { guest.get("/input/k").await.status },
        ));
    }
    for one in all {
        assert_eq!(one.await.unwrap(), 200);
    }
}

#[tokio::test]
async fn many_requests_ask_the_provider_once() {
    let setup = Setup::new().await;
    setup.office.slow.store(200, Ordering::Relaxed);
    many_get_it(&setup).await;
    assert_eq!(setup.asked(), 1);
    // And so do many to which a service says that the key is over.
    tokio::time::sleep(Duration::from_millis(2100)).await;
    setup.over.lock().unwrap().push("token-1".to_owned());
    many_get_it(&setup).await;
    assert_eq!(setup.asked(), 2);
}

#[tokio::test]
async fn a_key_that_is_over_is_replaced_once() {
    let mut setup = Setup::new().await;
    assert_eq!(setup.guest.get("/input/k").await.status, 200);
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let tokens = (1..9).map(|number| format!("token-{number}"));
    setup.over.lock().unwrap().extend(tokens);
    setup.seen();
    let refused = setup.guest.get("/input/k").await;
    assert_eq!(refused.error(), (503, "ServiceUnavailable"));
    assert!(
        refused.text().contains("have expired"),
        "{}",
        refused.text()
    );
    assert!(!refused.text().contains("token-"), "{}", refused.text());
    assert_eq!(setup.seen(), ["token-1", "token-2"]);
    setup.over.lock().unwrap().clear();
    assert_eq!(setup.guest.get("/input/k").await.status, 200);
}

#[tokio::test]
async fn a_provider_that_is_down() {
    let mut setup = Setup::new().await;
    setup.office.down.store(true, Ordering::Relaxed);
    let refused = setup.guest.get("/input/k").await;
    assert_eq!(refused.error(), (503, "ServiceUnavailable"));
    assert!(
        refused.text().contains("no credentials"),
        "{}",
        refused.text()
    );
    setup.office.down.store(false, Ordering::Relaxed);
    setup.office.good_for.store(10, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(setup.guest.get("/input/k").await.status, 200);
    // What was given is used to its end, and no longer.
    setup.office.down.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(5500)).await;
    assert_eq!(setup.guest.get("/input/k").await.status, 200);
    let started = tokio::time::Instant::now();
    while setup.guest.get("/input/k").await.status == 200 {
        assert!(started.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let refused = setup.guest.get("/input/k").await;
    assert_eq!(refused.error(), (503, "ServiceUnavailable"));
}

#[tokio::test]
async fn nothing_secret_is_shown() {
    let mut setup = Setup::new().await;
    assert_eq!(setup.guest.get("/input/k").await.status, 200);
    let shown = format!(
        "{:?} {:?}",
        setup.gateway, setup.gateway.upstream.credentials
    );
    let key = setup.gateway.upstream.credentials.get().await.unwrap();
    let shown = format!("{shown} {key:?}");
    assert!(
        !shown.contains(REAL_SECRET) && !shown.contains("token-1"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_key_that_was_replaced_in_its_file_is_read_again() {
    is_read_again("AKIAOLD", REAL_SECRET).await;
    // The store finds this one out by the signature.
    is_read_again(REAL_ID, "the-old-secret").await;
}

async fn is_read_again(id: &str, secret: &str) {
    use std::os::unix::fs::PermissionsExt as _;

    let (folder, address) = store_behind(|parts| {
        let authorization = parts.headers[AUTHORIZATION].to_str().unwrap();
        let known = authorization.contains(&format!("Credential={REAL_ID}/"));
        (!known).then(|| {
            s3_error(
                403,
                &[],
                "InvalidAccessKeyId",
                "<AWSAccessKeyId>AKIAOLD</AWSAccessKeyId>",
            )
        })
    })
    .await;
    std::fs::write(folder.path().join("input/k"), "x").unwrap();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("key");
    let write = |id: &str, secret: &str| {
        let text = format!("aws_access_key_id = {id}\naws_secret_access_key = {secret}\n");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    write(id, secret);
    let source = super::super::CredentialSource::File(path.clone());
    let provider = super::super::credentials_from(source).await.unwrap();
    let config = GatewayConfig::new(
        "us-east-1",
        HashMap::from([("s3".to_owned(), format!("http://{address}"))]),
    );
    let upstream = Upstream::new(config, provider).await.unwrap();
    let gateway = Gateway::new(upstream, Arc::new(policy()), "f".to_owned());
    let mut guest = Guest::connect(&gateway).await;
    let refused = guest.get("/input/k").await;
    assert_eq!(refused.error(), (502, "BadGateway"));
    assert!(!refused.text().contains("AKIAOLD"), "{}", refused.text());
    write(REAL_ID, REAL_SECRET);
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(guest.get("/input/k").await.status, 200);
}
