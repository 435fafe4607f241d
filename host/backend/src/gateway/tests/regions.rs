// SPDX-License-Identifier: Apache-2.0
//! Buckets in other regions: real stores that each say of the other one's buckets what S3 says, under Amazon's names.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::AtomicU8;

use super::super::upstream::{Carrying, Unanswered};
use super::*;

const HERE: &str = "us-east-1";
const THERE: &str = "eu-west-1";

/// How a store says that a bucket is elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Manner {
    /// 301 with a header.
    Header,
    /// 301 with a document that names a host.
    Document,
    /// 307 with a host and nothing else.
    Temporary,
    /// 400 with the region.
    Malformed,
    /// 301 that says nothing more.
    Nothing,
    /// 301 to a host that is not Amazon's.
    Stranger,
    /// To where it is already.
    Circle,
    OptIn,
}

const MANNERS: [Manner; 8] = [
    Manner::Header,
    Manner::Document,
    Manner::Temporary,
    Manner::Malformed,
    Manner::Nothing,
    Manner::Stranger,
    Manner::Circle,
    Manner::OptIn,
];

fn elsewhere(manner: Manner, head: bool) -> http::Response<Body> {
    let told = [("x-amz-bucket-region", THERE)];
    let mut answer = match manner {
        Manner::Header => s3_error(301, &told, "PermanentRedirect", ""),
        Manner::Document => {
            let host = "<Endpoint>input.s3.eu-west-1.amazonaws.com</Endpoint>";
            s3_error(301, &[], "PermanentRedirect", host)
        }
        Manner::Temporary => {
            let host = "<Endpoint>input.s3-eu-west-1.amazonaws.com</Endpoint>";
            let location = [("location", "http://169.254.169.254/latest")];
            s3_error(307, &location, "TemporaryRedirect", host)
        }
        Manner::Malformed if head => {
            let mut answer = s3_error(400, &told, "", "");
            *answer.body_mut() = full("");
            answer
        }
        Manner::Malformed => {
            let region = "<Region>eu-west-1</Region>";
            s3_error(400, &[], "AuthorizationHeaderMalformed", region)
        }
        Manner::Nothing => s3_error(301, &[], "PermanentRedirect", ""),
        Manner::Stranger => {
            let host = "<Endpoint>169.254.169.254</Endpoint>";
            let location = [("location", "http://169.254.169.254/latest")];
            s3_error(301, &location, "PermanentRedirect", host)
        }
        Manner::Circle => {
            let here = [("x-amz-bucket-region", HERE)];
            s3_error(301, &here, "PermanentRedirect", "")
        }
        Manner::OptIn => s3_error(400, &told, "IllegalLocationConstraintException", ""),
    };
    if head {
        *answer.body_mut() = full("");
    }
    answer
}

/// Two stores, and what came to them.
struct World {
    _folders: [TempDir; 2],
    there: std::path::PathBuf,
    seen: Arc<Mutex<Vec<String>>>,
    manner: Arc<AtomicU8>,
    strangers: Arc<Mutex<HashSet<String>>>,
    gateway: Arc<Gateway>,
}

/// Leads Amazon's names to the stores of the test, by connections as real ones.
struct Names {
    known: HashMap<String, SocketAddr>,
    strangers: Arc<Mutex<HashSet<String>>>,
}

impl Carrier for Names {
    fn carry(&self, request: Request<Body>) -> Carrying {
        let host = request.uri().host().unwrap().to_owned();
        let address = self.known.get(&host).copied();
        if address.is_none() {
            self.strangers.lock().unwrap().insert(host);
        }
        Box::pin(async move {
            let lost = |error: super::super::upstream::BodyError| Unanswered {
                sent: false,
                kept: false,
                source: error,
            };
            let address = address.ok_or_else(|| lost("no such host".into()))?;
            let stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            let answer = sender
                .send_request(request)
                .await
                .map_err(|e| lost(e.into()))?;
            Ok(answer.map(|body| body.map_err(Into::into).boxed_unsync()))
        })
    }
}

