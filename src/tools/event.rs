//! The tool `events`: reads the event log, waits for events, subscribes to them, and emits events of a project.
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::mesh::{
    EventWait, Mesh, PollResult, ProjectEvent, QueryWait, SessionHandle, StopReason, WaitOutcome,
    WaitQuery, WaitStep,
};
use crate::model::event::{EventFilter, EventPage, EventPatterns};
use crate::model::task::check_count;
use crate::model::{Refusal, Result};
use crate::platform::Moment;
use crate::platform::clock::parse_rfc3339;
use crate::platform::id::WaitId;
use crate::tools::arguments::Action;
use crate::tools::call::{
    CallContext, Operation, ProgressReport, Step, StoppableWait, ToolCall, single_step,
};
use crate::tools::entry::{Effect, JsonObject, ToolEntry};
use crate::tools::result_budget::ResultBudget;
use crate::tools::{arguments, results, schema};

pub(super) const TOOLS: [ToolEntry; 1] = [ToolEntry {
    set: "events",
    name: "events",
    description: "The event log. types: globs (question.*). Returns {events, next}, oldest first; continue with `next` as `after`. read (default): without after and since, the newest. wait: until one comes. subscribe: poll_inbox returns new ones. emit: writes one of type project.<name> with data.",
    schema: schema::schema_of::<EventsParams>,
    handler: events,
    effect: Effect::Writes,
    always_load: false,
    large_result: true,
}];

/// Patterns in one call.
const TYPES_MAX: usize = 16;

