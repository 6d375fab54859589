//! `events`.
use std::time::Duration;

use rmcp::model::{CallToolResult, JsonObject};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::{arguments, results};
use super::{Call, Effect, Entry};
use crate::mcp::blocking_wait::{ProgressReport, drive};
use crate::mesh::{BlockingWait, Mesh, QueryWait, SessionHandle, WaitOutcome};
use crate::model::event::{EventFilter, EventPage, EventPatterns};
use crate::model::task::check_count;
use crate::model::{Refusal, Result};
use crate::platform::clock::parse_rfc3339;

pub(super) const TOOLS: [Entry; 1] = [Entry {
    set: "events",
    name: "events",
    description: "The log of this mesh. types: globs (question.*). Returns {events, next}, oldest first; go on with `next` as `after`. read (default): without after and since the newest. wait: until one comes. subscribe: poll_inbox brings new ones. emit: writes one of type project.<name> with data.",
    schema: arguments::schema::<Events>,
    effect: Effect::Writes,
    always_load: false,
    large_result: true,
}];

/// Patterns of one call.
const TYPES_MAX: usize = 16;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Events {
    action: Option<Action>,
    types: Option<Vec<String>>,
    after: Option<u64>,
    /// RFC 3339
    since: Option<String>,
    limit: Option<u32>,
    timeout_seconds: Option<u32>,
    #[serde(rename = "type")]
    kind: Option<String>,
    /// any JSON
    #[serde(default, deserialize_with = "arguments::any_value")]
    data: Option<Value>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Action {
    #[default]
    Read,
    Wait,
    Subscribe,
    Unsubscribe,
    Emit,
}

impl Action {
    /// Returns its word and what it takes.
    fn accepted_parameters(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Read => ("read", &["types", "after", "since", "limit"]),
            Self::Wait => (
                "wait",
                &["types", "after", "since", "limit", "timeout_seconds"],
            ),
            Self::Subscribe => ("subscribe", &["types", "after"]),
            Self::Unsubscribe => ("unsubscribe", &["types"]),
            Self::Emit => ("emit", &["type", "data"]),
        }
    }
}

pub(super) async fn events(
    call: &Call<'_>,
    arguments: Option<JsonObject>,
) -> Result<CallToolResult> {
    let Events {
        action,
        types,
        after,
        since,
        limit,
        timeout_seconds,
        kind,
        data,
    } = arguments::read(arguments)?;
    let action = action.unwrap_or_default();
    let (action_name, accepted_parameters) = action.accepted_parameters();
    let given = [
        ("types", types.is_some()),
        ("after", after.is_some()),
        ("since", since.is_some()),
        ("limit", limit.is_some()),
        ("timeout_seconds", timeout_seconds.is_some()),
        ("type", kind.is_some()),
        ("data", data.is_some()),
    ];
    arguments::allow_only(action_name, accepted_parameters, &given)?;
    let timeout = arguments::check_range("timeout_seconds", timeout_seconds, 1..=3600, 300)?;
    let types = types.unwrap_or_default();
    check_count("types", types.len(), TYPES_MAX)?;
    let filter = EventFilter {
        types: EventPatterns::check(types)?,
        after: after.map(|after| i64::try_from(after).unwrap_or(i64::MAX)),
        since_ms: since.as_deref().map(time).transpose()?,
        limit: arguments::check_range("limit", limit, 1..=500, 50)? as usize,
    };
    let body = match action {
        Action::Read => {
            let page = call.verb(|at| at.mesh.events(&filter)).await?;
            page_body(json!({}), &page)
        }
        Action::Wait => wait(call, &filter, timeout).await?,
        Action::Subscribe => {
            let (types, next) = call
                .verb(|at| {
                    at.mesh
                        .subscribe_to_events(&at.me, &filter.types, filter.after)
                })
                .await?;
            json!({ "types": types.as_slice(), "next": next })
        }
        Action::Unsubscribe => {
            let remaining = call
                .verb(|at| at.mesh.unsubscribe_from_events(&at.me, &filter.types))
                .await?;
            json!({ "types": remaining.as_slice() })
        }
        Action::Emit => {
            let kind = arguments::require(action_name, "type", kind)?;
            let data = data.unwrap_or_else(|| json!({}));
            let seq = call
                .verb(|at| at.mesh.emit(&at.me, &at.project.path, &kind, &data))
                .await?;
            json!({ "type": kind, "seq": seq })
        }
    };
    Ok(results::ok(&body))
}

async fn wait(call: &Call<'_>, filter: &EventFilter, timeout_seconds: u32) -> Result<Value> {
    let mut listening = call.verb(|at| at.mesh.listen(&at.me, filter)).await?;
    let id = listening.wait;
    let timeout = Duration::from_secs(timeout_seconds.into());
    let progress_message = match filter.types.as_slice() {
        [] => "waiting for any event".to_owned(),
        types => format!("waiting for {}", types.join(", ")),
    };
    let query = |mesh: &mut Mesh, _: &SessionHandle| Ok(listening.poll(mesh)?.into());
    let condition = QueryWait::new(id, query);
    let mut wait = BlockingWait::new(condition, call.shared.now().monotonic_ms, timeout);
    let outcome = drive(call, &mut wait, |_, _| ProgressReport {
        facts: progress_message.clone(),
        message: progress_message.clone(),
    })
    .await?;
    let ended_body = |status: &str, more: Map<String, Value>| {
        let mut body = json!({ "status": status, "events": [], "next": listening.filter.after });
        results::add(&mut body, more);
        body
    };
    Ok(match outcome {
        WaitOutcome::Done(page) => page_body(json!({}), &page),
        WaitOutcome::Expired => ended_body("timed_out", Map::new()),
        WaitOutcome::Cancelled => ended_body("cancelled", Map::new()),
        WaitOutcome::Interrupted(interruption) => {
            let hint =
                "Answer these with reply_to_peer first, then wait again with `next` as `after`.";
            ended_body("interrupted", results::interruption(&interruption, hint))
        }
    })
}

/// Adds what happened to an inbox, as much as it still carries; it is not told again.
pub(super) fn add_subscribed_events(
    mesh: &mut Mesh,
    me: &SessionHandle,
    inbox: &mut Value,
) -> Result<()> {
    let Some(page) = mesh.undelivered_events(me)? else {
        return Ok(());
    };
    let next = results::add_events(inbox, &page);
    if inbox["truncated"] == true && inbox["hint"].is_null() {
        results::mark_truncated(inbox, "Call poll_inbox again for the rest.");
    }
    mesh.mark_events_delivered(me, next)
}

fn page_body(mut body: Value, page: &EventPage) -> Value {
    let next = results::add_events(&mut body, page);
    body["next"] = next.into();
    body
}

fn time(text: &str) -> Result<i64> {
    parse_rfc3339(text.trim()).ok_or_else(|| {
        Refusal::argument(format!(
            "\"since\" must be an RFC 3339 time such as 2026-11-20T15:07:01.208Z, got {:?}",
            arguments::cut(text)
        ))
        .into()
    })
}