impl World {
    async fn new() -> Self {
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let manner = Arc::new(AtomicU8::new(0));
        let (log, how) = (Arc::clone(&seen), Arc::clone(&manner));
        let (here_folder, here) = store_behind(move |parts| {
            let line = format!("here {} {}", parts.method, parts.uri.path());
            log.lock().unwrap().push(line);
            let manner = MANNERS[usize::from(how.load(Ordering::Relaxed))];
            // Only HeadBucket, which says it in any case.
            let asks = parts.method == Method::HEAD && parts.uri.path().matches('/').count() == 1;
            if asks && manner != Manner::Circle && manner != Manner::Stranger {
                return Some(elsewhere(Manner::Header, true));
            }
            Some(elsewhere(manner, parts.method == Method::HEAD))
        })
        .await;
        let log = Arc::clone(&seen);
        let (there_folder, there) = store_behind(move |parts| {
            let line = format!("there {} {}", parts.method, parts.uri.path());
            log.lock().unwrap().push(line);
            (signed_region(parts) != THERE).then(|| {
                let region = "<Region>eu-west-1</Region>";
                s3_error(400, &[], "AuthorizationHeaderMalformed", region)
            })
        })
        .await;
        let strangers: Arc<Mutex<HashSet<String>>> = Arc::default();
        let known = [(HERE, here), (THERE, there)];
        let names = Names {
            known: known
                .map(|(region, address)| (format!("s3.{region}.amazonaws.com"), address))
                .into(),
            strangers: Arc::clone(&strangers),
        };
        let urls = [("s3".to_owned(), format!("https://s3.{HERE}.amazonaws.com"))];
        let upstream = Upstream::by(names, endpoints(urls.into()).unwrap(), HERE.into(), key());
        Self {
            there: there_folder.path().to_owned(),
            _folders: [here_folder, there_folder],
            seen,
            manner,
            strangers,
            gateway: Gateway::new(upstream, Arc::new(policy()), "f".to_owned()),
        }
    }

