// SPDX-License-Identifier: Apache-2.0
//! Functions: list, show, deploy, remove.

use hyper::body::Incoming;
use serde::Serialize;
use serde_json::json;

use super::error::AdminError;
use super::{Admin, json_response, no_content, read_json};
use crate::functions::{Function, FunctionName};
use crate::inputs::Score;
use crate::web::Response;

/// A function as the API shows it.
#[derive(Serialize)]
struct Named<'a> {
    name: &'a FunctionName,
    arn: String,
    /// How often objects that were fetched beforehand were read.
    prefetched: Score,
    #[serde(flatten)]
    function: &'a Function,
}

impl Admin {
    pub(super) fn list_functions(&self) -> Response {
        let functions = self.registry.list();
        let named: Vec<_> = functions
            .iter()
            .map(|(name, function)| self.named(name, function))
            .collect();
        json_response(&json!({ "functions": named }))
    }

    pub(super) fn get_function(&self, name: &str) -> Result<Response, AdminError> {
        let name: FunctionName = name.parse()?;
        let function = self.registry.get(&name).ok_or_else(|| unknown(&name))?;
        Ok(json_response(&self.named(&name, &function)))
    }

    /// Adds or replaces a function. Instances of what it replaces take no more events.
    pub(super) async fn put_function(
        &self,
        name: &str,
        body: Incoming,
    ) -> Result<Response, AdminError> {
        let name: FunctionName = name.parse()?;
        let function: Function = read_json(body).await?;
        function.validate()?;
        function.check_stores(&self.stores)?;
        let deployed = self.registry.list();
        let others = deployed.iter().filter(|(other, _)| *other != name);
        let others = others.map(|(other, function)| (other, &**function));
        function.check_ports(self.registry.get(&name).as_deref(), others)?;
        self.registry.put(name.clone(), function.clone())?;
        self.pool.retire(&name).await;
        tracing::info!(function = %name, root = %function.root.display(), "deployed");
        Ok(json_response(&self.named(&name, &function)))
    }

    pub(super) async fn delete_function(&self, name: &str) -> Result<Response, AdminError> {
        let name: FunctionName = name.parse()?;
        if !self.registry.remove(&name)? {
            return Err(unknown(&name));
        }
        self.pool.retire(&name).await;
        self.logs.remove(&name);
        tracing::info!(function = %name, "removed");
        Ok(no_content())
    }

    fn named<'a>(&self, name: &'a FunctionName, function: &'a Function) -> Named<'a> {
        Named {
            name,
            arn: name.arn(&self.region, None),
            prefetched: self
                .pool
                .inputs()
                .map_or_else(Score::default, |inputs| inputs.score(name)),
            function,
        }
    }
}

pub(super) fn unknown(name: &FunctionName) -> AdminError {
    AdminError::NotFound(format!("there is no function {name}"))
}
