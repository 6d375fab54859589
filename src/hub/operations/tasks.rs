//! Reads one task, and posts a chat message.
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::hub::operations::entry::entry;
use crate::mesh::MessageDraft;
use crate::model::{Recipient, Refusal, Result};
use crate::platform::id::TaskId;
use crate::tools::{self, JsonObject, Operation, ToolEntry, output};

pub(super) const OPERATIONS: [ToolEntry; 2] = [
    entry("task", tools::schema_of::<TaskParams>, task),
    entry("chat", tools::schema_of::<ChatParams>, chat),
];

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TaskParams {
    task_id: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ChatParams {
    #[schemars(length(max = 2000))]
    message: String,
}

fn task(arguments: JsonObject) -> Result<Operation> {
    let TaskParams { task_id } = tools::read_arguments(arguments)?;
    let id: TaskId = task_id
        .trim()
        .parse()
        .map_err(|_| Refusal::UnknownTask { id: task_id })?;
    Ok(tools::single_step(move |call| {
        Ok(json!({ "task": output::task(&call.mesh.task(id)?) }))
    }))
}

fn chat(arguments: JsonObject) -> Result<Operation> {
    let ChatParams { message } = tools::read_arguments(arguments)?;
    Ok(tools::single_step(move |call| {
        let draft = MessageDraft::of(&Recipient::Everyone, &message);
        Ok(output::posted(&call.mesh.post(&call.me, &draft)?))
    }))
}