const ANSWER_FIRST_HINT: &str =
    "Answer these with reply_to_peer first, then wait again with `next` as `after`.";

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EventsParams {
    action: Option<EventActionParam>,
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
enum EventActionParam {
    #[default]
    Read,
    Wait,
    Subscribe,
    Unsubscribe,
    Emit,
}

impl EventActionParam {
    fn rules(self) -> Action {
        let (name, parameters): (_, &[_]) = match self {
            Self::Read => ("read", &["types", "after", "since", "limit"]),
            Self::Wait => (
                "wait",
                &["types", "after", "since", "limit", "timeout_seconds"],
            ),
            Self::Subscribe => ("subscribe", &["types", "after"]),
            Self::Unsubscribe => ("unsubscribe", &["types"]),
            Self::Emit => ("emit", &["type", "data"]),
        };
        Action { name, parameters }
    }
}

fn events(arguments: JsonObject) -> Result<Operation> {
    let EventsParams {
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
    action.rules().allow_only(&[
        ("types", types.is_some()),
        ("after", after.is_some()),
        ("since", since.is_some()),
        ("limit", limit.is_some()),
        ("timeout_seconds", timeout_seconds.is_some()),
        ("type", kind.is_some()),
        ("data", data.is_some()),
    ])?;
    let timeout_seconds =
        arguments::check_range("timeout_seconds", timeout_seconds, 1..=3600, 300)?;
    let types = types.unwrap_or_default();
    check_count("types", types.len(), TYPES_MAX)?;
    let filter = EventFilter {
        types: EventPatterns::check(types)?,
        after: after.map(|after| i64::try_from(after).unwrap_or(i64::MAX)),
        since_ms: since.as_deref().map(time).transpose()?,
        limit: arguments::check_range("limit", limit, 1..=500, 50)? as usize,
    };
    if let EventActionParam::Emit = action {
        let kind = action.rules().require("type", kind)?;
        return Ok(emit(kind, data.unwrap_or_else(|| json!({}))));
    }
    Ok(match action {
        EventActionParam::Read | EventActionParam::Emit => {
            single_step(move |call| Ok(page_body(&call.mesh.events(&filter)?)))
        }
        EventActionParam::Wait => Box::new(WaitCall {
            filter,
            timeout_seconds,
            wait: None,
        }),
        EventActionParam::Subscribe => single_step(move |call| {
            let (types, next) =
                call.mesh
                    .subscribe_to_events(&call.me, &filter.types, filter.after)?;
            Ok(json!({ "types": types.as_slice(), "next": next }))
        }),
        EventActionParam::Unsubscribe => single_step(move |call| {
            let remaining = call.mesh.unsubscribe_from_events(&call.me, &filter.types)?;
            Ok(json!({ "types": remaining.as_slice() }))
        }),
    })
}

fn emit(kind: String, data: Value) -> Operation {
    single_step(move |call| {
        let event = ProjectEvent::of(call.project.shared_scope(), &kind, &data);
        let seq = call.mesh.emit(&call.me, &event)?;
        Ok(json!({ "type": kind, "seq": seq }))
    })
}

/// A call that waits for events.
struct WaitCall {
    filter: EventFilter,
    timeout_seconds: u32,
    /// `None` until the wait has begun.
    wait: Option<StoppableWait<QueryWait<EventWait>>>,
}

impl WaitQuery for EventWait {
    type Output = EventPage;

    fn poll(&mut self, mesh: &mut Mesh, _: &SessionHandle) -> Result<PollResult<EventPage>> {
        Ok(EventWait::poll(self, mesh)?.into())
    }
}

impl ToolCall for WaitCall {
    fn step(&mut self, call: &mut CallContext<'_>) -> Result<Step> {
        let Some(wait) = &mut self.wait else {
            let events = call.mesh.begin_event_wait(&call.me, &self.filter)?;
            let condition = QueryWait::new(events.wait, events);
            self.wait = Some(StoppableWait::new(condition, call, self.timeout_seconds));
            return Ok(Step::Again);
        };
        let outcome = match wait.step(call)? {
            WaitStep::PendingUntil { monotonic_ms } => {
                return Ok(Step::PendingUntil { monotonic_ms });
            }
            WaitStep::Ended(outcome) => outcome,
        };
        let next = wait.condition().query().filter.after;
        let ended = |status: &str, more: Map<String, Value>| {
            let mut body = json!({ "status": status, "events": [], "next": next });
            results::add(&mut body, more);
            body
        };
        Ok(Step::Done(match outcome {
            WaitOutcome::Done(page) => page_body(&page),
            WaitOutcome::Expired => ended("timed_out", Map::new()),
            WaitOutcome::Cancelled => ended("cancelled", Map::new()),
            WaitOutcome::Interrupted(interruption) => ended(
                "interrupted",
                results::interruption(&interruption, ANSWER_FIRST_HINT),
            ),
        }))
    }

    fn stop(&mut self, reason: StopReason) {
        if let Some(wait) = &mut self.wait {
            wait.stop(reason);
        }
    }

    fn wait_deadline(&self) -> Option<i64> {
        self.wait.as_ref()?.deadline()
    }

    fn progress(&self, _: &Moment) -> Option<ProgressReport> {
        self.wait.as_ref()?;
        let message = match self.filter.types.as_slice() {
            [] => "waiting for any event".to_owned(),
            types => format!("waiting for {}", types.join(", ")),
        };
        Some(ProgressReport::of(&message))
    }

    fn wait_row(&self) -> Option<WaitId> {
        self.wait.as_ref().and_then(StoppableWait::row)
    }
}

/// Adds the events that a session subscribes to to its inbox, as many as the result still carries, and marks them as
/// delivered.
pub(super) fn add_subscribed_events(
    mesh: &mut Mesh,
    me: &SessionHandle,
    inbox: &mut Value,
) -> Result<()> {
    let Some(page) = mesh.undelivered_events(me)? else {
        return Ok(());
    };
    let next = add_events(inbox, &page);
    if inbox["truncated"] == true && inbox["hint"].is_null() {
        results::mark_truncated(inbox, "Call poll_inbox again for the rest.");
    }
    mesh.mark_events_delivered(me, next)
}

fn page_body(page: &EventPage) -> Value {
    let mut body = json!({});
    let next = add_events(&mut body, page);
    body["next"] = next.into();
    body
}

/// Adds events under `events`, as many as the result still carries. Returns the `after` of the next call.
fn add_events(body: &mut Value, page: &EventPage) -> i64 {
    let (list, cut) =
        ResultBudget::excluding(body).take_prefix(page.events.iter().map(|event| json!(event)));
    let next = match page.events.get(list.len()) {
        Some(omitted) if cut => omitted.seq - 1,
        _ => page.next,
    };
    body["events"] = list.into();
    if cut || page.more {
        body["truncated"] = true.into();
    }
    next
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
