//! Operations for the board: what a person sees of a whole mesh, over all its projects.
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::hub::operations::entry::entry;
use crate::mesh::{ClaimFilter, Recall};
use crate::model::memory::Query;
use crate::model::throttle::end_text;
use crate::model::{Refusal, Result};
use crate::platform::text::cut_chars;
use crate::store::Claim;
use crate::tools::{self, JsonObject, Operation, ToolEntry, output};

pub(super) const OPERATIONS: [ToolEntry; 5] = [
    entry(
        "board_status",
        tools::schema_of::<StatusParams>,
        board_status,
    ),
    entry("board_tasks", tools::schema_of::<TasksParams>, board_tasks),
    entry(
        "board_claims",
        tools::schema_of::<ClaimsParams>,
        board_claims,
    ),
    entry(
        "board_messages",
        tools::schema_of::<MessagesParams>,
        board_messages,
    ),
    entry(
        "board_memories",
        tools::schema_of::<MemoriesParams>,
        board_memories,
    ),
];

const MESSAGES_MAX: u32 = 200;
const MEMORIES_MAX: u32 = 50;
/// Texts of a list are cut to this many characters; routes by id return all of it.
const TEXT_CHARS_MAX: usize = 4_000;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StatusParams {}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TasksParams {}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ClaimsParams {}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MessagesParams {
    /// default 100
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MemoriesParams {
    /// words, "phrases", prefixes*, −exclusions
    query: Option<String>,
    /// default 20
    #[schemars(range(min = 1, max = 50))]
    limit: Option<u32>,
}

fn check_limit(limit: Option<u32>, default: u32, max: u32) -> Result<u32> {
    let limit = limit.unwrap_or(default);
    if (1..=max).contains(&limit) {
        return Ok(limit);
    }
    let problem = format!("\"limit\" must be from 1 to {max}, got {limit}");
    Err(Refusal::argument(problem).into())
}

/// Cuts a text of a value, and marks the value.
fn cut_text(value: &mut Value, key: &str) {
    let Some(text) = value[key].as_str() else {
        return;
    };
    let cut = cut_chars(text, TEXT_CHARS_MAX);
    if cut.len() < text.len() {
        value[key] = format!("{cut}…").into();
        value["cut"] = true.into();
    }
}

fn board_status(arguments: JsonObject) -> Result<Operation> {
    let StatusParams {} = tools::read_arguments(arguments)?;
    Ok(tools::single_step(|call| {
        let now_ms = call.mesh.now().wall_ms;
        let paused_until_ms = call.mesh.paused_until()?.filter(|until| *until > now_ms);
        Ok(json!({
            "you": call.me.name,
            "mesh": call.location.name,
            "version": env!("CARGO_PKG_VERSION"),
            "paused_until": paused_until_ms.map(end_text),
        }))
    }))
}

fn board_tasks(arguments: JsonObject) -> Result<Operation> {
    let TasksParams {} = tools::read_arguments(arguments)?;
    Ok(tools::single_step(|call| {
        let found = call.mesh.tasks_of_mesh(&call.me)?;
        let task = |task| {
            let mut value = output::task(task);
            cut_text(&mut value, "description");
            value
        };
        let tasks: Vec<Value> = found.tasks.iter().map(task).collect();
        Ok(json!({ "tasks": tasks, "counts": output::task_counts(found.counts) }))
    }))
}

/// Each claim has its id, by which a person releases it.
fn board_claims(arguments: JsonObject) -> Result<Operation> {
    let ClaimsParams {} = tools::read_arguments(arguments)?;
    Ok(tools::single_step(|call| {
        let now = call.mesh.now();
        let queues = call.mesh.claims(ClaimFilter::Prefix(""))?;
        let claims = queues.iter().map(|queue| {
            let mut value = output::claim_queue(queue, Some(&call.me), &now);
            add_ids(&mut value["holders"], &queue.holders);
            add_ids(&mut value["queue"], &queue.queue);
            value
        });
        Ok(json!({ "claims": claims.collect::<Vec<_>>() }))
    }))
}

fn add_ids(values: &mut Value, claims: &[Claim]) {
    let values = values.as_array_mut().into_iter().flatten();
    for (value, claim) in values.zip(claims) {
        value["claim_id"] = json!(claim.id);
    }
}

fn board_messages(arguments: JsonObject) -> Result<Operation> {
    let MessagesParams { limit } = tools::read_arguments(arguments)?;
    let limit = check_limit(limit, 100, MESSAGES_MAX)?;
    Ok(tools::single_step(move |call| {
        let found = call.mesh.messages_of_mesh(&call.me, limit)?;
        let message = |message| {
            let mut value = output::message(message);
            cut_text(&mut value, "body");
            value
        };
        Ok(json!({ "messages": found.iter().map(message).collect::<Vec<_>>() }))
    }))
}

fn board_memories(arguments: JsonObject) -> Result<Operation> {
    let MemoriesParams { query, limit } = tools::read_arguments(arguments)?;
    let limit = check_limit(limit, 20, MEMORIES_MAX)?;
    let query = query.filter(|query| !query.trim().is_empty());
    let terms = query.as_deref().map(Query::parse).transpose()?;
    Ok(tools::single_step(move |call| {
        let recall = Recall {
            query: query.as_deref(),
            limit: limit as usize,
            ..Recall::default()
        };
        let found = call.mesh.recall_in_mesh(&call.me, recall)?;
        let memory = |one| {
            let mut value = output::memory(one, terms.as_ref());
            cut_text(&mut value, "text");
            value
        };
        Ok(json!({ "memories": found.iter().map(memory).collect::<Vec<_>>() }))
    }))
}
