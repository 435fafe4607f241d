// SPDX-License-Identifier: Apache-2.0
//! Functions with roles: an STS that gives keys for them, and a store that takes no others.

use std::sync::Mutex;

use super::super::{Audit, Entry, RoleArn};
use super::*;

const ROLE: &str = "arn:aws:iam::123456789012:role/thumbnailer";
const ROLE_ID: &str = "ASIAROLE";
const ROLE_SECRET: &str = "the-secret-of-the-role";

/// A request that STS got: who signed it, and its form.
type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// What STS says to the request of this number, from 1 on.
type Says = fn(usize) -> (u16, String);

/// Keys that differ by their token.
fn given(number: usize) -> (u16, String) {
    let key = format!(
        "<AccessKeyId>{ROLE_ID}</AccessKeyId><SecretAccessKey>{ROLE_SECRET}</SecretAccessKey><SessionToken>token-{number}</SessionToken><Expiration>2026-11-26T18:00:00Z</Expiration>"
    );
    let text = format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>{key}</Credentials></AssumeRoleResult></AssumeRoleResponse>"
    );
    (200, text)
}

fn denied(_: usize) -> (u16, String) {
    let text = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not for you</Message></Error></ErrorResponse>";
    (403, text.into())
}

async fn sts(says: Says) -> (SocketAddr, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Asked::default();
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            let answer = service_fn(move |request: Request<Incoming>| {
                let seen = Arc::clone(&seen);
                async move {
                    let authorization = request.headers()[AUTHORIZATION].to_str().unwrap();
                    let (_, credential) = authorization.split_once("Credential=").unwrap();
                    let signer = credential.split('/').next().unwrap().to_owned();
                    let form = request.into_body().collect().await.unwrap().to_bytes();
                    let form = String::from_utf8(form.to_vec()).unwrap();
                    let number = {
                        let mut seen = seen.lock().unwrap();
                        seen.push((signer, form));
                        seen.len()
                    };
                    let (status, text) = says(number);
                    let answer = http::Response::builder().status(status).body(full(text));
                    Ok::<_, http::Error>(answer.unwrap())
                }
            });
            tokio::spawn(async move {
                let connection = hyper::server::conn::http1::Builder::new();
                let served = connection.serve_connection(TokioIo::new(stream), answer);
                served.await.ok();
            });
        }
    });
    (address, asked)
}

#[derive(Debug, Default)]
struct Log(Mutex<Vec<Entry>>);

impl Audit for Log {
    fn record(&self, entry: Entry) {
        self.0.lock().unwrap().push(entry);
    }
}

struct Setup {
    _folder: TempDir,
    asked: Asked,
    /// Tokens that the store refuses.
    over: Arc<Mutex<Vec<String>>>,
    log: Arc<Log>,
    upstream: Arc<Upstream>,
}

impl Setup {
    async fn new(says: Says) -> Self {
        let over = Arc::<Mutex<Vec<String>>>::default();
        let refused = Arc::clone(&over);
        let (folder, store) = store_with((ROLE_ID, ROLE_SECRET), move |parts| {
            let token = parts.headers.get("x-amz-security-token")?.to_str().unwrap();
            let is_over = refused.lock().unwrap().iter().any(|over| over == token);
            is_over.then(|| s3_error(400, &[], "ExpiredToken", ""))
        })
        .await;
        std::fs::write(folder.path().join("input/k"), "x").unwrap();
        let (sts, asked) = sts(says).await;
        let urls = [("s3", store), ("sts", sts)];
        let urls = urls.map(|(service, at)| (service.to_owned(), format!("http://{at}")));
        let log = Arc::new(Log::default());
        let config = GatewayConfig {
            audit: Some(Arc::clone(&log) as Arc<dyn Audit>),
            ..GatewayConfig::new("us-east-1", HashMap::from(urls))
        };
        Self {
            _folder: folder,
            asked,
            over,
            log,
            upstream: Upstream::new(config, key()).await.unwrap(),
        }
    }

    /// A guest of the function `name`, which has a role or none.
    async fn guest(&self, name: &str, role: Option<&str>) -> Guest {
        let policy = Policy {
            role: role.map(|role| role.parse::<RoleArn>().unwrap()),
            ..policy()
        };
        let upstream = Arc::clone(&self.upstream);
        Guest::connect(&Gateway::new(upstream, Arc::new(policy), name.to_owned())).await
    }

    fn asked(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

#[tokio::test]
async fn a_function_with_a_role_has_the_roles_key() {
    let setup = Setup::new(given).await;
    // The host's own key is not the store's.
    let mut plain = setup.guest("f", None).await;
    assert_eq!(plain.get("/input/k").await.status, 403);
    assert_eq!(setup.asked(), []);
    for _ in 0..2 {
        let mut guest = setup.guest("f", Some(ROLE)).await;
        for _ in 0..2 {
            assert_eq!(guest.get("/input/k").await.status, 200);
        }
    }
    let form = "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fthumbnailer&RoleSessionName=nexus-f&DurationSeconds=3600";
    let once = (REAL_ID.to_owned(), form.to_owned());
    assert_eq!(setup.asked(), [once], "one key for all VMs of a function");
    // Another function in it is another session in the account's records.
    let mut other = setup.guest("g", Some(ROLE)).await;
    assert_eq!(other.get("/input/k").await.status, 200);
    assert!(setup.asked()[0].1.contains("RoleSessionName=nexus-g&"));
    // What policy forbids no role allows.
    assert_eq!(other.get("/elsewhere/k").await.status, 403);
    let entries = setup.log.0.lock().unwrap();
    let roles: Vec<_> = entries.iter().map(|entry| entry.role.as_deref()).collect();
    assert_eq!(roles[0], None);
    assert!(roles[1..].iter().all(|role| *role == Some(ROLE)));
}

#[tokio::test]
async fn a_roles_key_that_is_over_is_replaced() {
    let setup = Setup::new(given).await;
    let mut guest = setup.guest("f", Some(ROLE)).await;
    assert_eq!(guest.get("/input/k").await.status, 200);
    tokio::time::sleep(Duration::from_millis(2100)).await;
    setup.over.lock().unwrap().push("token-1".into());
    assert_eq!(guest.get("/input/k").await.status, 200);
    assert_eq!(setup.asked().len(), 2);
}

#[tokio::test]
async fn a_role_that_cannot_be_assumed() {
    let garbage: Says = |_| (200, "<a><AccessKeyId>ASIAX</AccessKeyId></a>".into());
    let long: Says = |_| (200, "x".repeat(100_000));
    let nothing: Says = |_| (200, String::new());
    let broken: Says = |_| (500, "the-secret-of-the-role".into());
    for says in [denied, garbage, long, nothing, broken] {
        let setup = Setup::new(says).await;
        let mut guest = setup.guest("f", Some(ROLE)).await;
        let refused = guest.get("/input/k").await;
        assert_eq!(refused.error(), (503, "ServiceUnavailable"));
        let text = refused.text();
        assert!(
            text.contains("cannot assume") && text.contains(ROLE),
            "{text}"
        );
        assert!(
            !text.contains("ASIAX") && !text.contains(ROLE_SECRET),
            "{text}"
        );
        // It is not asked for each call.
        assert_eq!(guest.get("/input/k").await.status, 503);
        assert_eq!(setup.asked().len(), 1);
    }
}
