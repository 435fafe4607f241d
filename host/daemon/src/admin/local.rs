// SPDX-License-Identifier: Apache-2.0
//! Local mode: a request that turns into the connection of one program.

use http::{HeaderValue, StatusCode, header};
use hyper::Request;
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use super::error::AdminError;
use super::functions::unknown;
use super::{Admin, read_json};
use crate::functions::{Function, FunctionName, Policy};
use crate::local::Program;
use crate::web::{Body, Response};

/// What the connection turns into (RFC 9110, section 7.8).
const PROTOCOL: HeaderValue = HeaderValue::from_static("nexus-local");

/// Name of a program that is run as no function.
const UNDEPLOYED: &str = "local";

/// What the program runs as.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// A deployed function.
    function: Option<FunctionName>,
    /// What it may reach, if it is no deployed function.
    #[serde(default)]
    policy: Policy,
}

impl Admin {
    pub(super) async fn serve_local(
        &self,
        mut request: Request<Incoming>,
    ) -> Result<Response, AdminError> {
        if request.headers().get(header::UPGRADE) != Some(&PROTOCOL) {
            let reason = "this turns into another protocol: ask for it by `nexus local`";
            return Err(AdminError::Invalid(reason.into()));
        }
        let upgrade = hyper::upgrade::on(&mut request);
        let asked = read_json(request.into_body()).await?;
        let program = self.program(asked)?;
        tokio::spawn(run(upgrade, program, self.stop.clone()));
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::UPGRADE, PROTOCOL);
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        Ok(response)
    }

    fn program(&self, asked: Asked) -> Result<Program, AdminError> {
        let local = self.local.as_ref().ok_or_else(|| {
            AdminError::NotFound("this daemon has no gateway, and so no local mode".into())
        })?;
        let Some(name) = asked.function else {
            let name: FunctionName = UNDEPLOYED.parse()?;
            let function = Function::undeployed(asked.policy);
            function.check_stores(&self.stores)?;
            return Ok(local.program(&name, &function));
        };
        if asked.policy != Policy::default() {
            let reason = format!("{name} has a policy of its own; give one or the other");
            return Err(AdminError::Invalid(reason));
        }
        let function = self.registry.get(&name).ok_or_else(|| unknown(&name))?;
        Ok(local.program(&name, &function))
    }
}

/// Serves the program until it ends or the daemon does.
async fn run(upgrade: OnUpgrade, program: Program, stop: CancellationToken) {
    let serve = async {
        let stream = upgrade.await.map(into_stream);
        match stream {
            Ok(Some(stream)) => program.serve(stream).await.err().map(|error| chain(&error)),
            Ok(None) => Some("it said something before it was asked".to_owned()),
            Err(error) => Some(error.to_string()),
        }
    };
    tokio::select! {
        ended = serve => if let Some(reason) = ended {
            tracing::warn!(reason, "a program of local mode is not served");
        },
        () = stop.cancelled() => {}
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}

/// The connection itself; none if bytes of it have been read, as descriptors would be lost with them.
fn into_stream(upgraded: Upgraded) -> Option<UnixStream> {
    let parts = upgraded.downcast::<TokioIo<UnixStream>>().ok()?;
    parts.read_buf.is_empty().then(|| parts.io.into_inner())
}
