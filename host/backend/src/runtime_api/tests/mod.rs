// SPDX-License-Identifier: Apache-2.0
//! A runtime as the API sees it: requests over a connection, one after the other.

mod errors;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;

use super::*;

const ID: &str = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";

struct Runtime(SendRequest<Full<Bytes>>);

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(self.headers["content-type"], "application/json");
        serde_json::from_slice(&self.body).unwrap()
    }

    fn error_type(&self) -> String {
        self.json()["errorType"].as_str().unwrap().to_owned()
    }
}

impl Runtime {
    async fn connect(api: &Arc<RuntimeApi>) -> Self {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        tokio::spawn(api.clone().serve(Box::pin(theirs)));
        let (sender, connection) = handshake(TokioIo::new(ours)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Answer {
        let (parts, body) = self.0.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        }
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.send(
            Request::get(format!("/2018-06-01/runtime/{path}"))
                .body(Full::default())
                .unwrap(),
        )
        .await
    }

    async fn next(&mut self) -> Answer {
        self.get("invocation/next").await
    }

    async fn post(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut request = Request::post(format!("/2018-06-01/runtime/{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Full::new(body.into())).unwrap())
            .await
    }

    async fn respond(&mut self, id: &str, body: &'static str) -> Answer {
        self.post(
            &format!("invocation/{id}/response"),
            &[("content-type", "application/json")],
            body,
        )
        .await
    }
}

fn invocation(id: &str, payload: &'static str) -> Invocation {
    Invocation {
        request_id: id.to_owned(),
        function_arn: "arn:aws:lambda:eu-west-1:000000000000:function:f".to_owned(),
        deadline: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_003_500),
        trace_id: None,
        client_context: None,
        payload: payload.into(),
    }
}

fn start(
    api: &Arc<RuntimeApi>,
    invocation: Invocation,
) -> JoinHandle<Result<Outcome, RuntimeError>> {
    let api = api.clone();
    tokio::spawn(async move { api.invoke(invocation).await })
}

fn response(body: &'static str) -> Outcome {
    Outcome::Response {
        payload: body.into(),
        content_type: Some("application/json".to_owned()),
    }
}

fn error_type(outcome: Result<Outcome, RuntimeError>) -> Option<String> {
    match outcome {
        Ok(Outcome::Error { error_type, .. }) => error_type,
        other => panic!("not an error: {other:?}"),
    }
}

/// A runtime that has an event.
async fn running() -> (
    Arc<RuntimeApi>,
    Runtime,
    JoinHandle<Result<Outcome, RuntimeError>>,
) {
    let api = RuntimeApi::new(RuntimeLimits::default());
    let call = start(&api, invocation(ID, "{}"));
    let mut runtime = Runtime::connect(&api).await;
    assert_eq!(runtime.next().await.status, 200);
    (api, runtime, call)
}

#[tokio::test]
async fn events_and_results() {
    let api = RuntimeApi::new(RuntimeLimits::default());
    let mut runtime = Runtime::connect(&api).await;
    for round in 0..3 {
        let caller = async {
            api.wait_until_waiting().await;
            api.initialised().await.unwrap();
            api.invoke(invocation(ID, r#"{"n":1}"#)).await
        };
        let turn = async {
            let answer = runtime.next().await;
            let event = (answer.status, &answer.body[..]);
            assert_eq!(event, (200, &br#"{"n":1}"#[..]), "round {round}");
            assert_eq!(answer.headers["content-type"], "application/json");
            assert_eq!(answer.headers["lambda-runtime-aws-request-id"], ID);
            assert_eq!(
                answer.headers["lambda-runtime-deadline-ms"],
                "1700000003500"
            );
            let arn = "arn:aws:lambda:eu-west-1:000000000000:function:f";
            assert_eq!(answer.headers["lambda-runtime-invoked-function-arn"], arn);
            assert!(!answer.headers.contains_key("lambda-runtime-trace-id"));
            assert!(!api.waiting());
            let accepted = runtime.respond(ID, r#""done""#).await;
            assert_eq!(accepted.status, 202);
            assert_eq!(accepted.json()["status"], "OK");
        };
        let (outcome, ()) = tokio::join!(caller, turn);
        assert_eq!(outcome, Ok(response(r#""done""#)));
    }
    let names: Vec<_> = api.marks().iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        [
            mark::INITIALISED,
            mark::HANDED_OVER,
            mark::TAKEN,
            mark::ANSWER_BEGINS,
            mark::ANSWERED
        ]
    );
    assert!(api.marks().is_sorted_by_key(|(_, at)| *at));
}

#[tokio::test]
async fn trace_and_client_context_become_headers() {
    let api = RuntimeApi::new(RuntimeLimits::default());
    let mut with_context = invocation(ID, "{}");
    with_context.trace_id = Some("Root=1-5bef4de7;Sampled=1".to_owned());
    with_context.client_context = Some("{\n\t\"custom\": \"ä\"}".to_owned());
    let _call = start(&api, with_context.clone());
    let answer = Runtime::connect(&api).await.next().await;
    assert_eq!(
        answer.headers["lambda-runtime-trace-id"],
        "Root=1-5bef4de7;Sampled=1"
    );
    assert_eq!(
        answer.headers["lambda-runtime-client-context"].as_bytes(),
        "{  \"custom\": \"ä\"}".as_bytes()
    );

    let fresh = RuntimeApi::new(RuntimeLimits::default());
    with_context.client_context = Some("not json".to_owned());
    let refused = fresh.invoke(with_context).await;
    assert!(
        matches!(
            refused,
            Err(RuntimeError::Invalid {
                field: "the client context",
                ..
            })
        ),
        "{refused:?}"
    );
}

#[tokio::test]
async fn next_while_running_gives_the_same_event() {
    let (api, _runtime, _call) = running().await;
    let again = Runtime::connect(&api).await.next().await;
    assert_eq!(again.headers["lambda-runtime-aws-request-id"], ID);
}

#[tokio::test]
async fn a_lost_connection_is_not_waiting_and_loses_no_event() {
    let api = RuntimeApi::new(RuntimeLimits::default());
    let (mut ours, theirs) = tokio::io::duplex(4096);
    let served = tokio::spawn(api.clone().serve(Box::pin(theirs)));
    ours.write_all(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: h\r\n\r\n")
        .await
        .unwrap();
    api.wait_until_waiting().await;
    drop(ours);
    served.await.unwrap();
    assert!(!api.waiting());
    let call = start(&api, invocation(ID, "{}"));
    let mut runtime = Runtime::connect(&api).await;
    assert_eq!(runtime.next().await.status, 200);
    runtime.respond(ID, "1").await;
    assert_eq!(call.await.unwrap(), Ok(response("1")));
}