    async fn by(manner: Manner) -> (Self, Guest) {
        let world = Self::new().await;
        world.manner.store(manner as u8, Ordering::Relaxed);
        std::fs::write(world.there.join("input/k"), "far").unwrap();
        let guest = Guest::connect(&world.gateway).await;
        (world, guest)
    }

    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

#[tokio::test]
async fn a_bucket_elsewhere_is_found_once() {
    for manner in [
        Manner::Header,
        Manner::Document,
        Manner::Temporary,
        Manner::Malformed,
        Manner::OptIn,
    ] {
        let (world, mut guest) = World::by(manner).await;
        let got = guest.get("/input/k").await;
        assert_eq!((got.status, got.text()), (200, "far"), "{manner:?}");
        assert_eq!(
            world.seen(),
            ["here GET /input/k", "there GET /input/k"],
            "{manner:?}"
        );
        // From now on it is known, for other methods and bodies as well.
        let listed = guest.get("/input?list-type=2").await;
        assert!(listed.text().contains("<Key>k</Key>"));
        assert_eq!(guest.call(Method::HEAD, "/input", "").await.status, 200);
        assert_eq!(
            world.seen(),
            ["there GET /input", "there HEAD /input"],
            "{manner:?}"
        );
        assert_eq!(
            guest.put("/out/new", "hello").await.status,
            200,
            "{manner:?}"
        );
        assert_eq!(
            world.seen(),
            ["here PUT /out/new", "there PUT /out/new"],
            "{manner:?}"
        );
        assert_eq!(
            std::fs::read(world.there.join("out/new")).unwrap(),
            b"hello"
        );
        assert!(world.strangers.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn where_nothing_is_said_the_bucket_is_asked() {
    let (world, mut guest) = World::by(Manner::Nothing).await;
    assert_eq!(guest.get("/input/k").await.status, 200);
    assert_eq!(
        world.seen(),
        [
            "here GET /input/k",
            "here HEAD /input",
            "there GET /input/k"
        ]
    );
    // HEAD, whose answer has no document.
    for manner in [Manner::Malformed, Manner::Nothing, Manner::Header] {
        let (world, mut guest) = World::by(manner).await;
        assert_eq!(
            guest.call(Method::HEAD, "/input/k", "").await.status,
            200,
            "{manner:?}"
        );
        assert!(
            world.seen().contains(&"there HEAD /input/k".to_owned()),
            "{manner:?}"
        );
    }
}

#[tokio::test]
async fn hosts_that_answers_name_are_not_asked() {
    let (world, mut guest) = World::by(Manner::Stranger).await;
    let answer = guest.get("/input/k").await;
    assert_eq!(
        answer.error(),
        (301, "PermanentRedirect"),
        "the store's own answer"
    );
    assert!(world.strangers.lock().unwrap().is_empty());
    assert_eq!(world.seen(), ["here GET /input/k", "here HEAD /input"]);
}

#[tokio::test]
async fn circles_end() {
    let (world, mut guest) = World::by(Manner::Circle).await;
    assert_eq!(
        guest.get("/input/k").await.error(),
        (301, "PermanentRedirect")
    );
    assert_eq!(world.seen(), ["here GET /input/k"]);
    // Known wrongly, and again: each request is sent twice at most.
    world.gateway.upstream.regions.learn("input", THERE);
    world.manner.store(Manner::Circle as u8, Ordering::Relaxed);
    std::fs::remove_file(world.there.join("input/k")).unwrap();
    assert_eq!(guest.get("/input/k").await.error(), (404, "NoSuchKey"));
    assert_eq!(world.seen(), ["there GET /input/k"]);
}

#[tokio::test]
async fn a_body_that_comes_once_is_sent_to_the_right_place() {
    let (world, mut guest) = World::by(Manner::Header).await;
    let (body, _) = Made::body(3 * MIB);
    let put = guest
        .send(request(Method::PUT, "/out/large", &[], body))
        .await;
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(world.seen(), ["here HEAD /out", "there PUT /out/large"]);
    let length = std::fs::metadata(world.there.join("out/large"))
        .unwrap()
        .len();
    assert_eq!(length, 3 * MIB as u64);
    // A store that does not say: its answer is the guest's, and nothing is sent in part.
    let (world, mut guest) = World::by(Manner::Circle).await;
    let (body, _) = Made::body(3 * MIB);
    let put = guest
        .send(request(Method::PUT, "/out/large", &[], body))
        .await;
    assert_eq!(put.error(), (301, "PermanentRedirect"));
    assert!(!world.there.join("out/large").exists());
}

#[tokio::test]
async fn the_guests_own_region_is_where_it_is_sent() {
    let (world, guest) = World::by(Manner::Header).await;
    let signed_for = super::super::sign::SignedFor::new(THERE, "s3").unwrap();
    let (parts, ()) = Request::get("/input/k").body(()).unwrap().into_parts();
    let wording = super::super::refusal::Wording::S3;
    let gateway = Arc::clone(&world.gateway);
    let answer = gateway.call(parts, signed_for, wording, full("")).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(world.seen(), ["there GET /input/k"]);
    // One for which the host has no key is not.
    let signed_for = super::super::sign::SignedFor::new("cn-north-1", "s3").unwrap();
    let (parts, ()) = Request::get("/input/k").body(()).unwrap().into_parts();
    let gateway = Arc::clone(&world.gateway);
    let answer = gateway.call(parts, signed_for, wording, full("")).await;
    assert_eq!(answer.status(), 200);
    assert!(world.strangers.lock().unwrap().is_empty());
    drop(guest);
}

#[tokio::test]
async fn a_store_that_is_not_amazons_is_asked_in_its_own_region() {
    let (folder, address) = store_behind(|parts| {
        (signed_region(parts) != "garage").then(|| {
            let region = "<Region>garage</Region>";
            s3_error(400, &[], "AuthorizationHeaderMalformed", region)
        })
    })
    .await;
    std::fs::write(folder.path().join("input/k"), "near").unwrap();
    let mut guest = Guest::connect(&gateway_to(&format!("http://{address}")).await).await;
    for _ in 0..2 {
        assert_eq!(guest.get("/input/k").await.text(), "near");
    }
}
