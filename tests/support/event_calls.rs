//! Calls of the `events` tool and commands that follow the event log.

use serde_json::{Value, json};

use super::{Session, World};

/// Polls without a doorbell are two seconds apart. This many events, each created when the last one was seen, are not
/// found by polling within the timeout of a test.
pub(crate) const CONSECUTIVE_EVENTS: i64 = 25;

pub(crate) fn events(session: &Session, mut arguments: Value) -> Value {
    arguments["action"] = arguments.get("action").cloned().unwrap_or(json!("read"));
    session.call("events", arguments)
}

pub(crate) fn emit(session: &Session, kind: &str, data: Value) -> Value {
    events(
        session,
        json!({ "action": "emit", "type": kind, "data": data }),
    )
}

pub(crate) fn events_in(page: &Value) -> &Vec<Value> {
    page["events"]
        .as_array()
        .unwrap_or_else(|| panic!("{page}"))
}

pub(crate) fn event_types(page: &Value) -> Vec<&str> {
    let events = events_in(page).iter();
    events
        .map(|event| event["type"].as_str().unwrap())
        .collect()
}

/// Waits until this number of calls listen for events.
pub(crate) fn wait_for_listeners(world: &World, count: i64) {
    crate::support::wait_until("a call listens", || {
        let listening = "SELECT count(*) FROM wait WHERE event_types IS NOT NULL";
        let found: Result<i64, _> = world.rows().query_row(listening, [], |row| row.get(0));
        found == Ok(count)
    });
}
