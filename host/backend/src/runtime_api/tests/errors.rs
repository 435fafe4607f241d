// SPDX-License-Identifier: Apache-2.0
//! What goes wrong: in the function, in the runtime, and in what it sends.

use super::*;

#[tokio::test]
async fn answers_out_of_turn() {
    let api = RuntimeApi::new(RuntimeLimits::default());
    let mut runtime = Runtime::connect(&api).await;
    let early = runtime.respond(ID, "1").await;
    assert_eq!(
        (early.status, early.error_type()),
        (403, "InvalidStateTransition".to_owned())
    );
    let call = start(&api, invocation(ID, "{}"));
    runtime.next().await;
    let other = runtime.respond("another", "1").await;
    assert_eq!(
        (other.status, other.error_type()),
        (400, "InvalidRequestID".to_owned())
    );
    assert_eq!(other.json()["errorMessage"], "Invalid request ID");
    assert_eq!(runtime.respond(ID, "1").await.status, 202);
    let twice = runtime.respond(ID, "2").await;
    assert_eq!(
        (twice.status, twice.error_type()),
        (400, "InvalidRequestID".to_owned())
    );
    assert_eq!(call.await.unwrap(), Ok(response("1")));
    let late = runtime.respond("another", "1").await;
    assert_eq!(
        (late.status, late.error_type()),
        (403, "InvalidStateTransition".to_owned())
    );
    let init = runtime.post("init/error", &[], "{}").await;
    assert_eq!(
        (init.status, init.error_type()),
        (403, "InvalidStateTransition".to_owned())
    );
}

#[tokio::test]
async fn the_functions_own_errors() {
    for (given, expected) in [
        (None, None),
        (Some("Function.Mine"), Some("Function.Mine")),
        (Some("Function.not one"), Some("Function.Unknown")),
        (Some("Whatever"), Some("Runtime.Unknown")),
    ] {
        let (_api, mut runtime, call) = running().await;
        let headers: Vec<_> = given
            .iter()
            .map(|given| ("lambda-runtime-function-error-type", *given))
            .collect();
        let body = r#"{"errorMessage":"no","errorType":"ValueError"}"#;
        assert_eq!(
            runtime
                .post(&format!("invocation/{ID}/error"), &headers, body)
                .await
                .status,
            202
        );
        let error = Outcome::Error {
            error_type: expected.map(str::to_owned),
            payload: body.into(),
        };
        assert_eq!(call.await.unwrap(), Ok(error));
    }
}

#[tokio::test]
async fn the_cause_of_an_error_stays_behind() {
    let (_api, mut runtime, call) = running().await;
    let headers = [(
        "content-type",
        "application/vnd.aws.lambda.error.cause+json",
    )];
    let body = r#"{"errorMessage":"no","errorCause":{"exceptions":[]}}"#;
    runtime
        .post(&format!("invocation/{ID}/error"), &headers, body)
        .await;
    let expected = Outcome::Error {
        error_type: None,
        payload: r#"{"errorMessage":"no"}"#.into(),
    };
    assert_eq!(call.await.unwrap(), Ok(expected));
}

#[tokio::test]
async fn a_large_cause_fits_into_a_header() {
    let (_api, mut runtime, call) = running().await;
    let cause = "x".repeat(1024 * 1024);
    let headers = [("lambda-runtime-function-xray-error-cause", cause.as_str())];
    assert_eq!(
        runtime
            .post(&format!("invocation/{ID}/error"), &headers, "{}")
            .await
            .status,
        202
    );
    assert_eq!(error_type(call.await.unwrap()), None);
}

#[tokio::test]
async fn the_size_limit_is_exact() {
    let limits = RuntimeLimits::default();
    let path = format!("invocation/{ID}/response");
    let (_api, mut runtime, call) = running().await;
    assert_eq!(
        runtime
            .post(&path, &[], vec![b' '; limits.response_bytes])
            .await
            .status,
        202
    );
    assert!(
        matches!(call.await.unwrap(), Ok(Outcome::Response { payload, .. }) if payload.len() == limits.response_bytes)
    );

    let (_api, mut runtime, call) = running().await;
    let refused = runtime
        .post(&path, &[], vec![b' '; limits.response_bytes + 1])
        .await;
    assert_eq!(
        (refused.status, refused.error_type()),
        (413, "RequestEntityTooLarge".to_owned())
    );
    assert_eq!(
        refused.json()["errorMessage"],
        "Exceeded maximum allowed payload size (6291556 bytes)."
    );
    let Ok(Outcome::Error {
        error_type,
        payload,
    }) = call.await.unwrap()
    else {
        panic!("no error")
    };
    assert_eq!(error_type.as_deref(), Some("Function.ResponseSizeTooLarge"));
    let payload: Value = serde_json::from_slice(&payload).unwrap();
    let message = "Response payload size (6291557 bytes) exceeded maximum allowed payload size (6291556 bytes).";
    assert_eq!(payload["errorMessage"], message);
    assert_eq!(
        runtime.get("invocation/none").await.status,
        404,
        "the connection goes on"
    );
}

#[tokio::test]
async fn a_response_that_breaks_off() {
    let api = RuntimeApi::new(RuntimeLimits::default());
    let call = start(&api, invocation(ID, "{}"));
    Runtime::connect(&api).await.next().await;
    let (mut ours, theirs) = tokio::io::duplex(4096);
    tokio::spawn(api.clone().serve(Box::pin(theirs)));
    let head = format!(
        "POST /2018-06-01/runtime/invocation/{ID}/response HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n123"
    );
    ours.write_all(head.as_bytes()).await.unwrap();
    drop(ours);
    assert_eq!(
        error_type(call.await.unwrap()).as_deref(),
        Some("Runtime.TruncatedResponse")
    );
}

