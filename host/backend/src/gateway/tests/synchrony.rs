// SPDX-License-Identifier: Apache-2.0
//! External synchrony, in simulations: a guest whose threads call the gateway, and a store that is slow, fails, loses answers
//! and says no. Time is virtual, and a seed decides everything. The store is the outside observer: at the moment in which it
//! sees an effect, each write of which the guest had been told before it asked for that effect must be there.
#![expect(clippy::cast_possible_truncation, reason = "numbers here are small")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use md5::{Digest as _, Md5};

use super::super::refusal::Wording;
use super::super::sign::SignedFor;
use super::super::upstream::{Body, Carrier, Carrying, Unanswered};
use super::super::{Access, BucketPolicy, BucketRule, Gateway, Policy, ServiceRule};
use super::{full, upstream_by};
use crate::writeback::Writeback;

/// Simulations in one run, unless the variable says otherwise.
const SCHEDULES: u64 = 400;
const VARIABLE: &str = "NEXUS_SCHEDULES";

/// What a guest does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Put,
    Delete,
    Get,
    List,
    /// A call of another service.
    Publish,
    /// Bytes on a socket, which wait at the same gate.
    Socket,
    /// A put straight to the store, which nothing holds back: for the proof that the observer sees such a thing.
    Leak,
}

/// Something that the guest has asked for.
#[derive(Debug, Clone)]
struct Asked {
    doing: Doing,
    key: String,
    /// Writes that it had been told of as done.
    after: BTreeSet<u64>,
}

#[derive(Debug, Default)]
struct World {
    random: u64,
    asked: Vec<Asked>,
    /// Writes that the guest was told of as done.
    told: BTreeSet<u64>,
    /// Writes that are in the store.
    durable: BTreeSet<u64>,
    objects: BTreeMap<String, u64>,
    violations: Vec<String>,
    /// Writes that were there only after the guest had been told.
    deferred: u64,
}

impl World {
    /// SplitMix64: the next random number below `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    fn pause(&mut self) -> Duration {
        // Mostly short; sometimes longer than anything else takes.
        let limit = if self.below(8) == 0 { 20_000 } else { 50 };
        Duration::from_millis(self.below(limit))
    }

    /// Somebody outside sees what was asked for.
    fn seen(&mut self, number: u64) {
        let asked = self.asked[number as usize].clone();
        let missing: Vec<_> = asked.after.difference(&self.durable).collect();
        if !missing.is_empty() {
            let what = format!("{number} {asked:?} was seen before the writes {missing:?}");
            self.violations.push(what);
        }
        match asked.doing {
            Doing::Put | Doing::Leak => self.objects.insert(asked.key, number),
            Doing::Delete => self.objects.remove(&asked.key),
            _ => return,
        };
        if self.durable.insert(number) && self.told.contains(&number) {
            self.deferred += 1;
        }
    }
}

/// How the store treats a request.
enum Fate {
    Done,
    Refused(StatusCode),
    /// The connection breaks, with or without the request having been done.
    Broken {
        done: bool,
    },
}

#[derive(Clone)]
struct Store {
    world: Arc<Mutex<World>>,
    /// Of a hundred requests, how many go wrong.
    trouble: u64,
}

impl Store {
    fn with<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.world.lock().unwrap())
    }

    fn fate(&self) -> Fate {
        self.with(|world| {
            if world.below(100) >= self.trouble {
                return Fate::Done;
            }
            match world.below(10) {
                0 => Fate::Refused(StatusCode::FORBIDDEN),
                1..=4 => Fate::Refused(StatusCode::SERVICE_UNAVAILABLE),
                5..=7 => Fate::Broken { done: false },
                _ => Fate::Broken { done: true },
            }
        })
    }

    /// What the store answers to a request that it has done.
    fn answer(&self, asked: &Asked, body: &[u8]) -> Response<Body> {
        let answer = Response::builder().header("x-amz-request-id", "0123456789ABCDEF");
        let (answer, body) = match asked.doing {
            Doing::Put | Doing::Leak => {
                let hex: String = Md5::digest(body)
                    .iter()
                    .map(|b| format!("{b:02x}"))
                    .collect();
                (answer.header("etag", format!("\"{hex}\"")), String::new())
            }
            Doing::Delete => (answer.status(204), String::new()),
            Doing::Get => match self.with(|world| world.objects.get(&asked.key).copied()) {
                Some(number) => (answer, number.to_string()),
                None => (answer.status(404), String::new()),
            },
            Doing::List => {
                let keys = self.with(|world| {
                    let mine = |key: &&String| key.starts_with(&asked.key);
                    world
                        .objects
                        .keys()
                        .filter(mine)
                        .cloned()
                        .collect::<Vec<_>>()
                });
                (answer, keys.join(" "))
            }
            Doing::Publish | Doing::Socket => (answer, String::new()),
        };
        answer.body(full(body)).unwrap()
    }

    async fn serve(self, request: Request<Body>) -> Result<Response<Body>, Unanswered> {
        let broken = || Unanswered {
            sent: true,
            kept: false,
            source: "the connection broke".into(),
        };
        let number = number_of(&request);
        let asked = self.with(|world| world.asked[number as usize].clone());
        // The rest of it may never come.
        let body = request.into_body().collect().await;
        let body = body.map_err(|_| broken())?.to_bytes();
        tokio::time::sleep(self.with(World::pause)).await;
        let answer = match self.fate() {
            Fate::Refused(status) => {
                let mut answer = Response::new(full(Bytes::new()));
                *answer.status_mut() = status;
                Ok(answer)
            }
            Fate::Broken { done: false } => Err(broken()),
            Fate::Broken { done: true } => {
                self.with(|world| world.seen(number));
                Err(broken())
            }
            Fate::Done => {
                self.with(|world| world.seen(number));
                Ok(self.answer(&asked, &body))
            }
        };
        tokio::time::sleep(self.with(World::pause)).await;
        answer
    }
}

