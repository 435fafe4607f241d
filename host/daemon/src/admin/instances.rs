// SPDX-License-Identifier: Apache-2.0
//! Instances: what runs, what it costs, and how to end it.

use serde_json::{Value, json};

use super::error::AdminError;
use super::{Admin, json_response, memory, no_content};
use crate::pool::Instance;
use crate::web::Response;

impl Admin {
    pub(super) async fn list_instances(&self) -> Response {
        let mut described = Vec::new();
        for instance in self.pool.list() {
            described.push(describe(&instance).await);
        }
        json_response(&json!({ "instances": described }))
    }

    pub(super) async fn delete_instance(&self, id: &str) -> Result<Response, AdminError> {
        if self.pool.kill(id).await {
            return Ok(no_content());
        }
        Err(AdminError::NotFound(format!("there is no instance {id}")))
    }
}

/// `machine` holds what the VMM (`vmm`) and the backend (`session`) count.
async fn describe(instance: &Instance) -> Value {
    let pid = instance.machine.pid();
    json!({
        "id": instance.id,
        "function": instance.name,
        "state": instance.state(),
        "paused": instance.is_paused(),
        "age_s": instance.started.elapsed().as_secs(),
        "pid": pid,
        "memory_mib": instance.function.memory_mib,
        "memory": pid.and_then(memory::of_process),
        "machine": instance.machine.report().await,
    })
}