#[tokio::test]
async fn streams() {
    let stream = |trailers: &'static str| async move {
        let api = RuntimeApi::new(RuntimeLimits::default());
        let call = start(&api, invocation(ID, "{}"));
        Runtime::connect(&api).await.next().await;
        let (mut ours, theirs) = tokio::io::duplex(4096);
        tokio::spawn(api.clone().serve(Box::pin(theirs)));
        let head = format!(
            "POST /2018-06-01/runtime/invocation/{ID}/response HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\
             Lambda-Runtime-Function-Response-Mode: streaming\r\nTrailer: Lambda-Runtime-Function-Error-Type\r\n\
             Trailer: Lambda-Runtime-Function-Error-Body\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n{trailers}\r\n"
        );
        ours.write_all(head.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        ours.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 202");
        call.await.unwrap()
    };
    assert_eq!(
        stream("").await,
        Ok(Outcome::Response {
            payload: "abc".into(),
            content_type: None
        })
    );
    let failed = stream(
        "Lambda-Runtime-Function-Error-Type: Runtime.StreamError\r\nLambda-Runtime-Function-Error-Body: eyJhIjoxfQ==\r\n",
    );
    let expected = Outcome::Error {
        error_type: Some("Runtime.StreamError".to_owned()),
        payload: r#"{"a":1}"#.into(),
    };
    assert_eq!(failed.await, Ok(expected));
}

#[tokio::test]
async fn an_unknown_response_mode() {
    let (_api, mut runtime, call) = running().await;
    let headers = [("lambda-runtime-function-response-mode", "buffered")];
    let refused = runtime
        .post(&format!("invocation/{ID}/response"), &headers, "1")
        .await;
    assert_eq!(
        (refused.status, refused.error_type()),
        (400, "InvalidFunctionResponseMode".to_owned())
    );
    assert_eq!(
        error_type(call.await.unwrap()).as_deref(),
        Some("Runtime.InvalidResponseModeHeader")
    );
}

#[tokio::test]
async fn a_runtime_that_cannot_start() {
    let api = RuntimeApi::new(RuntimeLimits::default());
    let call = start(&api, invocation(ID, "{}"));
    let mut runtime = Runtime::connect(&api).await;
    let body = r#"{"errorMessage":"no module","errorType":"Runtime.ImportModuleError"}"#;
    let headers = [(
        "lambda-runtime-function-error-type",
        "Runtime.ImportModuleError",
    )];
    assert_eq!(runtime.post("init/error", &headers, body).await.status, 202);
    api.fail(ExitReason::exited(1));
    let init = RuntimeError::Init {
        error_type: Some("Runtime.ImportModuleError".to_owned()),
        payload: body.into(),
    };
    assert_eq!(call.await.unwrap(), Err(init.clone()));
    assert_eq!(
        api.initialised().await,
        Err(init.clone()),
        "the exit that follows is not the reason"
    );
    assert_eq!(api.invoke(invocation(ID, "{}")).await, Err(init));
}

#[tokio::test]
async fn a_process_that_ends() {
    let (api, mut runtime, call) = running().await;
    let reason = ExitReason::signaled(9);
    api.fail(reason.clone());
    assert_eq!(
        call.await.unwrap(),
        Err(RuntimeError::Exited(reason.clone()))
    );
    assert_eq!(runtime.respond(ID, "1").await.status, 403);
    assert_eq!(runtime.next().await.status, 403);
    assert_eq!(
        api.invoke(invocation(ID, "{}")).await,
        Err(RuntimeError::Exited(reason.clone()))
    );
    let payload: Value = serde_json::from_slice(&exit_error_payload(ID, &reason)).unwrap();
    assert_eq!(payload["errorType"], "Runtime.ExitError");
    assert_eq!(
        payload["errorMessage"],
        format!("RequestId: {ID} Error: Runtime exited with error: signal: killed")
    );
    assert_eq!(
        ExitReason::exited(3).text,
        "Runtime exited with error: exit status 3"
    );
    assert_eq!(
        ExitReason::exited(0).text,
        "Runtime exited without providing a reason"
    );
}

#[tokio::test]
async fn a_result_that_came_before_the_end_counts() {
    let (api, mut runtime, call) = running().await;
    assert_eq!(runtime.respond(ID, "1").await.status, 202);
    api.fail(ExitReason::exited(1));
    assert_eq!(call.await.unwrap(), Ok(response("1")));
}

#[tokio::test]
async fn one_invocation_at_a_time_and_none_after_one_was_given_up() {
    let (api, _runtime, call) = running().await;
    assert_eq!(
        api.invoke(invocation("2", "{}")).await,
        Err(RuntimeError::Busy)
    );
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(
        api.invoke(invocation("3", "{}")).await,
        Err(RuntimeError::Abandoned)
    );
}

#[tokio::test]
async fn other_paths() {
    let api = RuntimeApi::new(RuntimeLimits::default());
    let mut runtime = Runtime::connect(&api).await;
    for (method, path, expected) in [
        ("GET", "/ping", 200),
        ("GET", "/2018-06-01/ping", 200),
        ("GET", "/", 404),
        ("GET", "/2018-06-01/runtime/restore/next", 404),
        ("POST", "/2018-06-01/runtime/invocation/next", 405),
        ("GET", "/2018-06-01/runtime/invocation/1/response", 405),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(Full::default())
            .unwrap();
        assert_eq!(
            runtime.send(request).await.status,
            expected,
            "{method} {path}"
        );
    }
}