impl Carrier for Store {
    fn carry(&self, request: Request<Body>) -> Carrying {
        Box::pin(self.clone().serve(request))
    }
}

fn number_of(request: &Request<Body>) -> u64 {
    let number = request.headers().get("x-amz-meta-number");
    number.unwrap().to_str().unwrap().parse().unwrap()
}

/// A thread of the guest, whose keys are its own.
#[derive(Clone)]
struct Thread {
    name: u64,
    store: Store,
    gateway: Arc<Gateway>,
    writeback: Arc<Writeback>,
    /// What a single-threaded program knows its objects to be; none where a call has failed.
    mine: Arc<Mutex<BTreeMap<String, Option<u64>>>>,
}

impl Thread {
    async fn run(self, doings: Vec<Doing>) {
        for doing in doings {
            let pause = self.store.with(World::pause);
            tokio::time::sleep(pause / 4).await;
            let (prefix, pick) = (format!("t{}/", self.name), self.store.with(|w| w.below(3)));
            let key = match doing {
                Doing::List => prefix,
                _ => format!("{prefix}{pick}"),
            };
            let asked = Asked {
                doing,
                key,
                after: self.store.with(|world| world.told.clone()),
            };
            let number = self.store.with(|world| {
                world.asked.push(asked.clone());
                world.asked.len() as u64 - 1
            });
            self.ask(&asked, number).await;
        }
    }

    async fn ask(&self, asked: &Asked, number: u64) {
        let (method, path, service) = match asked.doing {
            Doing::Put | Doing::Leak => (Method::PUT, format!("/b/{}", asked.key), "s3"),
            Doing::Delete => (Method::DELETE, format!("/b/{}", asked.key), "s3"),
            Doing::Get => (Method::GET, format!("/b/{}", asked.key), "s3"),
            Doing::List => (Method::GET, format!("/b?prefix={}", asked.key), "s3"),
            Doing::Publish => (Method::POST, "/".to_owned(), "sqs"),
            Doing::Socket => {
                self.writeback.cleared().await;
                return self.store.with(|world| world.seen(number));
            }
        };
        let body = full(number.to_string());
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-amz-meta-number", number)
            .header("x-amz-target", "AmazonSQS.SendMessage")
            .body(body)
            .unwrap();
        if asked.doing == Doing::Leak {
            self.mine.lock().unwrap().insert(asked.key.clone(), None);
            drop(self.store.clone().serve(request).await);
            return;
        }
        let (mut parts, body) = request.into_parts();
        if service == "s3" {
            parts.headers.remove("x-amz-target");
        }
        let signed_for = SignedFor::new("us-east-1", service).unwrap();
        let wording = Wording::of(service, false);
        let gateway = Arc::clone(&self.gateway);
        let answer = gateway.call(parts, signed_for, wording, body).await;
        self.told(asked, number, answer).await;
    }

    /// The guest hears of it.
    async fn told(&self, asked: &Asked, number: u64, answer: Response<Body>) {
        let status = answer.status();
        let Ok(body) = answer.into_body().collect().await else {
            return;
        };
        let body = String::from_utf8(body.to_bytes().to_vec()).unwrap();
        let mut mine = self.mine.lock().unwrap();
        let known = mine.get(&asked.key).copied();
        match asked.doing {
            Doing::Put | Doing::Delete if status.is_success() => {
                self.store.with(|world| world.told.insert(number));
                mine.insert(
                    asked.key.clone(),
                    (asked.doing == Doing::Put).then_some(number),
                );
                if asked.doing == Doing::Delete {
                    mine.remove(&asked.key);
                }
            }
            // Nobody knows what became of it.
            Doing::Put | Doing::Delete => {
                mine.insert(asked.key.clone(), None);
            }
            Doing::Get if status.is_success() || status == StatusCode::NOT_FOUND => {
                let got = (!body.is_empty()).then_some(body);
                if !matches!(known, Some(None)) {
                    let wanted = known.flatten().map(|number| number.to_string());
                    assert_eq!(got, wanted, "read of {asked:?}");
                }
            }
            Doing::List if status.is_success() => {
                let listed: Vec<_> = body.split_whitespace().collect();
                for (key, number) in mine.iter() {
                    let there = listed.contains(&key.as_str());
                    assert!(
                        number.is_none() || there,
                        "{key} is not in the list {listed:?}"
                    );
                }
            }
            _ => {}
        }
    }
}

