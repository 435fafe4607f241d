// SPDX-License-Identifier: Apache-2.0
//! The runtime API's HTTP side: paths, status codes and bodies as the runtimes know them.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;

use super::answer::{self, Rejection};
use super::state::{Phase, Refusal, State, Transition};
use super::{OnDrop, Outcome, RuntimeApi, RuntimeError};
use crate::service::ServiceStream;

type Reply = Response<Full<Bytes>>;

/// Serves one connection of the runtime until it ends.
pub(super) async fn serve(api: Arc<RuntimeApi>, stream: ServiceStream) {
    let head_bytes = api.limits.head_bytes;
    let service = service_fn(move |request| {
        let api = api.clone();
        async move { Ok::<_, Infallible>(route(&api, request).await) }
    });
    // No timer: between two requests, hours may pass.
    let served = http1::Builder::new()
        .max_buf_size(head_bytes)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the runtime API broke");
    }
}

async fn route(api: &RuntimeApi, request: Request<Incoming>) -> Reply {
    let path = request.uri().path().to_owned();
    let Some(path) = path.strip_prefix("/2018-06-01/") else {
        return match path.as_str() {
            "/ping" => plain(StatusCode::OK, "pong"),
            _ => not_found(),
        };
    };
    let segments: Vec<&str> = path.split('/').collect();
    match (request.method(), segments.as_slice()) {
        (&Method::GET, ["ping"]) => plain(StatusCode::OK, "pong"),
        (&Method::GET, ["runtime", "invocation", "next"]) => next(api).await,
        (&Method::POST, ["runtime", "invocation", id, "response"]) => {
            response(api, id, request).await
        }
        (&Method::POST, ["runtime", "invocation", id, "error"]) => error(api, id, request).await,
        (&Method::POST, ["runtime", "init", "error"]) => init_error(api, request).await,
        (
            _,
            ["runtime", "invocation", "next"]
            | ["runtime", "invocation", _, "response" | "error"]
            | ["runtime", "init", "error"],
        ) => plain(StatusCode::METHOD_NOT_ALLOWED, ""),
        _ => not_found(),
    }
}

async fn next(api: &RuntimeApi) -> Reply {
    api.modify(State::next_begins);
    let _end = OnDrop(|| api.modify(State::next_ends));
    let event = match api.until(State::take).await {
        Ok(event) => event,
        Err(refusal) => return refused(refusal),
    };
    let mut reply = Response::new(Full::new(event.payload.clone()));
    *reply.headers_mut() = event.headers.clone();
    reply
}

async fn response(api: &RuntimeApi, id: &str, request: Request<Incoming>) -> Reply {
    if let Err(refusal) =
        api.modify(|state| state.answer_begins(id, Transition::InvocationResponse))
    {
        return refused(refusal);
    }
    let answer = Answer {
        api,
        complete: false,
    };
    let (head, body) = request.into_parts();
    answer.end(answer::response(&head.headers, body, &api.limits).await)
}

async fn error(api: &RuntimeApi, id: &str, request: Request<Incoming>) -> Reply {
    if let Err(refusal) = api.modify(|state| state.answer_begins(id, Transition::InvocationError)) {
        return refused(refusal);
    }
    let answer = Answer {
        api,
        complete: false,
    };
    let (head, body) = request.into_parts();
    let report = answer::error(&head.headers, body, &api.limits).await;
    answer.end(report.map(|(error_type, payload)| Outcome::Error {
        error_type,
        payload,
    }))
}

async fn init_error(api: &RuntimeApi, request: Request<Incoming>) -> Reply {
    if let Err(refusal) = api.modify(State::init_error) {
        return refused(refusal);
    }
    let (head, body) = request.into_parts();
    match answer::error(&head.headers, body, &api.limits).await {
        Ok((error_type, payload)) => {
            api.modify(|state| {
                state.fail(RuntimeError::Init {
                    error_type,
                    payload,
                });
            });
            accepted()
        }
        Err(rejection) => rejected(rejection),
    }
}

/// An answer that is being received. If its connection ends before it does, the caller is told so.
struct Answer<'a> {
    api: &'a RuntimeApi,
    complete: bool,
}

impl Answer<'_> {
    fn end(mut self, outcome: Result<Outcome, Rejection>) -> Reply {
        self.complete = true;
        let (reply, outcome) = match outcome {
            Ok(outcome) => (accepted(), outcome),
            Err(rejection) => (rejected(rejection), rejection.outcome()),
        };
        self.api.modify(|state| state.answer_ends(outcome));
        reply
    }
}

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        if !self.complete {
            self.api
                .modify(|state| state.answer_ends(Rejection::Truncated.outcome()));
        }
    }
}

fn accepted() -> Reply {
    reply(
        StatusCode::ACCEPTED,
        "application/json",
        "{\"status\":\"OK\"}\n".into(),
    )
}

fn rejected(rejection: Rejection) -> Reply {
    match rejection {
        Rejection::TooLarge { limit, .. } => {
            let message = format!("Exceeded maximum allowed payload size ({limit} bytes).");
            failed(
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestEntityTooLarge",
                &message,
            )
        }
        Rejection::Truncated => failed(
            StatusCode::BAD_REQUEST,
            "TruncatedHTTPRequest",
            "HTTP request detected as truncated",
        ),
        Rejection::ResponseMode => failed(
            StatusCode::BAD_REQUEST,
            "InvalidFunctionResponseMode",
            "Invalid function response mode",
        ),
    }
}

fn refused(refusal: Refusal) -> Reply {
    let message = match refusal {
        Refusal::InvalidRequestId => {
            return failed(
                StatusCode::BAD_REQUEST,
                "InvalidRequestID",
                "Invalid request ID",
            );
        }
        Refusal::InvalidTransition(from, to) => {
            let from = match from {
                Phase::Started => "Started",
                Phase::Ready => "Ready",
                Phase::Running => "Running",
                Phase::Answering => "InvocationResponse",
                Phase::ResponseSent => "ResponseSent",
            };
            let to = match to {
                Transition::InitError => "InitError",
                Transition::InvocationResponse => "InvocationResponse",
                Transition::InvocationError => "InvocationErrorResponse",
            };
            format!(
                "State transition from {from} to {to} failed for runtime. Error: State transition is not allowed"
            )
        }
        Refusal::Failed => "The instance has failed and is about to be discarded".to_owned(),
    };
    failed(StatusCode::FORBIDDEN, "InvalidStateTransition", &message)
}

fn failed(status: StatusCode, error_type: &str, message: &str) -> Reply {
    let body = json!({ "errorMessage": message, "errorType": error_type });
    reply(status, "application/json", format!("{body}\n").into())
}

fn not_found() -> Reply {
    plain(StatusCode::NOT_FOUND, "404 page not found\n")
}

fn plain(status: StatusCode, text: &'static str) -> Reply {
    reply(
        status,
        "text/plain; charset=utf-8",
        Bytes::from_static(text.as_bytes()),
    )
}

fn reply(status: StatusCode, content_type: &'static str, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    reply
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}
