// SPDX-License-Identifier: Apache-2.0
//! Local mode: programs outside a VM with the policy and the gateway of a function.
//!
//! `nexus local` makes the program's network namespace and runs it; the daemon serves the namespace's sockets for as long as
//! `nexus local` stays connected. Over that connection goes: the daemon's [`Offer`], a line; a byte with the sockets that
//! the offer's plan asks for (`SCM_RIGHTS`); a [`Verdict`], a line.

mod exchange;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use nexus_backend::gateway::Upstream;
use nexus_backend::local::{LocalError, Namespace, Plan};
use nexus_backend::service::Services;
use nexus_backend::sockets::EndpointPolicy;
use nexus_backend::writeback::Writeback;
use serde::Serialize;
use tokio::net::UnixStream;

use self::exchange::{receive_sockets, send_line};
use crate::functions::{Function, FunctionName, environment, outside};

/// What stands for the instance in a program's variables.
const INSTANCE: &str = "local";

/// The variable that says where events come from, which is nowhere here.
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

/// What programs outside a VM are given.
#[derive(Debug)]
pub struct Local {
    region: String,
    upstream: Arc<Upstream>,
}

/// What the program gets, and what the daemon needs for it.
#[derive(Debug, Serialize)]
struct Offer<'a> {
    /// The program's variables.
    env: &'a BTreeMap<String, String>,
    #[serde(flatten)]
    plan: Plan,
}

/// Whether the namespace is served.
#[derive(Debug, Serialize)]
struct Verdict {
    /// Why it is not.
    error: Option<String>,
}

/// One program's part of the daemon.
#[derive(Debug)]
pub struct Program {
    env: BTreeMap<String, String>,
    services: Services,
    policy: Arc<EndpointPolicy>,
}

/// Why a program is not served any more.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The connection broke.
    #[error("the connection to `nexus local` broke")]
    Connection(#[from] io::Error),
    /// What came is not what was asked for.
    #[error(transparent)]
    Sockets(#[from] LocalError),
}

impl Local {
    /// Has programs use the gateway to `upstream`, and tells them that they are in `region`.
    pub fn new(region: String, upstream: Arc<Upstream>) -> Self {
        Self { region, upstream }
    }

    /// A program that runs as the function `name` would.
    pub fn program(&self, name: &FunctionName, function: &Function) -> Program {
        let mut env = environment::compose(name, function, &self.region, INSTANCE);
        env.remove(RUNTIME_API);
        // Nothing here could hold back what a program does outside of the gateway.
        let writeback = Writeback::off();
        let (services, policy) = outside::compose(
            name,
            &function.policy,
            &self.upstream,
            &writeback,
            &Arc::default(),
            None,
        );
        Program {
            env,
            services,
            policy,
        }
    }
}

impl Program {
    /// Serves the program's namespace until `nexus local` goes away.
    ///
    /// # Errors
    /// If it sends something else than the sockets that it was asked for; it is told so.
    pub async fn serve(self, mut stream: UnixStream) -> Result<(), ProgramError> {
        let plan = Plan::new(&self.services);
        let offer = Offer {
            env: &self.env,
            plan,
        };
        send_line(&mut stream, &offer).await?;
        let sockets = receive_sockets(&stream).await?;
        let namespace = Namespace::start(&self.services, &self.policy, sockets);
        let error = namespace.as_ref().err().map(ToString::to_string);
        send_line(&mut stream, &Verdict { error }).await?;
        let _served = namespace?;
        exchange::hung_up(&mut stream).await?;
        Ok(())
    }
}