/// What came of a simulation.
struct Outcome {
    violations: Vec<String>,
    deferred: u64,
    failed: bool,
}

/// Runs a program of a few threads, which `choose` from what may be done, against a store with some trouble.
fn simulate(seed: u64, trouble: u64, choices: &[Doing]) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(run(seed, trouble, choices))
}

async fn run(seed: u64, trouble: u64, choices: &[Doing]) -> Outcome {
    let world = World {
        random: seed,
        ..World::default()
    };
    let store = Store {
        world: Arc::new(Mutex::new(world)),
        trouble,
    };
    let writeback = Writeback::new(1024 * 1024);
    let gateway = gateway(&store, &writeback);
    let mut threads = tokio::task::JoinSet::new();
    for name in 0..=store.with(|world| world.below(3)) {
        let doings = store.with(|world| {
            let count = 4 + world.below(6);
            let pick = |_| choices[world.below(choices.len() as u64) as usize];
            (0..count).map(pick).collect()
        });
        let thread = Thread {
            name,
            store: store.clone(),
            gateway: Arc::clone(&gateway),
            writeback: Arc::clone(&writeback),
            mine: Arc::default(),
        };
        // Where a write has failed, what waits for it waits for good.
        let patience = Duration::from_secs(24 * 60 * 60);
        threads.spawn(tokio::time::timeout(patience, thread.run(doings)));
    }
    while let Some(ended) = threads.join_next().await {
        ended.unwrap().ok();
    }
    // The response of the invocation.
    let settled = writeback.settled(writeback.point()).await;
    store.with(|world| {
        let missing: Vec<_> = world.told.difference(&world.durable).collect();
        if settled.is_ok() && !missing.is_empty() {
            let what = format!("the response was seen before the writes {missing:?}");
            world.violations.push(what);
        }
        Outcome {
            violations: world.violations.clone(),
            deferred: world.deferred,
            failed: settled.is_err(),
        }
    })
}

fn gateway(store: &Store, writeback: &Arc<Writeback>) -> Arc<Gateway> {
    let policy = Policy {
        buckets: BucketPolicy {
            rules: vec![BucketRule {
                bucket: "b".into(),
                prefix: String::new(),
                access: Access::ReadWrite,
            }],
        },
        services: vec![ServiceRule {
            service: "sqs".into(),
            actions: Vec::new(),
        }],
        ..Policy::default()
    };
    let upstream = upstream_by(store.clone());
    let (writeback, inputs) = (Arc::clone(writeback), Arc::default());
    Gateway::of_vm(upstream, Arc::new(policy), "f".into(), writeback, inputs)
}

const HONEST: [Doing; 9] = [
    Doing::Put,
    Doing::Put,
    Doing::Put,
    Doing::Put,
    Doing::Delete,
    Doing::Get,
    Doing::List,
    Doing::Publish,
    Doing::Socket,
];

#[test]
fn nothing_is_seen_before_the_writes_that_it_follows() {
    let schedules = std::env::var(VARIABLE).map_or(SCHEDULES, |text| text.parse().unwrap());
    let (mut deferred, mut failed) = (0, 0);
    for seed in 0..schedules {
        let outcome = simulate(seed, seed % 4 * 15, &HONEST);
        assert!(
            outcome.violations.is_empty(),
            "seed {seed}: {:#?}",
            outcome.violations
        );
        deferred += outcome.deferred;
        failed += u64::from(outcome.failed);
    }
    println!("{schedules} schedules: {deferred} deferred writes, {failed} failed invocations");
    // Otherwise it would show nothing.
    assert!(deferred > schedules && failed > schedules / 20);
}

#[test]
fn a_seed_decides_everything() {
    let of = |seed| {
        let outcome = simulate(seed, 30, &HONEST);
        (outcome.deferred, outcome.failed)
    };
    for seed in 0..20 {
        assert_eq!(of(seed), of(seed), "seed {seed}");
    }
}

#[test]
fn the_observer_sees_what_leaks() {
    let mut choices = HONEST.to_vec();
    choices.push(Doing::Leak);
    let seen = |seed| !simulate(seed, 0, &choices).violations.is_empty();
    assert!((0..40).any(seen));
}
